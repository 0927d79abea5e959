"""Whole jobs on this machine, through the agent's command line."""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from board_folder import PROCEDURE, BoardFolder, make_reference, tiny_model
from onnx import TensorProto, helper

from bench.agent import schedule

Tree = Callable[[dict[str, str]], Path]
Record = dict[str, Any]

CHIP = "/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"


def of_kind(records: list[Record], kind: str, **fields: Any) -> list[Record]:
    wanted = {"kind": kind, **fields}
    return [r for r in records if all(r.get(key) == value for key, value in wanted.items())]


def test_a_job_from_start_to_end(any_board: BoardFolder) -> None:
    board = any_board
    cases = [board.case("a"), board.case("b")]
    records = board.measure(board.job(cases, sensor=board.replay_sensor(watts=3.0)))
    kinds = [record["kind"] for record in records]
    rounds = PROCEDURE["latency_rounds"] + PROCEDURE["energy_rounds"]
    before = ["start", "state", "health", "solo", "solo"]
    before += ["groups", "idle", "step", "warmup", "warmup"]
    after = ["stopping", "idle", "health", "state", "end"]
    assert kinds == [*before, *["round"] * (2 * rounds), *after]
    assert of_kind(records, "groups")[0]["groups"] == [["a", "b"]]
    assert records[-1]["reason"] == "finished"
    for solo in of_kind(records, "solo"):
        assert solo["parity"]["passed"]
        assert solo["parity"]["top1_agreement"] == 1.0
        assert 0 < solo["load_rise_bytes"] < solo["peak_bytes"]
        assert solo["imported_bytes"] < solo["peak_bytes"]
        assert solo["providers"] == ["CPUExecutionProvider"]
        assert min(solo["import_s"], solo["load_s"], solo["first_s"]) > 0


def test_rounds_hold_raw_times_and_an_enclosed_window(board: BoardFolder) -> None:
    records = board.measure(board.job([board.case("a")], sensor=board.replay_sensor(watts=3.0)))
    latency = of_kind(records, "round", type="latency")
    assert [record["index"] for record in latency] == list(range(PROCEDURE["latency_rounds"]))
    for record in latency:
        assert sum(record["durations_ns"]) >= PROCEDURE["latency_round_s"] * 1e9
        assert record["trace"] is None
        assert record["window_ns"] is None
    (energy,) = of_kind(records, "round", type="energy")
    opens, closes = energy["window_ns"]
    load_ends = energy["start_ns"] + sum(energy["durations_ns"])
    assert opens == energy["start_ns"] + PROCEDURE["settle_s"] * 1e9
    assert closes - opens == PROCEDURE["energy_window_s"] * 1e9
    assert load_ends >= closes + PROCEDURE["energy_tail_s"] * 1e9
    for record in (energy, *of_kind(records, "idle")):
        trace = record["trace"]
        first, last = trace["t_after_ns"][0], trace["t_before_ns"][-1]
        assert first <= record["window_ns"][0] < record["window_ns"][1] <= last
        assert trace["channels"] == ["VDD"]
        assert {value for (value,) in trace["values"]} == {3.0}
        assert all(a <= b for a, b in zip(trace["t_before_ns"], trace["t_after_ns"], strict=True))
        steps = [b - a for a, b in pairwise(trace["t_before_ns"])]
        assert len(set(steps)) > 1  # jittered
        assert 0.003e9 < statistics.median(steps) < 0.02e9


def test_the_order_of_rounds_is_that_of_the_seed(board: BoardFolder) -> None:
    cases = [board.case(key) for key in "abc"]
    changes = {"latency_rounds": 6, "latency_round_s": 0.005, "warmup_min_s": 0.02, "seed": 5}
    records = board.measure(board.job(cases, **changes))
    taken = [("round", r["type"], r["index"], r["case"]) for r in of_kind(records, "round")]
    draw = random.Random(5)
    assert [taken] == schedule.segment_rounds({**PROCEDURE, **changes}, False, "abc", draw)


