"""Jobs with TensorRT on the real agent, over doubles of TensorRT and of what drives the GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_folder import LOCK, BoardFolder
from tensorrt_board import BYTES, SIZE, TensorRtBoard, kinds

from bench.agent import engines, expectation, wire
from bench.agent.runtimes import RUNTIMES
from bench.agent.tensorrt import presence

COMPUTE_NS = 1_000_000
WHOLE = ["queue in", "queue compute", "queue out"]


@pytest.fixture
def jetson(board: BoardFolder) -> TensorRtBoard:
    """TensorRT 10.3 and pycuda."""
    return TensorRtBoard(board)


def solo(records: list[dict[str, Any]]) -> dict[str, Any]:
    (record,) = kinds(records, "solo")
    return record


def assert_measured_whole(jetson: TensorRtBoard, records: list[dict[str, Any]]) -> None:
    """Every round has the split of its own inferences, and every process gave back what it took."""
    assert records[-1]["kind"] == "end"
    assert not kinds(records, "failure"), kinds(records, "failure")
    rounds = kinds(records, "round")
    assert rounds
    for record in rounds:
        count = len(record["durations_ns"])
        # The double's clock: a nanosecond a byte, in and out.
        assert record["copy_ns"] == [2 * BYTES] * count
        assert record["compute_ns"] == [COMPUTE_NS] * count
    for calls in jetson.said.values():
        assert calls[-1] == ["left", []]
        queued = [words[0] for words in calls if words[0].startswith("queue")]
        assert queued == WHOLE * (len(queued) // 3)


@pytest.mark.parametrize(
    ("version", "cuda"),
    [
        pytest.param("8.0.1", "pycuda", marks=pytest.mark.python36),
        ("10.3.0", "cuda-python"),
    ],
)
def test_engines_are_built_kept_and_run(
    board: BoardFolder, request: pytest.FixtureRequest, version: str, cuda: str
) -> None:
    if version == "8.0.1":
        board.python = request.getfixturevalue("python36")
    jetson = TensorRtBoard(board, version, cuda)
    records = jetson.measure("first", jetson.case(precision="fp16"))
    assert_measured_whole(jetson, records)
    first = solo(records)
    assert (first["runtime_version"], first["providers"]) == (version, ["TensorRT"])
    assert (first["threads"], first["spins_when_parked"]) == (1, False)
    assert first["gpu_memory_bytes"] == 2 * BYTES
    engine = first["engine"]
    assert (engine["device"], engine["compute_capability"]) == ("Double of a GPU", "8.7")
    assert engine["tensorrt"] == f"tensorrt {version}"
    assert engine["cached"] is False
    assert engine["cuda"].startswith(cuda)
    assert engine["builder_options"]["precision"] == "fp16"
    # A process of its own builds; what runs has only loaded.
    ((plan,),) = jetson.calls("build")
    assert (plan["flags"], plan["workspace"]) == (["FP16"], 1 << 28)
    (builder,) = [calls for calls in jetson.said.values() if "build" in [w[0] for w in calls]]
    assert "allocate" not in [words[0] for words in builder]

    again = jetson.drive(
        "facts = session.open(graph, options(precision='fp16'))[1]\n"
        "print(json.dumps(facts['engine']))"
    )
    assert not jetson.calls("build")
    assert again == {**engine, "cached": True}


@pytest.mark.parametrize(
    ("together", "groups"), [(False, [["a"], ["b"], ["cpu"]]), (True, [["a", "b", "cpu"]])]
)
def test_gpu_cases_are_loaded_one_at_a_time_unless_they_are_to_pair(
    jetson: TensorRtBoard, together: bool, groups: list[list[str]]
) -> None:
    cases = [jetson.case("a"), jetson.case("b"), jetson.board.case("cpu")]
    records = jetson.measure("first", *cases, gpu_together=together)
    assert kinds(records, "groups")[0]["groups"] == groups
    measured = [record["case"] for record in kinds(records, "round")]
    assert {key: measured.count(key) for key in measured} == dict.fromkeys(("a", "b", "cpu"), 4)
    in_pieces = [
        key for key, before in zip(measured, [None, *measured], strict=False) if key != before
    ]
    assert (len(in_pieces) == 3) is not together


def test_an_engine_is_one_of_its_tensorrt_precision_and_options(jetson: TensorRtBoard) -> None:
    code = """
