"""Setting the board's state for a job, or refusing that before anything is changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from board_folder import LOCK, PROJECT, BoardFolder
from stateful_board import (
    ASKED_ALL,
    GPU_LIMITS_KHZ,
    LIMITS_KHZ,
    LOWEST_KHZ,
    NO_SUDO,
    StatefulBoard,
    assert_untouched,
    stateful_job,
    states,
)

from bench.agent import privilege, state

MAXN, W15 = LIMITS_KHZ[0], LIMITS_KHZ[1]


@pytest.fixture
def jetson(tmp_path: Path) -> StatefulBoard:
    return StatefulBoard(tmp_path / "root")


def test_a_job_gets_the_state_it_asks_for_and_the_board_its_own_again(
    any_board: BoardFolder, jetson: StatefulBoard
) -> None:
    board = any_board
    job = stateful_job(board, jetson, state=ASKED_ALL)
    records = board.measure(job)
    assert records[-1] == {"kind": "end", "t_ns": records[-1]["t_ns"], "reason": "finished"}
    seen = states(board, job)
    assert list(seen) == ["before", "set", "after", "restored"]
    assert all(record["problem"] is None for record in seen.values())
    for where in ("before", "restored"):
        assert (seen[where]["power_mode"], seen[where]["clocks"]) == ("MAXN", None)
        assert seen[where]["governor"] == {"cpu0": "schedutil"}
    for where in ("set", "after"):
        assert (seen[where]["power_mode"], seen[where]["clocks"]) == ("15W", "max")
        assert seen[where]["governor"] == {"cpu0": "performance"}
        assert seen[where]["frequency_min_khz"] == {"cpu0": W15}
    health = [record for record in records if record["kind"] == "health"]
    assert [record["frequency_min_khz"]["cpu0"] for record in health] == [W15, W15]
    assert_untouched(jetson)
    assert not (board.folder / state.FILE).exists()


def test_the_clock_of_the_gpu_is_read_back_too(board: BoardFolder, jetson: StatefulBoard) -> None:
    jetson.add_gpu()
    job = stateful_job(board, jetson, state={"clocks": "max"})
    records = board.measure(job)
    seen = states(board, job)
    lowest, highest = GPU_LIMITS_KHZ
    assert (seen["before"]["frequency_min_khz"]["gpu"], seen["before"]["clocks"]) == (lowest, None)
    assert (seen["set"]["frequency_min_khz"]["gpu"], seen["set"]["clocks"]) == (highest, "max")
    health = [record for record in records if record["kind"] == "health"]
    assert [record["frequency_max_khz"]["gpu"] for record in health] == [highest] * 2


def test_a_gpu_that_is_not_pinned_is_noticed(board: BoardFolder, jetson: StatefulBoard) -> None:
    jetson.add_gpu()
    jetson.touch("unpinnable-gpu")
    answer = board.start(stateful_job(board, jetson, state={"clocks": "max"}))
    assert "the GPU has a clock between 306000 and 624750 kHz" in json.dumps(answer)
    assert_untouched(jetson)


def test_a_job_that_asks_for_nothing_changes_nothing(
    board: BoardFolder, jetson: StatefulBoard
) -> None:
    job = stateful_job(board, jetson)
    board.measure(job)
    seen = states(board, job)
    assert list(seen) == ["before", "after"]
    assert seen["before"]["power_mode"] == "MAXN"
    assert jetson.calls == []


def test_the_power_mode_comes_before_the_clocks_and_pinned_clocks_come_back(
    board: BoardFolder, jetson: StatefulBoard
) -> None:
    jetson.write("scaling_min_freq", MAXN)  # somebody had run jetson_clocks
    board.measure(stateful_job(board, jetson, state={"power_mode": "1", "clocks": "max"}))
    assert jetson.calls == [
        "jetson_clocks --store",
        "nvpmodel -m 1",
        "jetson_clocks ",
        "nvpmodel -m 0",
        "jetson_clocks --restore",
    ]
    assert jetson.limits_khz == (MAXN, MAXN)


def test_the_mode_that_the_board_is_in_is_not_set_again(
    board: BoardFolder, jetson: StatefulBoard
) -> None:
    board.measure(stateful_job(board, jetson, state={"power_mode": "maxn"}))
    assert not [call for call in jetson.calls if call.startswith("nvpmodel")]


def test_without_jetson_clocks_the_limits_of_the_cpus_are_pinned(
    board: BoardFolder, tmp_path: Path
) -> None:
    plain = StatefulBoard(tmp_path / "root", nvpmodel=False, jetson_clocks=False)
    plain.write("scaling_max_freq", 1000000)
    job = stateful_job(board, plain, state={"clocks": "max"})
    board.measure(job)
    seen = states(board, job)["set"]
    assert (seen["power_mode"], seen["clocks"]) == (None, "max")
    assert seen["frequency_max_khz"] == {"cpu0": MAXN}
    assert plain.limits_khz == (LOWEST_KHZ, 1000000)


@pytest.mark.parametrize(
    ("asked", "parts", "said"),
    [
        ({"power_mode": "30W"}, {}, "no power mode '30W'; it has: MAXN (id 0), 15W (id 1)"),
        ({"power_mode": "9"}, {}, "no power mode '9'"),
        ({"power_mode": "15W"}, {"nvpmodel": False}, "the board has no nvpmodel"),
        ({"governor": "turbo"}, {}, "no governor 'turbo'; it has: schedutil, performance"),
    ],
)
def test_what_the_board_does_not_have_is_refused_with_what_it_has(
    board: BoardFolder, tmp_path: Path, asked: dict[str, str], parts: dict[str, Any], said: str
) -> None:
    jetson = StatefulBoard(tmp_path / "root", **parts)
    answer = board.start(stateful_job(board, jetson, state=asked))
    assert answer["refused"]["kind"] == "state"
    assert said in answer["refused"]["text"]
    assert jetson.calls == []
    assert not (board.folder / state.FILE).exists()


@pytest.mark.parametrize("asked", [{"clocks": "max"}, {"governor": "performance"}])
def test_a_board_without_clock_control_is_refused(
    board: BoardFolder, tmp_path: Path, asked: dict[str, str]
) -> None:
    (tmp_path / "empty").mkdir()
    job = board.job([board.case("a")], root=str(tmp_path / "empty"), state=asked)
    assert "no cpufreq" in board.start(job)["refused"]["text"]


def start_as_user(board: BoardFolder, job: Path) -> dict[str, Any]:
    """Answer of ``start`` to somebody who is not root, also where the tests run as root."""
    code = "import os; os.geteuid = lambda: 65534\nfrom bench.agent.main import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code, "start", str(job), LOCK],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        cwd=board.folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_refused_sudo_names_the_sudoers_line_before_anything_is_changed(
    board: BoardFolder, tmp_path: Path
) -> None:
    jetson = StatefulBoard(tmp_path / "root", sudo=NO_SUDO)
    job = stateful_job(board, jetson, state={"power_mode": "15W", "governor": "performance"})
    text = start_as_user(board, job)["refused"]["text"]
    assert "\n" not in text and "sudo: a password is required" in text
    assert "if this user may be as good as root there (jetson_clocks" in text
    line = text.partition("add the line: ")[2]
    policy = f"{jetson.root}/sys/devices/system/cpu/cpu0/cpufreq"
    tee = privilege.find_command("/", "tee")
    assert line.partition(" ALL=(root) NOPASSWD: ")[2].split(", ") == [
        f"{jetson.root}/usr/sbin/nvpmodel",
        f"{jetson.root}/usr/bin/jetson_clocks",
        *(f"{tee} {policy}/scaling_{name}" for name in ("governor", "min_freq", "max_freq")),
    ]
    assert jetson.calls == []
    assert_untouched(jetson)
    assert not (board.folder / state.FILE).exists()


def test_no_sudo_at_all_is_refused(board: BoardFolder, jetson: StatefulBoard) -> None:
    (jetson.root / "usr/bin/sudo").unlink()
    job = stateful_job(board, jetson, state={"clocks": "max"})
    assert "the board has no sudo" in start_as_user(board, job)["refused"]["text"]


def test_everything_works_through_sudo(
    board: BoardFolder, jetson: StatefulBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    job = {"job_id": "j", "root": str(jetson.root), "state": ASKED_ALL}
    state.establish(job, str(board.folder))
    assert (jetson.power_mode, jetson.limits_khz) == ("15W", (W15, W15))
    assert jetson.read("scaling_governor") == "performance"
    assert state.restore(str(board.folder))["problem"] is None
    assert_untouched(jetson)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("needs-reboot", "left the board in power mode MAXN: NVPM WARN: Reboot required"),
        ("broken", "nvpmodel -m 1` failed: NVPM ERROR: no such device"),
        ("unpinnable", "has a clock between 115200 and 1420000 kHz"),
    ],
)
def test_a_state_that_is_not_taken_is_refused_and_put_back(
    board: BoardFolder, jetson: StatefulBoard, fault: str, said: str
) -> None:
    jetson.touch(fault)
    answer = board.start(stateful_job(board, jetson, state=ASKED_ALL))
    assert said in answer["refused"]["text"]
    assert_untouched(jetson)
    assert not (board.folder / state.FILE).exists()


def test_a_state_that_changes_during_the_job_is_journaled(
    board: BoardFolder, jetson: StatefulBoard
) -> None:
    job = stateful_job(board, jetson, state={"power_mode": "15W", "clocks": "max"}, warmup_min_s=1)
    board.start(job)
    board.wait_for(job, "solo")
    subprocess.run([jetson.root / "usr/sbin/nvpmodel", "-m", "2"], check=True)
    board.wait_for_end(job)
    after = states(board, job)["after"]
    assert after["power_mode"] == "10W"
    assert "the power mode is 10W" in after["problem"] and "has a clock between" in after["problem"]
    assert_untouched(jetson)