def test_without_a_sensor_there_is_no_power(board: BoardFolder) -> None:
    records = board.measure(board.job([board.case("a")]))
    assert not of_kind(records, "idle")
    assert not of_kind(records, "round", type="energy")
    assert len(of_kind(records, "round")) == PROCEDURE["latency_rounds"]


def test_power_comes_from_the_rails_of_a_board(board: BoardFolder, tree: Tree) -> None:
    files = {f"{CHIP}/in1_input": "5000\n", f"{CHIP}/curr1_input": "1200\n"}
    root = tree({**files, f"{CHIP}/in1_label": "VDD_IN\n"})
    sensor = {**board.replay_sensor(), "name": "ina3221", "channels": ["VDD_IN"]}
    records = board.measure(board.job([board.case("a")], sensor=sensor, root=str(root)))
    (energy,) = of_kind(records, "round", type="energy")
    assert {value for (value,) in energy["trace"]["values"]} == {6.0}
    assert energy["background"] is None  # the fake tree has no /proc/stat
    assert of_kind(records, "health")[0]["available_bytes"] is None


def test_background_is_a_share(board: BoardFolder) -> None:
    records = board.measure(board.job([board.case("a")], latency_round_s=0.2, latency_rounds=2))
    assert all(0 <= record["background"] <= 1 for record in of_kind(records, "round"))


def test_a_sensor_that_is_not_there_costs_only_the_power(board: BoardFolder) -> None:
    sensor = {**board.replay_sensor(), "channels": ["VDD_IN"]}
    records = board.measure(board.job([board.case("a")], sensor=sensor))
    (lost,) = of_kind(records, "sensor")
    assert "VDD_IN" in lost["text"]
    assert not of_kind(records, "idle")
    assert len(of_kind(records, "round", type="latency")) == PROCEDURE["latency_rounds"]
    assert records[-1]["reason"] == "finished"


def test_a_wrong_output_leaves_a_case_without_numbers(board: BoardFolder) -> None:
    good = board.case("good")
    graph = board.folder / good["graph"]
    make_reference(graph, graph.with_name("wrong.npz"), error=0.01)
    wrong = board.case("wrong", reference="artifacts/wrong.npz")
    records = board.measure(board.job([wrong, good]))
    (failure,) = of_kind(records, "failure")
    assert (failure["case"], failure["reason"]) == ("wrong", "parity")
    assert failure["parity"]["max_abs_error"] == pytest.approx(0.01, rel=0.01)
    assert {r["case"] for r in records if r["kind"] in ("solo", "warmup", "round")} == {"good"}


def test_outputs_that_are_no_numbers_fail_parity(board: BoardFolder) -> None:
    graph = tiny_model(board.folder / "artifacts" / "nan.onnx", operator="Sqrt")
    reference = make_reference(graph, graph.with_suffix(".npz"))
    arrays = dict(np.load(reference))
    np.savez(reference, **{**arrays, "out0": np.nan_to_num(arrays["out0"])})
    case = board.case("nan", graph="artifacts/nan.onnx", reference="artifacts/nan.npz")
    (failure,) = of_kind(board.measure(board.job([case])), "failure")
    assert failure["reason"] == "parity"
    assert "not finite" in failure["text"]
    assert failure["parity"]["max_abs_error"] is None


def test_files_that_cannot_be_loaded_fail_only_their_case(any_board: BoardFolder) -> None:
    board = any_board
    (board.folder / "artifacts" / "broken.onnx").write_bytes(b"not a model")
    cases = [
        board.case("missing", graph="artifacts/missing.onnx"),
        board.case("broken", graph="artifacts/broken.onnx"),
        board.case("unknown", runtime="tensorflow"),
        board.case("good"),
    ]
    records = board.measure(board.job(cases))
    failures = {record["case"]: record for record in of_kind(records, "failure")}
    assert {record["reason"] for record in failures.values()} == {"load"}
    assert "artifacts/missing.onnx is not on the board" in failures["missing"]["text"]
    assert "onnxruntime" in failures["unknown"]["text"]
    assert all("\n" not in record["text"] for record in failures.values())
    assert "Traceback" in failures["broken"]["detail"]
    assert len(of_kind(records, "round", case="good")) == PROCEDURE["latency_rounds"]


