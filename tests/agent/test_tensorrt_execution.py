"""What the agent makes of an engine that runs, or does not, over doubles of TensorRT and a GPU."""

from __future__ import annotations

import json

import onnx
import pytest
from board_folder import BoardFolder
from tensorrt_board import BYTES, SIZE, TensorRtBoard

from bench.export.rounding import as_half

PROBLEM = f"""
import numpy
from bench.agent import failure
row = numpy.ones((1, {SIZE}), "float32")
def problem(feed=None, graph=graph, **more):
    try:
        session.open(graph, options(**more))[0](["y"], {{"x": row}} if feed is None else feed)
    except Exception as error:
        found = failure.from_exception(error, "load")
        return [found.reason, found.text]
"""
REFUSED = "IExecutionContext::enqueueV3: Error Code 1"


@pytest.fixture
def jetson(board: BoardFolder) -> TensorRtBoard:
    """TensorRT 10.3 and cuda-python."""
    return TensorRtBoard(board, cuda="cuda-python")


@pytest.mark.parametrize(
    ("version", "cuda"), [("8.2.1", "pycuda"), ("8.5.2", "cuda-python"), ("10.3.0", "pycuda")]
)
def test_each_inference_computes_its_own_inputs(
    board: BoardFolder, version: str, cuda: str
) -> None:
    code = f"""
import numpy, onnxruntime
execution = session.open(graph, options())[0]
reference = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
row = numpy.random.RandomState(1).standard_normal((1, {SIZE})).astype("float32")
found = [execution(["y"], {{"x": factor * row}})[0] for factor in (1, -1, 2)]
wanted = [reference.run(["y"], {{"x": factor * row}})[0] for factor in (1, -1, 2)]
same = [bool(numpy.allclose(*pair, rtol=1e-6)) for pair in zip(found, wanted)]
differ = not numpy.array_equal(found[0], found[1])
splits = [part for _ in range(2) for part in execution.take_split().values()]
print(json.dumps([same, differ] + splits))
"""
    jetson = TensorRtBoard(board, version, cuda)
    copies, computation = [2 * BYTES] * 3, [1_000_000] * 3
    assert jetson.drive(code) == [[True] * 3, True, copies, computation, [], []]
    assert jetson.calls("left") == [[[]]]


def test_inputs_are_cast_but_lose_nothing(jetson: TensorRtBoard) -> None:
    code = f"""{PROBLEM}
print(json.dumps([
    problem({{"x": row.astype("float64")}}),
    problem({{"x": row.astype("complex64")}}),
]))
"""
    assert jetson.drive(code) == [None, ["load", "input x is complex64, the engine wants float32"]]


def test_bound_inputs_are_cast_but_lose_nothing(jetson: TensorRtBoard) -> None:
    graph = jetson.board.folder / jetson.bound_graph()["graph"]
    (graph.parent / "long.bin").write_bytes(bytes(8 * SIZE * SIZE))
    entry = {"file": "long.bin", "offset": 0, "bytes": 8 * SIZE * SIZE, "shape": [SIZE, SIZE]}
    for dtype in ("float64", "complex64"):
        inputs = {"w": {**entry, "dtype": dtype}}
        (graph.parent / f"{dtype}.json").write_text(json.dumps({"inputs": inputs}))
    code = f"""{PROBLEM}
print(json.dumps([
    problem(graph={str(graph)!r}, bound={str(graph.parent)!r} + "/%s.json" % dtype)
    for dtype in ("float64", "complex64")
]))
"""
    wanted = ["load", "bound input w is complex64, the engine wants float32"]
    assert jetson.drive(code) == [None, wanted]
    assert jetson.calls("left") == [[[]]]


def test_bound_inputs_of_a_graph_that_rounds_are_rounded_once(jetson: TensorRtBoard) -> None:
    graph = jetson.board.folder / jetson.bound_graph()["graph"]
    half = graph.with_name("half.onnx")
    onnx.save(as_half(onnx.load(graph), {"w"}), half)
    code = f"""
import numpy
row = numpy.random.RandomState(1).standard_normal((1, {SIZE})).astype("float32")
bound = {str(graph.with_name("bound.json"))!r}
found = [session.open(path, options(bound=bound))[0](["y"], {{"x": row}})[0]
         for path in ({str(graph)!r}, {str(half)!r})]
error = abs(found[0] - found[1]).max() / abs(found[0]).max()
print(json.dumps([str(found[1].dtype), float(error)]))
"""
    dtype, error = jetson.drive(code)
    assert dtype == "float32"
    assert 0 < error < 2e-3  # half an 11-bit step per factor, in a sum of 64
    assert jetson.calls("upload") == [[4 * SIZE * SIZE], [2 * SIZE * SIZE]]


@pytest.mark.parametrize("option", ["", "cuda_graph=True", "layer_profile=True"])
def test_an_engine_that_does_not_run_is_told_in_tensorrts_words(
    jetson: TensorRtBoard, option: str
) -> None:
    code = f"{PROBLEM}\nprint(json.dumps(problem({option})))"
    reason, text = jetson.drive(code, TENSORRT_DOUBLE_REFUSES="run")
    assert reason == "crash"
    assert text.startswith(f"TensorRT could not run the engine: {REFUSED}")
    assert jetson.calls("left") == [[[]]]


@pytest.mark.parametrize(
    ("refuses", "why"),
    [
        ("capture", REFUSED),
        ("silent capture", "operation failed due to a previous error during capture"),
    ],
)
def test_an_engine_that_cannot_be_captured_still_runs_without_a_graph(
    jetson: TensorRtBoard, refuses: str, why: str
) -> None:
    code = f"{PROBLEM}\nprint(json.dumps([problem(cuda_graph=True), problem()]))"
    (reason, text), without = jetson.drive(code, TENSORRT_DOUBLE_REFUSES=refuses)
    assert reason == "unsupported"
    assert text.startswith("the engine cannot be captured as a CUDA graph (")
    assert why in text
    assert text.endswith("leave out `--cuda-graph`")
    assert without is None
    assert jetson.calls("left") == [[[]]]


def test_memory_of_the_builder_is_not_counted_as_the_models(jetson: TensorRtBoard) -> None:
    code = """
from glob import glob
from bench.agent import engines
def memory():
    run, found = session.open(graph, options())
    return [run.after_first()["gpu_memory_bytes"], found["engine"]["cached"]]
built, cached = memory(), memory()
(path,) = glob(options()["engine_cache"] + "/*.engine")
plan, facts = session.prepare(graph, options())
cache = engines.Cache(options()["engine_cache"])
name = engines.stem(graph) + facts["key"]
cache.save(name, plan.replace(b"10.3.0", b"10.2.0"), {"build_s": 1.0, "log": []})
print(json.dumps([built, cached, memory()]))
"""
    assert jetson.drive(code) == [[2 * BYTES, False], [2 * BYTES, True], [2 * BYTES, False]]
