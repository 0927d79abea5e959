"""Starting, watching and stopping jobs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from board_folder import LOCK, PROJECT, BoardFolder

from bench.agent import identity, wire


def long_job(board: BoardFolder, name: str = "long") -> Path:
    return board.job([board.case("a")], job_id=name, latency_rounds=200, latency_round_s=0.05)


def ended(state: str) -> dict[str, Any]:
    times = {"remaining_s": None, "next_checkpoint_s": None}
    return {"state": state, **times, "rebooted": False}


def test_a_second_job_is_told_who_measures(any_board: BoardFolder) -> None:
    board = any_board
    first = long_job(board, "first")
    started = board.start(first)
    assert started["expected_s"] > 10
    answer = board.start(board.job([board.case("a")], job_id="second"))
    assert answer["busy"]["job_id"] == "first"
    assert answer["busy"]["pid"] == started["pid"]
    start = board.wait_for(first, "start")
    assert abs(answer["busy"]["since_wall_s"] - start["wall_s"]) < 30
    board.conductors = [started["pid"]]
    assert board.ask("stop", first)["state"] == "finished"


def test_the_board_is_free_again_after_a_job_and_after_a_killed_one(board: BoardFolder) -> None:
    killed = long_job(board, "killed")
    pid = board.start(killed)["pid"]
    board.wait_for(killed, "solo")
    os.kill(pid, signal.SIGKILL)
    board.wait_for_end(killed)
    assert board.ask("status", killed) == ended("dead")
    board.measure(board.job([board.case("a")], job_id="next"))


def test_stop_ends_after_the_present_round(any_board: BoardFolder) -> None:
    job = long_job(any_board)
    any_board.start(job)
    any_board.wait_for(job, "round")
    assert any_board.ask("stop", job) == ended("finished")
    records = any_board.records(job)
    assert (records[-1]["kind"], records[-1]["reason"]) == ("end", "stopped")
    rounds = [record for record in records if record["kind"] == "round"]
    assert 0 < len(rounds) < 200


def test_sigterm_stops_as_well(board: BoardFolder) -> None:
    job = long_job(board)
    pid = board.start(job)["pid"]
    board.wait_for(job, "round")
    os.kill(pid, signal.SIGTERM)
    board.wait_for_end(job)
    assert board.records(job)[-1]["reason"] == "stopped"


def test_a_stop_that_came_while_the_job_was_being_started_is_heard(board: BoardFolder) -> None:
    job = long_job(board)
    (job / wire.STOP_FILE).touch()
    assert board.measure(job)[-1]["reason"] == "stopped"


def test_stop_of_what_does_not_run_changes_nothing(board: BoardFolder) -> None:
    job = long_job(board)
    assert board.ask("stop", job) == ended("new")
    assert not (job / wire.STOP_FILE).exists()
    assert board.ask("stop", job.with_name("other")) == ended("absent")


def test_status_says_how_long_it_still_takes(board: BoardFolder) -> None:
    job = long_job(board)
    expected_s = board.start(job)["expected_s"]
    board.wait_for(job, "round")
    status = board.ask("status", job)
    assert status["state"] == "running"
    assert 0 < status["remaining_s"] < expected_s
    board.ask("stop", job)


def test_the_job_survives_the_death_of_whoever_started_it(board: BoardFolder) -> None:
    job = board.job([board.case("a")])
    argv = [str(board.python), "-m", "bench.agent", "start", str(job), LOCK]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    script = "import subprocess, sys, os, signal; subprocess.run(sys.argv[1:]);"
    script += "os.killpg(0, signal.SIGKILL)"
    done = subprocess.run(
        [sys.executable, "-c", script, *argv],
        capture_output=True,
        env=environment,
        cwd=board.folder,
        start_new_session=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    board.conductors.append(json.loads(done.stdout)["pid"])
    board.wait_for_end(job)
    assert board.records(job)[-1]["reason"] == "finished"


def test_workers_die_with_a_killed_conductor(board: BoardFolder) -> None:
    job = long_job(board)
    pid = board.start(job)["pid"]
    board.wait_for(job, "round")
    worker = board.worker_pid("a")
    os.kill(pid, signal.SIGKILL)
    board.wait_for_end(job)
    for _ in range(500):
        if not board.is_running(worker):
            break
        signal.sigtimedwait([], 0.01)
    assert not board.is_running(worker)


def test_a_job_is_never_started_twice(any_board: BoardFolder) -> None:
    board = any_board
    job = board.job([board.case("a")])
    records = board.measure(job)
    assert records[0]["version"] == wire.WIRE_VERSION
    before = (job / wire.JOURNAL_FILE).read_bytes()
    refused = board.start(job)["refused"]
    assert refused == {"kind": "job", "text": "job job-1 has been started before"}
    assert (job / wire.JOURNAL_FILE).read_bytes() == before


def test_a_job_of_another_version_is_refused(board: BoardFolder) -> None:
    done = board.agent("start", board.job([board.case("a")], version=99), LOCK)
    assert done.returncode != 0
    assert "wire version 99" in done.stderr


def test_a_conductor_that_cannot_begin_is_an_error_at_once(board: BoardFolder) -> None:
    job = board.job([board.case("a")])
    document = json.loads((job / wire.JOB_FILE).read_text())
    del document["procedure"]["loads"]
    (job / wire.JOB_FILE).write_text(json.dumps(document))
    done = board.agent("start", job, LOCK)
    assert done.returncode != 0
    assert done.stderr.strip().endswith("KeyError: 'loads'")
    assert board.ask("status", job)["state"] == "dead"


def test_a_process_number_that_was_used_again_is_not_the_conductor() -> None:
    mine = identity.of(os.getpid())
    assert identity.is_alive(mine)
    assert not identity.is_alive({**mine, "start_ticks": mine["start_ticks"] - 1})
    assert not identity.is_alive({**mine, "boot_id": "another boot"})
