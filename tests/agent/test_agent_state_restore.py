"""Putting the board's state back whatever happens to the job that changed it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from board_folder import LOCK, BoardFolder
from stateful_board import (
    ASKED_ALL,
    LIMITS_KHZ,
    LOWEST_KHZ,
    POLICY,
    StatefulBoard,
    assert_untouched,
    stateful_job,
    states,
)

from bench.agent import clocks, identity, state

MAXN = LIMITS_KHZ[0]


@pytest.fixture
def jetson(tmp_path: Path) -> StatefulBoard:
    return StatefulBoard(tmp_path / "root")


def long_job(board: BoardFolder, jetson: StatefulBoard) -> Path:
    changes = {"latency_rounds": 400, "latency_round_s": 0.05, "state": ASKED_ALL}
    job = stateful_job(board, jetson, **changes)
    board.start(job)
    board.wait_for(job, "round")
    assert jetson.power_mode == "15W"
    return job


def test_a_stopped_job_puts_everything_back(board: BoardFolder, jetson: StatefulBoard) -> None:
    job = long_job(board, jetson)
    board.ask("stop", job)
    assert board.records(job)[-1]["reason"] == "stopped"
    assert states(board, job)["restored"]["problem"] is None
    assert_untouched(jetson)


@pytest.mark.parametrize("contact", ["probe", "restore", "start"])
def test_what_a_killed_job_left_is_put_back_by_the_next_contact(
    any_board: BoardFolder, jetson: StatefulBoard, contact: str
) -> None:
    board = any_board
    job = long_job(board, jetson)
    # While it runs, nobody else touches anything.
    assert board.ask("restore", LOCK)["busy"]["job_id"] == "job-1"
    assert board.ask("probe", jetson.root, "{}", LOCK).keys() == {"busy"}
    assert jetson.power_mode == "15W"
    os.kill(board.conductors[-1], signal.SIGKILL)
    board.wait_for_end(job)
    assert jetson.power_mode == "15W"
    if contact == "probe":
        found = board.ask("probe", jetson.root, "{}", LOCK)["state"]
        assert found["restored"]["job_id"] == "job-1"
        assert found["power_mode"] == "MAXN"
        assert found["power_modes"] == {"0": "MAXN", "1": "15W", "2": "10W"}
    elif contact == "restore":
        assert board.ask("restore", LOCK)["restored"]["power_mode"] == "MAXN"
        assert board.ask("restore", LOCK) == {"restored": None, "problem": None}
    else:
        following = stateful_job(board, jetson, job_id="following")
        board.measure(following)
        assert states(board, following)["before"]["power_mode"] == "MAXN"
    assert_untouched(jetson)


def note_of(board: BoardFolder) -> dict[str, Any]:
    note: dict[str, Any] = json.loads((board.folder / state.FILE).read_text())
    return note


def test_after_a_reboot_only_the_power_mode_is_put_back(
    board: BoardFolder, jetson: StatefulBoard
) -> None:
    job = {"job_id": "j", "root": str(jetson.root), "state": ASKED_ALL}
    state.establish(job, str(board.folder))
    note = note_of(board)
    assert note["boot_id"] == identity.boot_id()
    (board.folder / state.FILE).write_text(json.dumps({**note, "boot_id": "an earlier boot"}))
    # nvpmodel keeps its mode over a reboot; clocks and governor start from their defaults.
    jetson.write("scaling_governor", "powersave")
    assert board.ask("restore", LOCK)["problem"] is None
    assert jetson.power_mode == "MAXN"
    assert jetson.read("scaling_governor") == "powersave"
    assert "jetson_clocks --restore" not in jetson.calls
    assert not (board.folder / state.FILE).exists()


def test_a_failed_restore_is_told_keeps_its_file_and_blocks_the_next_job(
    board: BoardFolder, jetson: StatefulBoard
) -> None:
    job = stateful_job(board, jetson, state={"power_mode": "15W"}, warmup_min_s=0.5)
    board.start(job)
    jetson.touch("broken")
    board.wait_for_end(job)
    problem = states(board, job)["restored"]["problem"]
    assert "is not restored" in problem and "NVPM ERROR" in problem
    assert board.ask("probe", jetson.root, "{}", LOCK)["state"]["problem"] == problem
    refused = board.start(stateful_job(board, jetson, job_id="next"))["refused"]
    assert refused == {"kind": "state", "text": problem}
    (jetson.root / "broken").unlink()
    assert board.ask("restore", LOCK)["restored"]["power_mode"] == "MAXN"
    assert_untouched(jetson)


def test_a_damaged_note_is_told_and_kept(board: BoardFolder) -> None:
    (board.folder / state.FILE).write_text("{")
    assert "by hand" in board.ask("restore", LOCK)["problem"]
    assert (board.folder / state.FILE).exists()


def test_a_clock_that_heat_holds_down_is_no_failed_restore(
    board: BoardFolder, tmp_path: Path
) -> None:
    plain = StatefulBoard(tmp_path / "root", nvpmodel=False, jetson_clocks=False)
    policy = {"scaling_min_freq": str(LOWEST_KHZ), "scaling_max_freq": str(MAXN)}
    policies = {str(plain.root / POLICY): policy}
    plain.write("scaling_max_freq", 1000000)
    assert len(clocks.differences(str(plain.root), policies)) == 1
    device = plain.root / "sys/class/thermal/cooling_device0"
    device.mkdir(parents=True)
    (device / "type").write_text("thermal-cpufreq-0\n")
    (device / "cur_state").write_text("2\n")
    assert clocks.differences(str(plain.root), policies) == []