keys = [session.prepare(graph, options(precision=p))[1]["key"] for p in ("fp32", "fp16", "fp32")]
print(json.dumps(keys))
"""
    fp32, fp16, again = jetson.drive(code)
    assert fp32 == again != fp16
    assert len(jetson.calls("build")) == 2
    other = jetson.drive(code, TENSORRT_DOUBLE="10.4.0")
    assert len({fp32, fp16, *other}) == 4
    assert len(jetson.calls("build")) == 2


def test_an_engine_that_cannot_be_used_is_built_again(jetson: TensorRtBoard) -> None:
    code = """
from glob import glob
from bench.agent import engines
plan, facts = session.prepare(graph, options())
(path,) = glob(options()["engine_cache"] + "/*.engine")
found = []
for bad in (plan[:20], plan[:-1] + b"?"):
    open(path, "wb").write(bad)
    found.append(session.prepare(graph, options())[1])
    assert open(path, "rb").read() == plan
name = engines.stem(graph) + facts["key"]
cache = engines.Cache(options()["engine_cache"])
cache.save(name, plan.replace(b"10.3.0", b"10.2.0"), {"build_s": 1.0, "log": []})
found.append(session.open(graph, options())[1]["engine"])
assert open(path, "rb").read() == plan
print(json.dumps([len(plan), found]))
"""
    size, (short, damaged, foreign) = jetson.drive(code)
    assert not short["cached"] and f"has 20 of {size} bytes: built again" in short["log"][0]
    assert not damaged["cached"] and "is damaged: built again" in damaged["log"][0]
    assert not foreign["cached"] and "refuses the cached engine" in foreign["log"][0]
    assert "Version tag does not match" in foreign["log"][0]


def test_bound_inputs_go_to_the_gpu_once(jetson: TensorRtBoard) -> None:
    case = jetson.case(paths=jetson.bound_graph(), bound="artifacts/bound.json")
    assert_measured_whole(jetson, jetson.measure("bound", case))
    for calls in jetson.said.values():
        uploads = [words for words in calls if words[0] == "upload"]
        runs = any(words[0] == "queue compute" for words in calls)
        assert uploads == ([["upload", SIZE * BYTES]] if runs else [])
    assert {size for (size,) in jetson.calls("queue in")} == {BYTES}


def test_a_cuda_graph_replays_the_computation(board: BoardFolder) -> None:
    jetson = TensorRtBoard(board, cuda="cuda-python")
    records = jetson.measure("graph", jetson.case(cuda_graph=True, layer_profile=True))
    assert solo(records)["engine"]["cuda_graph"] is True
    layers = solo(records)["engine"]["layers"]
    assert layers == [{"name": "product", "ms": 0.25}, {"name": "last", "ms": 0.25}]
    assert all(set(record["compute_ns"]) == {COMPUTE_NS} for record in kinds(records, "round"))
    assert {count for (count,) in jetson.calls("launch graph")} == {1}
    assert len(jetson.calls("destroy graph")) == 2
    assert all(calls[-1] == ["left", []] for calls in jetson.said.values())


def test_int8_is_calibrated_once_with_the_given_images(jetson: TensorRtBoard) -> None:
    images = jetson.board.folder / "images.npy"
    np.save(images, np.random.default_rng(5).standard_normal((9, SIZE)).astype(np.float32))
    code = f"""
from glob import glob
import os
wanted = options(precision="int8", calibration={str(images)!r})
_, facts = session.prepare(graph, wanted)
for path in glob(wanted["engine_cache"] + "/*.engine"):
    os.remove(path)
