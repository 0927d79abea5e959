"""What int8 is calibrated on, over doubles of TensorRT and a GPU that read what lies in memory."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_folder import BoardFolder
from onnx import TensorProto
from tensorrt_board import SIZE, TensorRtBoard

PROBLEM = """
from bench.agent import failure
def problem(graph, **more):
    try:
        session.prepare(graph, options(precision="int8", **more))
    except Exception as error:
        found = failure.from_exception(error, "load")
        return [found.reason, found.text]
"""


@pytest.fixture
def jetson(board: BoardFolder) -> TensorRtBoard:
    """TensorRT 10.3 and pycuda."""
    return TensorRtBoard(board)


def images(jetson: TensorRtBoard, name: str, seed: int, count: int = 3) -> tuple[Path, list[int]]:
    """A file of inputs, and the checksum of each."""
    path = jetson.board.folder / name
    drawn = np.random.default_rng(seed).standard_normal((count, SIZE)).astype(np.float32)
    np.save(path, drawn)
    return path, [zlib.crc32(row.tobytes()) for row in drawn]


def shown(jetson: TensorRtBoard) -> list[dict[str, int]]:
    return [found for (found,) in jetson.calls("show")]


def test_every_image_is_shown_and_new_ones_are_never_met_with_old_ranges(
    jetson: TensorRtBoard,
) -> None:
    (first, of_first), (second, of_second) = (
        images(jetson, f"{seed}.npy", seed) for seed in (1, 2)
    )
    code = f"""
import glob, os
keys = []
for path in {[str(first), str(second), str(first)]}:
    keys.append(session.prepare(graph, options(precision="int8", calibration=path))[1]["key"])
for path in glob.glob(options()["engine_cache"] + "/*.engine"):
    os.remove(path)
session.prepare(graph, options(precision="int8", calibration={str(first)!r}))
print(json.dumps(keys))
"""
    keys: list[str] = jetson.drive(code)
    assert keys[0] == keys[2] != keys[1]
    assert [found["x"] for found in shown(jetson)] == [*of_first, *of_second]
    # At last from what the first calibration learnt.
    assert jetson.calls("calibrate") == [[1, 3, False], [1, 3, False], [1, 0, True]]
    (of_a,), (of_b,), (again,) = jetson.calls("ranges")
    assert of_a == again != of_b
    assert jetson.calls("left") == [[[]]]


def test_a_bound_input_holds_its_values_while_images_are_shown(jetson: TensorRtBoard) -> None:
    folder = jetson.board.folder
    graph = folder / jetson.bound_graph()["graph"]
    weight = zlib.crc32((graph.parent / "weights.bin").read_bytes()[12:])
    path, checksums = images(jetson, "images.npy", 1)
    more: dict[str, Any] = {"calibration": str(path), "bound": str(graph.with_name("bound.json"))}
    jetson.drive(
        f"print(json.dumps(session.prepare({str(graph)!r}, "
        f"options(precision='int8', **{more}))[1]))"
    )
    assert shown(jetson) == [{"w": weight, "x": checksum} for checksum in checksums]
    assert jetson.calls("left") == [[[]]]


def test_images_that_cannot_be_shown_end_the_case_and_leave_no_engine(
    jetson: TensorRtBoard,
) -> None:
    """TensorRT takes what a calibrator raises for the end of the images."""
    path, _ = images(jetson, "images.npy", 1)
    code = f"""{PROBLEM}
import os
upload, count = session.device.upload, []
def fails(memory, array):
    count.append(1)
    if len(count) == 3:
        raise RuntimeError("cuMemcpyHtoD failed: unspecified launch failure")
    upload(memory, array)
session.device.upload = fails
found = problem(graph, calibration={str(path)!r})
print(json.dumps([found, os.listdir(options()["engine_cache"])]))
"""
    (reason, text), kept = jetson.drive(code)
    assert reason == "load"
    assert text.startswith("int8 calibration was cut short after 2 images: ")
    assert "cuMemcpyHtoD failed: unspecified launch failure" in text
    assert kept == []
    assert len(jetson.calls("build")) == 1  # of two images: whole, and wrong
    assert jetson.calls("left") == [[[]]]


def test_inputs_that_images_cannot_calibrate_are_refused(jetson: TensorRtBoard) -> None:
    path, _ = images(jetson, "images.npy", 1)
    integers = jetson.typed_graph(TensorProto.INT32, TensorProto.FLOAT)
    two = jetson.board.folder / jetson.bound_graph()["graph"]
    code = f"""{PROBLEM}
graphs = {[str(integers), str(two)]}
print(json.dumps([problem(each, calibration={str(path)!r}) for each in graphs]))
"""
    of_integers, of_two = jetson.drive(code)
    assert of_integers[0] == of_two[0] == "unsupported"
    assert of_integers[1].endswith("is for an input of floating-point numbers, x is int32")
    assert of_two[1].endswith("calibration is for one input, not 2")
    assert not jetson.calls("build")
    assert jetson.calls("left") == [[[]]]