def test_a_model_too_large_for_the_memory(board: BoardFolder) -> None:
    """Its output of 4 TB is asked for only when it runs."""
    graph = helper.make_graph(
        [helper.make_node("Expand", ["x", "shape"], ["y"])],
        "huge",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1]),
            helper.make_tensor_value_info("shape", TensorProto.INT64, [2]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    path = board.folder / "artifacts" / "huge.onnx"
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=7), path)
    names = json.dumps({"inputs": ["x", "shape"], "outputs": ["y"]})
    x, shape = np.ones(1, np.float32), np.array([1 << 20, 1 << 20])
    np.savez(path.with_suffix(".npz"), in0=x, in1=shape, out0=x, names=np.array(names))
    case = board.case("huge", graph="artifacts/huge.onnx", reference="artifacts/huge.npz")
    (failure,) = of_kind(board.measure(board.job([case])), "failure")
    assert failure["reason"] == "out-of-memory"


@pytest.mark.parametrize(
    ("sent", "reason", "said"),
    [
        (signal.SIGSEGV, "crash", "SIGSEGV"),
        (signal.SIGKILL, "crash", "SIGKILL"),
        (signal.SIGSTOP, "hang", "killed"),
    ],
)
def test_a_worker_lost_in_a_round_fails_only_its_case(
    board: BoardFolder, sent: signal.Signals, reason: str, said: str
) -> None:
    cases = [board.case("lost"), board.case("kept")]
    limits = {"load_s": 60, "answer_s": 1.0}
    job = board.job(cases, latency_rounds=12, latency_round_s=0.1, limits=limits)
    board.start(job)
    board.wait_for(job, "round")
    os.kill(board.worker_pid("lost"), sent)
    board.wait_for_end(job)
    records = board.records(job)
    (failure,) = of_kind(records, "failure")
    assert (failure["case"], failure["reason"]) == ("lost", reason)
    assert said in failure["text"]
    assert ("Fatal Python error" in failure["detail"]) is (sent == signal.SIGSEGV)
    assert len(of_kind(records, "round", case="kept")) == 12
    assert len(of_kind(records, "round", case="lost")) < 12
    assert records[-1]["reason"] == "finished"


def test_processes_that_cannot_be_started_cost_their_case_or_the_power(board: BoardFolder) -> None:
    cases = [board.case("lost"), board.case("kept")]
    job = board.job(cases, sensor=board.replay_sensor())
    for name in ("worker-0.log", "sampler.log"):
        (job / name).mkdir()
    records = board.measure(job)
    (failure,) = of_kind(records, "failure")
    assert (failure["case"], failure["reason"]) == ("lost", "load")
    assert "cannot start a process" in failure["text"]
    assert "cannot start a process" in of_kind(records, "sensor")[0]["text"]
    assert len(of_kind(records, "round", case="kept")) == PROCEDURE["latency_rounds"]


def test_a_worker_with_threads_tells_whether_they_spin(any_board: BoardFolder) -> None:
    case = any_board.case("a", options={"threads": 2})
    (solo,) = of_kind(any_board.measure(any_board.job([case])), "solo")
    assert solo["threads"] == 2
    old = solo["runtime_version"].startswith("1.10.")
    assert solo["spins_when_parked"] is old


def test_the_worker_writes_the_graph_that_it_runs(board: BoardFolder) -> None:
    options = {"threads": 1, "optimized_model_path": "jobs/job-1/optimised.onnx"}
    job = board.job([board.case("a", options=options)])
    board.measure(job)
    nodes = onnx.load(job / "optimised.onnx").graph.node
    assert nodes