session.prepare(graph, wanted)
print(json.dumps(facts))
"""
    facts = jetson.drive(code)
    assert facts["builder_options"]["calibration"] == f"images.npy, {images.stat().st_size} bytes"
    assert [plan["flags"] for (plan,) in jetson.calls("build")] == [["FP16", "INT8"]] * 2
    # The second time from what the first one learnt: no image is shown again.
    assert jetson.calls("calibrate") == [[1, 9, False], [1, 0, True]]
    assert jetson.calls("left") == [[[]]]


def test_a_case_whose_engine_cannot_be_built_costs_no_other_one(board: BoardFolder) -> None:
    jetson = TensorRtBoard(board, "8.2.1")
    records = jetson.measure(
        "two", jetson.case("no", jetson.graph("no", "Det")), jetson.case("yes")
    )
    (failure,) = kinds(records, "failure")
    assert (failure["case"], failure["reason"]) == ("no", "unsupported")
    # TensorRT 8 tells the operator in its log alone.
    assert "TensorRT 8.2.1 does not take node 1 (Det): No importer" in failure["text"]
    assert "While parsing node number 1" in failure["detail"]
    assert solo(records)["case"] == "yes"


def test_what_cannot_be_had_is_one_clear_line_each(jetson: TensorRtBoard) -> None:
    erf = jetson.board.folder / jetson.graph("memory", "Erf")["graph"]
    bound = jetson.board.folder / jetson.bound_graph()["graph"]
    (bound.parent / "short.bin").write_bytes(b"short")
    entry = {"file": "short.bin", "offset": 0, "bytes": 64, "shape": [16], "dtype": "float32"}
    (bound.parent / "short.json").write_text(json.dumps({"inputs": {"w": entry}}))
    code = f"""
import numpy
from bench.agent import failure
def problem(graph, feed={{}}, **more):
    try:
        session.open(graph, options(**more))[0](["y"], feed)
    except Exception as error:
        found = failure.from_exception(error, "load")
        return [found.reason, found.text]
row = numpy.zeros((1, {SIZE}), "float32")
print(json.dumps([
    problem({str(erf)!r}),
    problem(graph, precision="int8"),
    problem(graph, precision="int8", calibration="none.npy"),
    problem(graph, precision="fp16"),
    problem({str(bound)!r}, {{"x": row}}),
    problem({str(bound)!r}, bound={str(bound.parent / "short.json")!r}),
    problem(graph, {{"x": row[:, 1:]}}),
]))
"""
    found = jetson.drive(code, TENSORRT_DOUBLE_SLOW="fp16")
    assert [reason for reason, _ in found] == [
        "out-of-memory",
        "unsupported",
        "load",
        "unsupported",
        "load",
        "load",
        "load",
    ]
    wanted = [
        "add swap, or choose a smaller batch",
        "give images with `--calibration FOLDER`",
        "none.npy is not on the board",
        "this GPU has no fast fp16: choose another precision",
        "input w is neither fed nor bound",
        "short.bin ends before byte 64",
        "input x has shape (1, 63), the engine wants (1, 64)",
    ]
    for (_, text), part in zip(found, wanted, strict=True):
        assert part in text


def test_strongly_typed_releases_refuse_precisions_that_the_graph_lacks(
    jetson: TensorRtBoard,
) -> None:
    code = """
from bench.agent.failure import Failure
_, facts = session.prepare(graph, options())
try:
    session.prepare(graph, options(precision="fp16"))
except Failure as failure:
    print(json.dumps([facts["builder_options"], failure.text]))
"""
    builder_options, text = jetson.drive(code, TENSORRT_DOUBLE="11.0.0")
    assert (builder_options["typing"], builder_options["flags"]) == ("strong", [])
    assert jetson.calls("build")[0][0]["network_flags"] == 2
    assert "TensorRT 11.0.0 takes fp16 only from a graph that is fp16 itself" in text


@pytest.mark.parametrize("cuda", ["pycuda", "cuda-python"])
def test_too_little_memory_of_the_gpu_is_told_as_such(board: BoardFolder, cuda: str) -> None:
    code = """
from bench.agent import failure
try:
    session.open(graph, options())
except Exception as error:
    problem = failure.from_exception(error, "load")
    print(json.dumps([problem.reason, problem.text]))
