"""Faults of the board in the middle of a job: what was measured is kept, and the rest goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from board_folder import LOCK, PROJECT, BoardFolder
from stateful_board import ASKED_ALL, StatefulBoard, assert_untouched, stateful_job, states

from bench.agent import state, wire

Tree = Callable[[dict[str, str]], Path]
Record = dict[str, Any]

CHIP = "/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
RAIL = {f"{CHIP}/in1_label": "VDD_IN\n", f"{CHIP}/in1_input": "5000\n"}
CURRENT = f"{CHIP}/curr1_input"
AGENT = "agent-0123456789abcdef.pyz"
DAY_S = 86400

# Shifts the wall clock of every process that loads it by the seconds in a file.
WALL_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long shift(void) {
    long seconds = 0;
    FILE *file = fopen(getenv("WALL_CLOCK_SHIFT"), "r");
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int clock_gettime(clockid_t id, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, now);
    if (id == CLOCK_REALTIME) now->tv_sec += shift();
    return result;
}
time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *result, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    result->tv_sec = now.tv_sec;
    result->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


def of_kind(records: list[Record], kind: str, **fields: Any) -> list[Record]:
    wanted = {"kind": kind, **fields}
    return [r for r in records if all(r.get(key) == value for key, value in wanted.items())]


def whole_records(job: Path) -> list[Record]:
    """The records of a journal that has nothing but whole ones."""
    records, problems = wire.decode_records((job / wire.JOURNAL_FILE).read_bytes())
    assert problems == []
    return records


@pytest.fixture
def jetson(tmp_path: Path) -> StatefulBoard:
    return StatefulBoard(tmp_path / "root")


@pytest.mark.parametrize("seen", ["start", "solo", "idle", "round", "stopping"])
def test_a_conductor_killed_at_any_time_leaves_a_readable_journal_and_a_board_to_restore(
    board: BoardFolder, jetson: StatefulBoard, seen: str
) -> None:
    sensor = board.replay_sensor()
    job = stateful_job(board, jetson, state=ASKED_ALL, sensor=sensor, settle_s=0.3)
    board.start(job)
    board.wait_for(job, seen)
    os.kill(board.conductors[-1], signal.SIGKILL)
    board.wait_for_end(job)
    assert board.ask("status", job)["state"] == "dead"
    assert of_kind(whole_records(job), seen)
    assert board.ask("probe", jetson.root, "{}", LOCK)["state"]["restored"]["job_id"] == "job-1"
    assert_untouched(jetson)


def test_a_start_that_is_killed_before_its_job_began_can_be_made_again(
    any_board: BoardFolder, jetson: StatefulBoard
) -> None:
    """As when the link is cut and the server ends what it had started."""
    board = any_board
    jetson.touch("slow")
    job = stateful_job(board, jetson, state=ASKED_ALL)
    argv = [str(board.python), "-m", "bench.agent", "start", str(job), LOCK]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        argv, cwd=board.folder, env=environment, start_new_session=True
    ) as process:
        while not (board.folder / state.FILE).exists():
            assert process.poll() is None
            time.sleep(0.01)
        # It is under way: nobody is to take it for one that was never asked for.
        assert board.ask("status", job)["state"] == "running"
        # With the nvpmodel that it waits for, which would go on changing the board otherwise.
        os.killpg(process.pid, signal.SIGKILL)
    (jetson.root / "slow").unlink()
    assert board.ask("status", job)["state"] == "new"
    assert board.measure(job)[-1]["reason"] == "finished"
    assert states(board, job)["before"]["power_mode"] == "MAXN"
    assert_untouched(jetson)


def test_a_worker_that_the_kernel_killed_for_memory_is_told_so(
    any_board: BoardFolder, tree: Tree
) -> None:
    board = any_board
    root = tree({"/proc/vmstat": "nr_free_pages 1\noom_kill 3\n"})
    cases = [board.case("greedy"), board.case("kept")]
    job = board.job(cases, root=str(root), latency_rounds=12, latency_round_s=0.1)
    board.start(job)
    board.wait_for(job, "round")
    tree({"/proc/vmstat": "nr_free_pages 1\noom_kill 4\n"})
    os.kill(board.worker_pid("greedy"), signal.SIGKILL)
    board.wait_for_end(job)
    (failure,) = of_kind(board.records(job), "failure")
    assert (failure["case"], failure["reason"]) == ("greedy", "out-of-memory")
    assert len(of_kind(board.records(job), "round", case="kept")) == 12


def test_a_worker_and_not_the_conductor_is_ended_when_memory_runs_out(
    any_board: BoardFolder,
) -> None:
    board = any_board
    job = board.job([board.case("a")], latency_rounds=100, latency_round_s=0.05)
    board.start(job)
    board.wait_for(job, "round")

    def score(pid: int) -> int:
        return int(Path(f"/proc/{pid}/oom_score_adj").read_text())

    assert score(board.worker_pid("a")) == 1000 > score(board.conductors[-1])
    board.ask("stop", job)


def power_job(board: BoardFolder, root: Path) -> Path:
    """Latency and energy rounds for some seconds on a board with one rail."""
    sensor = {**board.replay_sensor(), "name": "ina3221", "channels": ["VDD_IN"]}
    limits = {"load_s": 60, "answer_s": 1.0}
    rounds = {"latency_rounds": 20, "latency_round_s": 0.1, "energy_rounds": 6}
    return board.job([board.case("a")], sensor=sensor, root=str(root), limits=limits, **rounds)


@pytest.mark.parametrize("said", [b"", b"banana\n", b"9" * 60])
def test_a_sensor_that_talks_garbage_leaves_gaps_and_the_latency(
    board: BoardFolder, tree: Tree, said: bytes
) -> None:
    root = tree({**RAIL, CURRENT: "1200\n"})
    job = power_job(board, root)
    board.start(job)
    board.wait_for(job, "step")
    (root / CURRENT.lstrip("/")).write_bytes(said)
    board.wait_for_end(job)
    records = board.records(job)
    assert len(of_kind(records, "round", type="latency")) == 20
    last = of_kind(records, "round", type="energy")[-1]
    assert {value for (value,) in last["trace"]["values"]} == {None}
    assert records[-1]["reason"] == "finished"


def test_a_sensor_that_hangs_is_lost_and_the_latency_goes_on(
    any_board: BoardFolder, tree: Tree
) -> None:
    board = any_board
    root = tree({**RAIL, CURRENT: "1200\n"})
    current = root / CURRENT.lstrip("/")
    job = power_job(board, root)
    board.start(job)
    board.wait_for(job, "step")
    pipe = current.with_name("pipe")
    os.mkfifo(pipe)
    current.write_bytes(b"")  # a read that fails has the file opened anew
    time.sleep(0.05)
    pipe.rename(current)
    board.wait_for_end(job)
    records = board.records(job)
    (lost,) = of_kind(records, "sensor")
    assert "no answer to" in lost["text"]
    assert len(of_kind(records, "round", type="latency")) == 20
    assert len(of_kind(records, "round", type="energy")) < 6
    assert records[-1]["reason"] == "finished"


def test_a_wall_clock_that_jumps_changes_nothing(any_board: BoardFolder, tmp_path: Path) -> None:
    """Needs a C compiler. The machine's own clock is not touched: other programs use it."""
    board = any_board
    compiler = shutil.which("cc")
    assert compiler, "this test needs a C compiler: install gcc"
    library, shift = tmp_path / "wall_clock.so", tmp_path / "shift"
    (tmp_path / "wall_clock.c").write_text(WALL_CLOCK)
    argv = [compiler, "-shared", "-fPIC", "-o", library, tmp_path / "wall_clock.c", "-ldl"]
    subprocess.run(argv, check=True)
    shift.write_text(str(-20 * 365 * DAY_S))
    environment = {"LD_PRELOAD": str(library), "WALL_CLOCK_SHIFT": str(shift)}
    sensor = board.replay_sensor()
    job = board.job([board.case("a")], sensor=sensor, latency_rounds=30, latency_round_s=0.05)
    expected_s = board.start(job, env=environment)["expected_s"]
    board.wait_for(job, "solo")
    shift.write_text(str(10 * 365 * DAY_S))
    board.wait_for(job, "round")
    answer = board.ask("status", job, env=environment)
    assert answer["state"] == "running"
    assert 0 <= answer["remaining_s"] <= expected_s
    assert 0 <= board.ask("jobs", LOCK, env=environment)["busy"]["left_s"] <= expected_s
    shift.write_text("0")
    board.wait_for_end(job)
    records = board.records(job)
    assert time.time() - records[0]["wall_s"] > 19 * 365 * DAY_S  # the jump was real
    assert records[-1]["reason"] == "finished"
    stamps = [record["t_ns"] for record in records if "t_ns" in record]
    assert stamps == sorted(stamps)
    assert stamps[-1] - stamps[0] < 120e9
    for record in of_kind(records, "round"):
        assert all(0 < duration < 10e9 for duration in record["durations_ns"])
    assert len(of_kind(records, "round", type="latency")) == 30


