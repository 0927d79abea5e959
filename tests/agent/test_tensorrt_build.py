"""Engines by NVIDIA's own builder, through the code that builds them on a board.

TensorRT for RTX builds without a GPU, for one that is named. It cannot run what it built here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.agent.failure import Failure
from bench.agent.tensorrt import build, library
from bench.agent.tensorrt.library import LOG, trt

CHANNELS, RANK = 64, 16
ORIN_LIKE = "SM86"


def values(*shape: int, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return np.asarray(drawn / np.float32(8), dtype=np.float32)


COEFFICIENTS, TEMPLATES = values(CHANNELS, RANK, seed=1), values(RANK, CHANNELS, seed=2)
GENERATED = COEFFICIENTS @ TEMPLATES


def save(path: Path, nodes: list[Any], inputs: dict[str, Any], arrays: dict[str, Any]) -> Path:
    """A graph from ``inputs`` {name: (type, shape)} to ``y``, at opset 13."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, *spec) for name, spec in inputs.items()],
        [helper.make_tensor_value_info("y", next(iter(inputs.values()))[0], None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def generated(path: Path, *, at_run_time: bool) -> Path:
    """A layer whose weight is a product of coefficients and templates."""
    inputs: dict[str, Any] = {"x": (TensorProto.FLOAT, [1, CHANNELS])}
    arrays = {"templates": TEMPLATES}
    if at_run_time:
        inputs["coefficients"] = (TensorProto.FLOAT, list(COEFFICIENTS.shape))
    else:
        arrays["coefficients"] = COEFFICIENTS
    nodes = [
        helper.make_node("MatMul", ["coefficients", "templates"], ["w"], name="generate"),
        helper.make_node("MatMul", ["x", "w"], ["y"], name="layer"),
    ]
    return save(path, nodes, inputs, arrays)


def layer(path: Path, operator: str = "Relu", dtype: Any = np.float32) -> Path:
    """A matrix product and one operator."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="product"),
        helper.make_node(operator, ["h"], ["y"], name="last"),
    ]
    return save(path, nodes, {"x": (kind, [1, CHANNELS])}, {"w": GENERATED.astype(dtype)})


def quantized(path: Path) -> Path:
    """The same with Q/DQ nodes around both factors."""
    nodes = []
    for name, scale in (("x", "xs"), ("w", "ws")):
        nodes += [
            helper.make_node("QuantizeLinear", [name, scale, "zero"], [name + "q"]),
            helper.make_node("DequantizeLinear", [name + "q", scale, "zero"], [name + "d"]),
        ]
    nodes.append(helper.make_node("MatMul", ["xd", "wd"], ["y"]))
    scales = {"xs": np.float32(0.02), "ws": np.float32(0.01), "zero": np.int8(0)}
    arrays = {"w": GENERATED, **{name: np.array(value) for name, value in scales.items()}}
    return save(path, nodes, {"x": (TensorProto.FLOAT, [1, CHANNELS])}, arrays)


def built(graph: Path, precision: str = "fp32", memory_bytes: int | None = None) -> bytes:
    options = build.builder_options(precision, memory_bytes, capability=ORIN_LIKE)
    plan, _ = build.build(str(graph), options)
    return bytes(plan)


def holds(plan: bytes, array: np.ndarray) -> bool:
    return array.tobytes() in plan or array.T.tobytes() in plan


def refused(graph: Path, precision: str = "fp32", **changes: Any) -> Failure:
    options = build.builder_options(precision, None, capability=ORIN_LIKE)
    with pytest.raises(Failure) as raised:
        build.build(str(graph), {**options, **changes})
    assert "\n" not in raised.value.text
    return raised.value


def test_coefficients_that_come_in_are_not_in_the_engine(tmp_path: Path) -> None:
    constant = built(generated(tmp_path / "load.onnx", at_run_time=False))
    fed = built(generated(tmp_path / "runtime.onnx", at_run_time=True))
    assert holds(constant, COEFFICIENTS)
    assert holds(fed, TEMPLATES)
    assert not holds(fed, COEFFICIENTS)
    assert not holds(fed, GENERATED)


def test_weights_beside_the_graph_are_found(tmp_path: Path) -> None:
    whole = layer(tmp_path / "whole.onnx")
    beside = tmp_path / "elsewhere" / "beside.onnx"
    beside.parent.mkdir()
    onnx.save(
        onnx.load(whole),
        beside,
        save_as_external_data=True,
        location="w.bin",
        size_threshold=0,
    )
    assert holds(built(beside), GENERATED)


def test_fp16_and_int8_come_with_the_graph(tmp_path: Path) -> None:
    half = built(layer(tmp_path / "half.onnx", dtype=np.float16), "fp16")
    assert holds(half, GENERATED.astype(np.float16))
    assert built(quantized(tmp_path / "quantized.onnx"), "int8")


def test_a_precision_that_the_graph_does_not_have_is_refused(tmp_path: Path) -> None:
    graph = layer(tmp_path / "g.onnx")
    for precision, fix in (("fp16", "export it so, or use fp32"), ("int8", "Q/DQ nodes")):
        failure = refused(graph, precision)
        assert failure.reason == "unsupported"
        assert fix in failure.text


def test_a_node_that_the_parser_refuses_is_named(tmp_path: Path) -> None:
    failure = refused(layer(tmp_path / "g.onnx", "Det"))
    assert failure.reason == "unsupported"
    assert f'TensorRT {trt.__version__} does not take node 1 (Det "last")' in failure.text
    assert "While parsing node number 1" in failure.detail


def test_a_file_that_is_no_graph_is_told(tmp_path: Path) -> None:
    graph = tmp_path / "g.onnx"
    graph.write_bytes(b"no graph")
    failure = refused(graph)
    assert failure.reason == "load"
    assert f"no ONNX graph in {graph}" in failure.text


def test_a_gpu_that_this_tensorrt_does_not_know_is_told(tmp_path: Path) -> None:
    failure = refused(layer(tmp_path / "g.onnx"), capability="SM53")
    assert failure.reason == "unsupported"
    assert "cannot build for SM53" in failure.text


def test_a_builder_that_gives_up_says_why_in_its_own_words(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    graph = save(tmp_path / "g.onnx", nodes, {"x": (TensorProto.BFLOAT16, [1, 4])}, {})
    failure = refused(graph, capability="SM75")
    assert failure.reason == "load"
    assert failure.text.startswith("TensorRT could not build the engine: ")
    assert "HW-specific datatypes: b16" in failure.text
    assert failure.text.rpartition(": ")[2] in failure.detail


def test_a_dynamic_shape_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    graph = save(tmp_path / "g.onnx", nodes, {"x": (TensorProto.FLOAT, ["n", 4])}, {})
    failure = refused(graph)
    assert failure.reason == "unsupported"
    assert "x has the dynamic shape (-1, 4): export the model with `--shape`" in failure.text


def test_scratch_space_follows_the_memory_of_the_board() -> None:
    nano = build.builder_options("fp32", 2 * 1024**3)
    assert nano["workspace_bytes"] == 512 * 1024**2
    assert build.builder_options("fp32", 64 * 1024**3)["workspace_bytes"] == 1024**3


def test_memory_that_ran_out_is_told_as_such() -> None:
    LOG.clear()
    LOG.log(trt.ILogger.Severity.WARNING, "Tactic request: 538MB. Memory is insufficient")
    LOG.log(trt.ILogger.Severity.ERROR, "[conv] Could not find any implementation: giving up")
    words = "TensorRT could not build the engine: %s"
    failure = library.refused("built", words)
    assert failure.reason == "load"
    assert failure.text == words % "[conv] Could not find any implementation: giving up"
    LOG.log(trt.ILogger.Severity.ERROR, "Cuda Error in allocate: 2 (out of memory)")
    failure = library.refused("built", words)
    assert failure.reason == "out-of-memory"
    assert "add swap, or choose a smaller batch" in failure.text
    assert failure.detail.count("\n") == 2
