"""`bench run --resume`: what is missing is measured, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import signal

import onnx
import pytest
from bench_program import Program

from bench.agent import wire

RUN = ("run", "--plan", "plan.yaml", "--device", "board")


def interrupt(bench: Program) -> str:
    """Press Ctrl-C in the middle of a run of two models; the run's id."""
    bench.plan("one", "two", latency_rounds=60)
    host = bench.start(*RUN)
    bench.wait_for_rounds(4)
    host.send_signal(signal.SIGINT)
    host.communicate()
    assert host.returncode == 130
    (run_id,) = bench.run_ids()
    return run_id


def test_interrupted_cases_are_measured_again_and_the_old_trials_are_kept(bench: Program) -> None:
    run_id = interrupt(bench)
    shown = bench.run("results", "show", run_id)
    assert f"bench run --resume {run_id}" in shown.stderr
    resumed = bench.run("run", "--resume", run_id, "--json")
    assert resumed.returncode == 0, resumed.stderr
    trials = json.loads(resumed.stdout)["trials"]
    assert [trial["trial_id"] for trial in trials] == ["t001r1", "t002r1"]
    assert all(trial["latency"]["rounds"] >= 60 for trial in trials)

    document = bench.json("results", "show", run_id)
    assert [trial["trial_id"] for trial in document["superseded"]] == ["t001", "t002"]
    (resumption,) = document["manifest"]["resumptions"]
    assert "--resume" in resumption["command"]
    assert not document["manifest"]["interrupted"]
    raw = {path.name for path in (bench.folder / "results" / run_id / "raw").iterdir()}
    assert {"t001.latency.parquet", "t001r1.latency.parquet"} <= raw
    (listed,) = bench.json("results", "list")
    assert listed["complete"] and listed["trials"] == 2
    page = (bench.folder / "results" / run_id / "report.html").read_text()
    assert "2 earlier trials of cases that were measured again" in page

    again = bench.run("run", "--resume", run_id, "--json")
    assert again.returncode == 0
    assert len(bench.journals()) == 2


def test_a_case_that_is_done_is_not_measured_again(bench: Program) -> None:
    bench.devices(board={"give_up_after": 1})
    bench.plan("one", "two", latency_rounds=40)
    host = bench.start(*RUN)
    journal = bench.wait_for_rounds(4)
    start = wire.decode_records(journal.read_bytes())[0][0]
    os.kill(start["pid"], signal.SIGKILL)
    _, said = host.communicate()
    assert host.returncode == 4
    (run_id,) = bench.run_ids()
    assert f"bench run --resume {run_id}" in said
    # As if one of them had been whole.
    trials = bench.folder / "results" / run_id / "trials.jsonl"
    one, two = map(json.loads, trials.read_text().splitlines())
    for name in ("latency_status", "energy_status", "memory_status"):
        one[name] = {"status": "valid", "reasons": [], "detail": ""}
    trials.write_text(json.dumps(one) + "\n" + json.dumps(two) + "\n")
    resumed = bench.run("run", "--resume", run_id, "--json")
    assert resumed.returncode == 0, resumed.stderr
    names = {trial["trial_id"] for trial in json.loads(resumed.stdout)["trials"]}
    assert names == {"t001", "t002r1"}
    jobs = {path.parent.name for path in bench.journals()}
    assert jobs == {f"{run_id}-board", f"{run_id}.r1-board"}


def test_a_killed_host_s_job_is_collected_and_only_then_what_lacks_is_measured(
    bench: Program,
) -> None:
    bench.plan("one", latency_rounds=20)
    host = bench.start(*RUN)
    bench.wait_for_rounds(2)
    host.kill()
    host.wait()
    (run_id,) = bench.run_ids()
    resumed = bench.run("run", "--resume", run_id, "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert [trial["trial_id"] for trial in json.loads(resumed.stdout)["trials"]] == ["t001"]
    assert len(bench.journals()) == 1


def test_devices_that_could_not_be_reached_are_measured_later(bench: Program) -> None:
    gone = {"transport": "ssh", "host": "127.0.0.1", "port": 1, "connect_timeout_s": 2}
    bench.devices(board={}, other=gone)
    first = bench.run("run", "--plan", "plan.yaml", "--device", "board,other")
    assert first.returncode == 4
    (run_id,) = bench.run_ids()
    assert bench.run("run", "--resume", run_id).returncode == 4
    bench.devices(board={}, other={})
    assert bench.run("run", "--resume", run_id).returncode == 0
    (listed,) = bench.json("results", "list")
    assert listed["complete"] and listed["trials"] == 2
    assert len(bench.journals("board")) == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--batch", "2"), "--batch"),
        (("--model", "two.onnx", "--no-estimate"), "--model, --no-estimate"),
        (("--device", "board"), "--device"),
        (("--plan", "plan.yaml"), "--plan"),
    ],
)
def test_options_that_would_change_the_plan_are_refused(
    bench: Program, arguments: tuple[str, ...], named: str
) -> None:
    refused = bench.run("run", "--resume", "whatever", *arguments)
    assert refused.returncode == 2
    assert f"leave out {named}" in refused.stderr


def refused(bench: Program, run_id: str, said: str) -> None:
    """A run cannot go on, and nothing was measured for that."""
    done = bench.run("run", "--resume", run_id)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(bench.journals()) == 1


def test_changed_weights_beside_the_file_are_refused(bench: Program) -> None:
    model = onnx.load(bench.folder / "one.onnx")
    onnx.save(
        model,
        bench.folder / "one.onnx",
        save_as_external_data=True,
        location="one.weights",
        size_threshold=0,
    )
    run_id = interrupt(bench)
    (manifest,) = (bench.folder / "results").glob("*/manifest.json")
    file = json.loads(manifest.read_text())["plan"]["files"]["one"]
    path = bench.folder / "one.weights"
    weights = path.read_bytes()
    assert file["external"] == {"one.weights": hashlib.sha256(weights).hexdigest()}
    path.write_bytes(weights + b"\0")
    refused(bench, run_id, "one.weights: has changed since the run began")
    path.unlink()
    refused(bench, run_id, "its weights file 'one.weights' is missing")


def test_what_cannot_be_the_same_is_refused_before_anything_is_measured(bench: Program) -> None:
    run_id = interrupt(bench)
    path = bench.folder / "one.onnx"
    measured = path.read_bytes()
    path.write_bytes((bench.folder / "two.onnx").read_bytes() + b"\0")
    refused(bench, run_id, "one.onnx: has changed since the run began")
    path.unlink()
    refused(bench, run_id, "one.onnx: the run measured this file; it is gone")
    path.write_bytes(measured)
    bench.devices(boards={})
    refused(bench, run_id, "was measured on 'board': unknown device")