"""
    jetson = TensorRtBoard(board, cuda=cuda)
    reason, text = jetson.drive(code, GPU_DOUBLE_BYTES=str(BYTES))
    assert reason == "out-of-memory"
    assert "out of memory" in text
    assert jetson.calls("left") == [[[]]]


@pytest.mark.python36
def test_cuda_graphs_without_cuda_python_are_refused_with_the_fix(
    board: BoardFolder, python36: Path
) -> None:
    board.python = python36
    code = """
from bench.agent.failure import Failure
try:
    session.open(graph, options(cuda_graph=True))
except Failure as failure:
    print(json.dumps(failure.text))
"""
    text = TensorRtBoard(board).drive(code, TENSORRT_DOUBLE="8.2.1")
    assert text.startswith("CUDA graphs need cuda-python (pycuda has no CUDA graphs")
    assert text.endswith("python3 -m pip install cuda-python")


def test_the_probe_tells_the_version_or_that_there_is_no_gpu(jetson: TensorRtBoard) -> None:
    assert jetson.probe() == {"version": "10.3.0", "providers": ["TensorRT"], "problem": None}
    assert "no CUDA-capable device" in jetson.probe(GPU_DOUBLE_BYTES="0")["problem"]


def test_bindings_that_are_missing_are_told_from_no_tensorrt(tmp_path: Path) -> None:
    def answer(**environment: str) -> str:
        # Without its packages this Python has no TensorRT.
        argv = [sys.executable, "-I", "-S", "-c", RUNTIMES["tensorrt"].PROBE]
        if environment:
            argv.remove("-I")
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 1
        return done.stderr.splitlines()[-1]

    assert answer() == "ModuleNotFoundError: No module named 'tensorrt'"
    library = tmp_path / "libnvinfer.so.8.2.1"
    library.touch()
    said = answer(LD_LIBRARY_PATH=str(tmp_path))
    assert f"TensorRT is installed ({library}), but its Python bindings are not" in said
    assert "sudo apt-get install python3-libnvinfer" in said
    bindings = tmp_path / "usr/lib/python3.6/dist-packages/tensorrt"
    bindings.mkdir(parents=True)
    assert f"bindings are in {bindings}, for the system's Python" in str(presence.missing(tmp_path))


@pytest.mark.python36
def test_neither_pycuda_nor_cuda_python_is_told_with_the_fix(
    board: BoardFolder, python36: Path
) -> None:
    board.python = python36
    problem = TensorRtBoard(board, "8.2.1", cuda="").probe()["problem"]
    assert "TensorRT 8.2.1 cannot be used: pycuda or cuda-python is needed" in problem
    assert "python3 -m pip install pycuda" in problem


def test_engines_go_when_no_kept_job_uses_their_graph(jetson: TensorRtBoard) -> None:
    board = jetson.board
    jetson.drive("print(json.dumps(session.prepare(graph, options())[1]))")
    job = board.job([jetson.case()], job_id="kept")
    (job / wire.JOURNAL_FILE).touch()  # as of a job that died
    folder = board.folder / "engines"
    (engine,), (timing,) = folder.glob("*.engine"), folder.glob("*.timing")
    removed = {item["path"] for item in board.ask("clean", LOCK, "yes")["removable"]}
    assert str(timing) in removed
    assert engine.exists()
    (job / wire.COLLECTED_FILE).touch()
    removable = board.ask("clean", LOCK, "yes")["removable"]
    assert {item["path"] for item in removable if item["what"] == "engine"} == {
        str(engine),
        str(engine.with_suffix(".json")),
    }
    assert not list(folder.iterdir())


def test_a_build_is_expected_where_no_engine_of_the_graph_is_kept(jetson: TensorRtBoard) -> None:
    graph = jetson.board.folder / jetson.graph()["graph"]
    folder = jetson.board.folder / "engines"
    case = jetson.case(engine_cache=str(folder)) | {"graph": str(graph)}
    (folder / f"{graph.stem}-onnxruntime-fp32.engine").mkdir(parents=True)
    assert expectation.build_s(case) == engines.BUILD_S
    jetson.drive("print(json.dumps(session.prepare(graph, options())[1]))")
    assert expectation.build_s(case) == 0
    assert expectation.build_s(jetson.board.case("b")) == 0
