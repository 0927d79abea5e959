"""What is kept of TensorRT's builds, and what becomes of it when something goes wrong."""

from __future__ import annotations

import pytest
from board_folder import BoardFolder
from onnx import TensorProto
from tensorrt_board import SIZE, TensorRtBoard

SETUP = f"""
import glob, os
import numpy
from bench.agent import engines, failure
row = numpy.ones((1, {SIZE}), "float32")
def problem(graph=graph, **more):
    try:
        session.open(graph, options(**more))[0](["y"], {{"x": row}})
    except Exception as error:
        found = failure.from_exception(error, "load")
        return [found.reason, found.text]
"""


@pytest.fixture
def jetson(board: BoardFolder) -> TensorRtBoard:
    """TensorRT 10.3 and cuda-python."""
    return TensorRtBoard(board, cuda="cuda-python")


@pytest.mark.parametrize("doing", ["load", "run"])
def test_memory_that_runs_out_costs_no_good_engine(jetson: TensorRtBoard, doing: str) -> None:
    jetson.drive("print(json.dumps(session.prepare(graph, options())[1]))")
    (engine,) = (jetson.board.folder / "engines").glob("*.engine")
    before = engine.stat()
    reason, text = jetson.drive(
        SETUP + "print(json.dumps(problem()))", TENSORRT_DOUBLE_REFUSES=f"memory to {doing}"
    )
    assert reason == "out-of-memory"
    done = {"load": "loaded", "run": "run"}[doing]
    assert text.startswith(f"memory ran out while the engine was {done} (")
    assert text.endswith("add swap, or choose a smaller batch")
    assert not jetson.calls("build")
    after = engine.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert jetson.calls("left") == [[[]]]
    assert jetson.drive(SETUP + "print(json.dumps(problem()))") is None
    assert not jetson.calls("build")


BUILDS = """
for precision in ("fp32", "fp16"):
    found = session.prepare(graph, options(precision=precision))[1]
    assert not found["cached"]
(timings,) = glob.glob(options()["engine_cache"] + "/*.timing") or [None]
print(json.dumps(timings and open(timings).read()))
"""


def test_a_build_knows_the_timings_that_the_last_one_learnt(jetson: TensorRtBoard) -> None:
    # The double adds a letter per build.
    assert jetson.drive(SETUP + BUILDS) == "tt"
    assert jetson.calls("timings") == [[""], ["t"]]


def test_timings_that_tensorrt_does_not_take_cost_no_engine(jetson: TensorRtBoard) -> None:
    assert jetson.drive(SETUP + BUILDS, TENSORRT_DOUBLE_REFUSES="old timings") == "t"
    assert jetson.calls("timings") == [[""], [""]]
    for path in (jetson.board.folder / "engines").iterdir():
        path.unlink()
    assert jetson.drive(SETUP + BUILDS, TENSORRT_DOUBLE_REFUSES="timings") is None
    assert jetson.calls("timings") == []
    assert len(list((jetson.board.folder / "engines").glob("*.engine"))) == 2


def test_a_damaged_note_or_engine_leads_to_a_new_one(jetson: TensorRtBoard) -> None:
    code = f"""{SETUP}
plan, facts = session.prepare(graph, options())
stem = options()["engine_cache"] + "/" + engines.stem(graph) + facts["key"]
engine, note = stem + ".engine", stem + ".json"
whole = json.load(open(note))
logs = []
def again():
    made, facts = session.prepare(graph, options())
    assert made == plan == open(engine, "rb").read()
    assert json.load(open(note))["bytes"] == len(plan)
    logs.append([facts["cached"], facts["log"]])
    assert session.prepare(graph, options())[1]["cached"]
for bad in ({{"bytes": 4}}, dict(whole, bytes="x"), dict(whole, crc32=None), [1], {{}}):
    with open(note, "w") as stream:
        json.dump(bad, stream)
    again()
os.remove(engine)
os.mkdir(engine)
again()
print(json.dumps(logs))
"""
    logs = jetson.drive(code)
    assert [cached for cached, _ in logs] == [False] * 6
    told = [log[0] for _, log in logs]
    assert all(line.startswith("W: the cached engine tiny-") for line in told)
    assert all(line.endswith(": built again") for line in told)
    reasons = ["no whole note", "of x bytes", "is damaged", "no whole note", "no whole note"]
    reasons.append("cannot be read (")
    for line, reason in zip(told, reasons, strict=True):
        assert reason in line
    assert len(jetson.calls("build")) == 7


def test_an_output_that_numpy_has_no_type_for_is_refused(jetson: TensorRtBoard) -> None:
    graph = str(jetson.typed_graph(TensorProto.FLOAT, TensorProto.BFLOAT16))
    reason, text = jetson.drive(f"{SETUP}print(json.dumps(problem({graph!r})))")
    assert reason == "unsupported"
    assert text.startswith("inputs and outputs of type BF16 cannot be passed")
    assert jetson.calls("left") == [[[]]]
