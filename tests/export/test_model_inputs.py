"""What a user's own ONNX file is fed: ranges, samples, named dimensions, and what does not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from bench.errors import ConfigError
from bench.export.inputs import InputValues, check_values, told
from bench.export.onnx_files import import_onnx
from bench.records.recordings import GraphLimits

LIMITS = GraphLimits(opset=17, ir_version=8)
INT64, FLOAT, UINT8 = TensorProto.INT64, TensorProto.FLOAT, TensorProto.UINT8


def passing(path: Path, **inputs: tuple[int, list[Any] | None]) -> Path:
    """A model that gives each of its inputs back."""
    values = [helper.make_tensor_value_info(n, kind, s) for n, (kind, s) in inputs.items()]
    outputs = [helper.make_tensor_value_info(f"{n}_y", k, s) for n, (k, s) in inputs.items()]
    nodes = [helper.make_node("Identity", [name], [f"{name}_y"]) for name in inputs]
    model = helper.make_model(
        helper.make_graph(nodes, "g", values, outputs),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=7,
    )
    onnx.save(model, path)
    return path


def fed(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    batch: int | None = None,
    **values: Any,
) -> dict[str, np.ndarray[Any, Any]]:
    """The reference inputs by name, which are the outputs of such a model too."""
    said = InputValues(**values)
    artifact = import_onnx(path, batch, shapes or {}, LIMITS, path.parent / "cache", values=said)
    with np.load(artifact.reference) as arrays:
        names = json.loads(str(arrays["names"]))["inputs"]
        for i in range(len(names)):
            np.testing.assert_array_equal(arrays[f"out{i}"], arrays[f"in{i}"])
        return {name: arrays[f"in{i}"] for i, name in enumerate(names)}


def test_whole_numbers_are_not_guessed(tmp_path: Path) -> None:
    path = passing(tmp_path / "m.onnx", ids=(INT64, [1, 6]), x=(FLOAT, [1, 4]))
    with pytest.raises(ConfigError) as caught:
        fed(path)
    assert str(caught.value) == (
        "m.onnx: input 'ids' takes whole numbers (int64), and nothing says which: --range ids=0:N "
        "for those from 0 to N-1, or --input ids=FILE.npy"
    )


def test_a_range_of_whole_numbers_leaves_out_its_end(tmp_path: Path) -> None:
    path = passing(tmp_path / "m.onnx", ids=(INT64, [40, 50]), x=(FLOAT, [40, 50]))
    found = fed(path, ranges={"ids": (3, 6), "x": (2.0, 2.5)})
    assert set(np.unique(found["ids"])) == {3, 4, 5}
    assert found["ids"].dtype == np.int64
    assert 2 <= found["x"].min() < 2.01 < 2.49 < found["x"].max() <= 2.5


def test_whole_numbers_beyond_what_the_model_takes_are_told_with_their_range(
    tmp_path: Path,
) -> None:
    table = onnx.numpy_helper.from_array(np.zeros((100, 8), np.float32), "table")
    ids = helper.make_tensor_value_info("ids", INT64, [1, 64])
    y = helper.make_tensor_value_info("y", FLOAT, [1, 64, 8])
    gather = helper.make_node("Gather", ["table", "ids"], ["y"])
    graph = helper.make_graph([gather], "g", [ids], [y], [table])
    path = tmp_path / "m.onnx"
    opset = helper.make_opsetid("", 13)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=7), path)
    with pytest.raises(ConfigError) as caught:
        fed(path, ranges={"ids": (0, 2_000_000)})
    assert "indices element out of data bounds" in str(caught.value)
    assert str(caught.value).endswith(
        "; --range ids=0:2000000 holds more than the model takes; use smaller numbers"
    )


def test_bytes_take_all_they_can_be(tmp_path: Path) -> None:
    found = fed(passing(tmp_path / "m.onnx", pixels=(UINT8, [100, 100])))
    assert (found["pixels"].min(), found["pixels"].max()) == (0, 255)


def test_samples_are_fed_as_they_are_and_settle_the_shape(tmp_path: Path) -> None:
    path = passing(
        tmp_path / "m.onnx", ids=(INT64, ["N", "T"]), mask=(INT64, ["N", "T"]), x=(FLOAT, [None])
    )
    ids = np.arange(6).reshape(2, 3)
    np.save(tmp_path / "ids.npy", ids)
    np.savez(tmp_path / "more.npz", x=np.ones(5, np.float32), other=np.zeros(1))
    samples = {"ids": tmp_path / "ids.npy", "x": tmp_path / "more.npz"}
    found = fed(path, samples=samples, ranges={"mask": (0, 2)})
    np.testing.assert_array_equal(found["ids"], ids)
    np.testing.assert_array_equal(found["x"], np.ones(5))
    assert found["mask"].shape == (2, 3), "dimensions of one name have one size"


def test_another_content_of_a_sample_is_another_artifact(tmp_path: Path) -> None:
    path = passing(tmp_path / "m.onnx", x=(FLOAT, [2]))
    for number in (1.0, 2.0):
        np.save(tmp_path / "x.npy", np.full(2, number, np.float32))
        found = fed(path, samples={"x": tmp_path / "x.npy"})
        np.testing.assert_array_equal(found["x"], [number, number])


def test_a_named_dimension_is_settled_once(tmp_path: Path) -> None:
    two = {"a": (FLOAT, ["batch", "seq"]), "b": (FLOAT, ["batch", "seq"])}
    path = passing(tmp_path / "m.onnx", **two, c=(FLOAT, ["seq", 4]))
    found = fed(path, {"a": (1, 128)})
    assert [value.shape for value in found.values()] == [(1, 128), (1, 128), (128, 4)]
    found = fed(passing(tmp_path / "m.onnx", **two), {"b": (1, 9)}, batch=3)
    assert [value.shape for value in found.values()] == [(3, 9), (3, 9)]


def test_a_named_dimension_of_two_sizes_is_refused(tmp_path: Path) -> None:
    path = passing(tmp_path / "m.onnx", a=(FLOAT, [1, "seq"]), b=(FLOAT, ["seq"]))
    with pytest.raises(ConfigError, match="'seq' would be 3 in input 'a' and 4 in input 'b'"):
        fed(path, {"a": (1, 3), "b": (4,)})


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ({"ids": (5, 5)}, "--range ids=5:5: there is nothing in it"),
        ({"ids": (7, 5)}, "--range ids=7:5: there is nothing in it"),
        ({"ids": (0, float("nan"))}, "both bounds must be finite"),
        ({"id": (0, 5)}, "m.onnx has no input 'id' (named in --range); its inputs: ids, pixels, x"),
        ({"ids": (0.5, 5)}, "input 'ids' of m.onnx takes whole numbers (int64)"),
        ({"ids": (0, 2**70)}, "int64, which m.onnx takes, holds -9223372036854775808…"),
        ({"ids": (0, 9), "pixels": (-1, 5)}, "uint8, which m.onnx takes, holds 0…255"),
        ({"ids": (0, 9), "x": (0, 1e39)}, "float32, which m.onnx takes, ends at 3.40282e+38"),
    ],
)
def test_ranges_that_do_not_fit(
    tmp_path: Path, ranges: dict[str, tuple[float, float]], expected: str
) -> None:
    path = passing(tmp_path / "m.onnx", ids=(INT64, [1, 6]), pixels=(UINT8, [4]), x=(FLOAT, [1, 4]))
    with pytest.raises(ConfigError) as caught:
        fed(path, ranges=check_values(ranges, {}).ranges)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (np.zeros((1, 4)), "holds float64, input 'x' of m.onnx takes float32"),
        (np.zeros((1, 5), np.float32), "has shape (1,5), input 'x' of m.onnx takes (N,4)"),
        (np.zeros((0, 4), np.float32), "holds no numbers (its shape is (0,4))"),
        (np.zeros(4, np.float32), "has shape (4), input 'x' of m.onnx takes (N,4)"),
        (np.full((1, 4), np.nan, np.float32), "not all of its numbers are finite"),
        (np.array([["a"] * 4]), "holds <U1, no numbers"),
        (b"no numpy file", "cannot be read:"),
        (b"", "cannot be read:"),
        (np.array([object()]), "cannot be read:"),
        (None, "no such file"),
    ],
)
def test_samples_that_do_not_fit(tmp_path: Path, content: Any, expected: str) -> None:
    path = passing(tmp_path / "m.onnx", x=(FLOAT, ["N", 4]))
    sample = tmp_path / "x.npy"
    if isinstance(content, bytes):
        sample.write_bytes(content)
    elif content is not None:
        np.save(sample, content, allow_pickle=True)
    with pytest.raises(ConfigError) as caught:
        fed(path, samples=check_values({}, {"x": sample}).samples)
    assert f"--input x={sample}" in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_sample_of_another_batch_is_refused(tmp_path: Path) -> None:
    path = passing(tmp_path / "m.onnx", x=(FLOAT, ["N", 4]))
    np.save(tmp_path / "x.npy", np.zeros((1, 4), np.float32))
    with pytest.raises(ConfigError, match=r"has shape \(1,4\), input 'x' of m.onnx takes \(8,4\)"):
        fed(path, batch=8, samples={"x": tmp_path / "x.npy"})


def test_an_npz_without_the_name_is_refused(tmp_path: Path) -> None:
    path = passing(tmp_path / "m.onnx", x=(FLOAT, [2]))
    np.savez(tmp_path / "x.npz", a=np.zeros(2), b=np.zeros(2))
    with pytest.raises(ConfigError, match=r"holds no array 'x' \(it holds a, b\)"):
        fed(path, samples={"x": tmp_path / "x.npz"})


def test_what_is_assumed_is_told(tmp_path: Path) -> None:
    values = InputValues({"ids": (0, 30522)}, {"mask": tmp_path / "mask.npy"})
    array = np.zeros((1, 8), np.int64)
    assert told("ids", array, values, {}).endswith("random whole numbers from 0 to 30521")
    assert told("ids", array, InputValues({"ids": (0, 2_000_000)}), {}).endswith("to 1999999")
    assert told("mask", array, values, {}).endswith("from mask.npy")
    assert "(assumed; --range or --input say otherwise)" in told("x", array / 2, values, {})
    assert "example that came with" in told("x", array, values, {"x": array})
