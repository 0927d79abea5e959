"""Bring your own model: a user's ONNX file becomes an artifact, or one clear line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.errors import ConfigError, ExportError, UnsupportedCase
from bench.export.inputs import InputValues
from bench.export.onnx_files import import_onnx
from bench.records.recordings import GraphLimits

LIMITS = GraphLimits(opset=17, ir_version=8)
WEIGHT = np.arange(24, dtype=np.float32).reshape(4, 6) / 24


def save(
    path: Path,
    shape: list[int | str | None] | None = None,
    *,
    kind: int = TensorProto.FLOAT,
    opset: int = 13,
    ir_version: int = 7,
    external: bool = False,
) -> Path:
    """y = x · W for floats; y = x + x for anything else."""
    shape = [1, 4] if shape is None else shape
    x = helper.make_tensor_value_info("x", kind, shape)
    y = helper.make_tensor_value_info(
        "y", kind, [*shape[:-1], 6] if kind == TensorProto.FLOAT else shape
    )
    if kind == TensorProto.FLOAT:
        nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
        weights = [numpy_helper.from_array(WEIGHT, "w")]
    else:
        nodes, weights = [helper.make_node("Add", ["x", "x"], ["y"])], []
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], weights),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=ir_version,
    )
    onnx.save(model, path, save_as_external_data=external, location="big.bin", size_threshold=0)
    return path


def test_artifact_of_a_plain_file(tmp_path) -> None:
    path = save(tmp_path / "my model.onnx")
    artifact = import_onnx(path, None, {}, LIMITS, tmp_path / "cache")
    assert artifact.fresh
    assert artifact.weights is None
    assert not artifact.classifier
    assert (artifact.facts.opset, artifact.facts.ir_version) == (13, 7)
    assert (artifact.facts.parameters, artifact.facts.macs) == (None, None)
    assert artifact.facts.file_bytes == artifact.graph.stat().st_size
    with np.load(artifact.reference) as arrays:
        assert json.loads(str(arrays["names"])) == {"inputs": ["x"], "outputs": ["y"]}
        assert arrays["in0"].dtype == np.float32
        np.testing.assert_allclose(arrays["out0"], arrays["in0"] @ WEIGHT, rtol=1e-5)
    again = import_onnx(path, None, {}, LIMITS, tmp_path / "cache")
    assert not again.fresh
    assert again.graph == artifact.graph


def test_a_changed_file_is_taken_in_anew(tmp_path) -> None:
    first = import_onnx(save(tmp_path / "m.onnx"), None, {}, LIMITS, tmp_path / "cache")
    changed = save(tmp_path / "m.onnx", [2, 4])
    second = import_onnx(changed, None, {}, LIMITS, tmp_path / "cache")
    assert second.fresh
    assert second.graph != first.graph


def test_external_data_is_carried_along(tmp_path) -> None:
    path = save(tmp_path / "m.onnx", external=True)
    artifact = import_onnx(path, None, {}, LIMITS, tmp_path / "cache")
    (tmp_path / "big.bin").unlink()
    path.unlink()
    assert artifact.weights is not None
    assert artifact.weights.stat().st_size == WEIGHT.nbytes
    assert artifact.facts.weights_sha256[:16] in artifact.weights.name
    session = onnxruntime.InferenceSession(artifact.graph, providers=["CPUExecutionProvider"])
    with np.load(artifact.reference) as arrays:
        (y,) = session.run(None, {"x": arrays["in0"]})
        np.testing.assert_allclose(y, arrays["out0"])


def test_lost_external_data_is_named(tmp_path) -> None:
    path = save(tmp_path / "m.onnx", external=True)
    (tmp_path / "big.bin").unlink()
    with pytest.raises(ConfigError, match=r"weights file 'big\.bin' is missing"):
        import_onnx(path, None, {}, LIMITS, tmp_path / "cache")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x08\x07", b"PK\x03\x04" + bytes(100), None, "folder", "cut"]
)
def test_missing_and_corrupt_files_get_one_line(tmp_path, content) -> None:
    path = tmp_path / "m.onnx"
    if content == "folder":
        path.mkdir()
    elif content == "cut":
        save(path)
        path.write_bytes(path.read_bytes()[:-30])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        import_onnx(path, None, {}, LIMITS, tmp_path / "cache")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_invalid_graph_says_what_the_checker_found(tmp_path) -> None:
    path = save(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.graph.node[0].input[0] = "nowhere"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ConfigError, match="not a valid ONNX model") as caught:
        import_onnx(path, None, {}, LIMITS, tmp_path / "cache")
    assert "nowhere" in caught.value.detail


def test_dynamic_dimensions_are_refused_with_the_flag_that_fixes_them(tmp_path) -> None:
    path = save(tmp_path / "m.onnx", ["N", 3, None, 4])
    with pytest.raises(ConfigError) as caught:
        import_onnx(path, None, {}, LIMITS, tmp_path / "cache")
    assert str(caught.value) == (
        "m.onnx: input 'x' has dynamic dimensions (N,3,?,4); fix them with --shape x=1,3,224,4"
    )


@pytest.mark.parametrize(
    ("shape", "batch", "given", "expected"),
    [
        (["N", 4], None, {"x": (5, 4)}, (5, 4)),
        (["N", 4], 8, {}, (8, 4)),
        (["N", "M", 4], 8, {"x": (1, 3, 4)}, (8, 3, 4)),
        ([2, 4], 2, {}, (2, 4)),
        ([2, 4], None, {"x": (2, 4)}, (2, 4)),
    ],
)
def test_shapes_are_fixed_as_asked(tmp_path, shape, batch, given, expected) -> None:
    path = save(tmp_path / "m.onnx", shape)
    artifact = import_onnx(path, batch, given, LIMITS, tmp_path / "cache")
    (x,) = onnxruntime.InferenceSession(artifact.graph).get_inputs()
    assert tuple(x.shape) == expected
    with np.load(artifact.reference) as arrays:
        assert arrays["in0"].shape == expected


@pytest.mark.parametrize(
    ("shape", "batch", "given", "expected"),
    [
        (["N", "M"], 8, {}, "dynamic dimensions (N,M)"),
        (["N", 4], None, {"y": (1, 4)}, "has no input 'y' (named in --shape); its inputs: x"),
        (["N", 4], None, {"x": (1, 3, 4)}, "gives input 'x' 3 dimensions, it has 2: (N,4)"),
        (["N", 4], None, {"x": (1, 5)}, "asks for 5 at dimension 2 of input 'x', which is fixed"),
        (["N", 4], None, {"x": (0, 4)}, "dimension 1 of input 'x' cannot be 0"),
        ([1, 4], 8, {}, "input 'x' is fixed at batch 1 (1,4); batch 8 needs a model exported"),
    ],
)
def test_shapes_that_do_not_fit(tmp_path, shape, batch, given, expected) -> None:
    path = save(tmp_path / "m.onnx", shape)
    with pytest.raises((ConfigError, UnsupportedCase)) as caught:
        import_onnx(path, batch, given, LIMITS, tmp_path / "cache")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("opset", "ir_version", "expected"),
    [
        (18, 8, "opset 18, the board's runtime reads at most 17"),
        (17, 9, "IR version 9, the board's runtime reads at most 8"),
    ],
)
def test_a_model_too_new_for_the_board_names_both_numbers(
    tmp_path, opset, ir_version, expected
) -> None:
    path = save(tmp_path / "m.onnx", opset=opset, ir_version=ir_version)
    with pytest.raises(UnsupportedCase) as caught:
        import_onnx(path, None, {}, LIMITS, tmp_path / "cache")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [(TensorProto.INT64, np.int64), (TensorProto.INT32, np.int32), (TensorProto.DOUBLE, float)],
)
def test_reference_inputs_by_type(tmp_path, kind, dtype) -> None:
    path = save(tmp_path / "m.onnx", [50, 40], kind=kind)
    values = InputValues(ranges={"x": (0, 10)} if kind != TensorProto.DOUBLE else {})
    artifact = import_onnx(path, None, {}, LIMITS, tmp_path / "cache", values=values)
    with np.load(artifact.reference) as arrays:
        x = arrays["in0"]
        np.testing.assert_array_equal(arrays["out0"], x + x)
    assert x.dtype == dtype
    if x.dtype.kind == "i":
        assert (x.min(), x.max()) == (0, 9)
    else:
        assert abs(x.mean()) < 0.1
        assert 0.9 < x.std() < 1.1


def test_text_inputs_are_unsupported(tmp_path) -> None:
    x = helper.make_tensor_value_info("words", TensorProto.STRING, [2])
    y = helper.make_tensor_value_info("y", TensorProto.STRING, [2])
    node = helper.make_node("Identity", ["words"], ["y"])
    model = helper.make_model(
        helper.make_graph([node], "g", [x], [y]),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=7,
    )
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    with pytest.raises(UnsupportedCase, match="input 'words' is of type string"):
        import_onnx(path, None, {}, LIMITS, tmp_path / "cache")


def test_operator_that_onnx_runtime_lacks_is_an_export_error(tmp_path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    node = helper.make_node("Teleport", ["x"], ["y"], domain="science.fiction")
    model = helper.make_model(
        helper.make_graph([node], "g", [x], [y]),
        opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid("science.fiction", 1)],
        ir_version=7,
    )
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    with pytest.raises(ExportError, match="ONNX Runtime on the host cannot run it"):
        import_onnx(path, None, {}, LIMITS, tmp_path / "cache")


def test_weights_listed_as_inputs_are_not_asked_for(tmp_path) -> None:
    path = save(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 6]))
    path.write_bytes(model.SerializeToString())
    artifact = import_onnx(path, None, {}, LIMITS, tmp_path / "cache")
    with np.load(artifact.reference) as arrays:
        assert json.loads(str(arrays["names"]))["inputs"] == ["x"]


def test_torch_is_never_imported(tmp_path) -> None:
    path = save(tmp_path / "m.onnx")
    code = (
        "import sys, pathlib\n"
        "from bench.export.onnx_files import import_onnx\n"
        "from bench.records.recordings import GraphLimits\n"
        "import_onnx(pathlib.Path(sys.argv[1]), None, {}, GraphLimits(17, 8),\n"
        "            pathlib.Path(sys.argv[2]))\n"
        "print('torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "cache")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "False\n"


def test_a_computed_convolution_weight_is_refused_where_tensorrt_refuses_it(tmp_path) -> None:
    x, y = (helper.make_tensor_value_info(name, 1, [1, 2, 4, 4]) for name in "xy")
    weight = numpy_helper.from_array(np.ones((2, 2, 1, 1), np.float32), "w")
    nodes = [
        helper.make_node("Add", ["w", "w"], ["twice"]),
        helper.make_node("Conv", ["x", "twice"], ["y"], name="layer"),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], [weight]),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=7,
    )
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    old, new = (GraphLimits(13, 8, "tensorrt", computed) for computed in (False, True))
    with pytest.raises(UnsupportedCase, match=r"convolution 'layer' is computed .*JetPack 5\.1"):
        import_onnx(path, None, {}, old, tmp_path / "cache")
    assert import_onnx(path, None, {}, new, tmp_path / "cache").graph.is_file()