@pytest.mark.parametrize("fate", ["removed", "replaced"])
def test_a_job_goes_on_when_its_agent_is_removed_or_replaced(
    any_board: BoardFolder, fate: str
) -> None:
    board = any_board
    packed = board.pack(AGENT)
    job = board.job([board.case("a"), board.case("b")], loads=2, latency_rounds=8)
    board.start(job)
    board.wait_for(job, "start")
    newer = board.folder / "agent-fedcba9876543210.pyz"
    newer.write_bytes(b"not an agent")
    if fate == "removed":
        packed.unlink()
    else:
        newer.rename(packed)
    board.wait_for_end(job)
    records = board.records(job)
    assert not of_kind(records, "failure")
    assert {r["load"] for r in of_kind(records, "round")} == {0, 1}  # workers started later
    assert records[-1]["reason"] == "finished"


def test_a_newer_agent_reads_what_an_older_one_does(board: BoardFolder) -> None:
    """Another version is pushed beside the one at work and asks about its job."""
    board.pack(AGENT)
    job = board.job([board.case("a")], latency_rounds=200, latency_round_s=0.05)
    board.start(job)
    board.wait_for(job, "round")
    board.pack("agent-fedcba9876543210.pyz")
    assert board.ask("status", job)["state"] == "running"
    assert board.ask("jobs", LOCK)["busy"]["job_id"] == "job-1"
    assert board.ask("stop", job)["state"] == "finished"
    removable = board.ask("clean", LOCK, "no")["removable"]
    assert [Path(item["path"]).name for item in removable] == [AGENT]


def test_a_board_folder_knows_a_reboot(board: BoardFolder) -> None:
    job = board.job([board.case("a")], latency_rounds=200, latency_round_s=0.05)
    board.start(job)
    board.wait_for(job, "round")
    os.kill(board.conductors[-1], signal.SIGKILL)
    board.wait_for_end(job)
    assert board.ask("status", job) == {
        "state": "dead",
        "remaining_s": None,
        "next_checkpoint_s": None,
        "rebooted": False,
    }
    # The same files after a power cut: all identifiers of this boot are those of an earlier one.
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    lines = [{**r, "boot_id": "earlier"} if "boot_id" in r else r for r in board.records(job)]
    journal = b"".join(wire.encode_record(record) for record in lines)
    (job / wire.JOURNAL_FILE).write_bytes(journal + b'{"kind":"rou')
    conductor = (job / "conductor.json").read_text()
    (job / "conductor.json").write_text(conductor.replace(boot_id, "earlier"))
    lock = (board.folder / LOCK).read_text()
    (board.folder / LOCK).write_text(lock.replace(boot_id, "earlier"))
    answer = board.ask("status", job)
    assert (answer["state"], answer["rebooted"]) == ("dead", True)
    assert board.ask("jobs", LOCK)["busy"] is None
