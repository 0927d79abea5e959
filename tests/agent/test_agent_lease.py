"""The one lock of a board: who has it, how long, and that nothing dead keeps it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from board_folder import LOCK, PROJECT, BoardFolder

from bench.agent import identity, lease

# Holds the lock of argv[1] in a child that outlives its parent; says when it is there.
ORPHAN = """
import os, sys, time
from bench.agent import lease
held, _ = lease.take("lock", sys.argv[1], "orphaned", "ada@laptop")
held.announce(60)
child = os.fork()
if child:
    print(child, flush=True)
    os._exit(0)
os.close(1)
os.close(2)
time.sleep(60)
"""


def long_job(board: BoardFolder, name: str = "long") -> Path:
    return board.job([board.case("a")], job_id=name, latency_rounds=400, latency_round_s=0.05)


def neighbour(board: BoardFolder, tmp_path: Path) -> BoardFolder:
    """Another user's board folder on the same board."""
    return BoardFolder(tmp_path / "neighbour", board.python)


def take(folder: Path) -> Any:
    held, busy = lease.take(LOCK, str(folder), "mine", "me@here")
    assert busy is None
    return held


def test_all_users_of_a_board_share_one_lease(any_board: BoardFolder, tmp_path: Path) -> None:
    board, other = any_board, neighbour(any_board, tmp_path)
    lock = str(tmp_path / "bench-agent.lock")
    job = long_job(board)
    board.ask("start", job, lock)
    board.wait_for(job, "round")
    their_job = other.job([other.case("a")])
    answers = [
        other.ask("start", their_job, lock),
        other.ask("probe", "/", "{}", lock),
        other.ask("restore", lock),
        other.ask("clean", lock, "yes"),
        other.ask("jobs", lock),
    ]
    for answer in answers:
        busy = answer["busy"]
        assert (busy["job_id"], busy["owner"]) == ("long", "ada@laptop")
        assert busy["pid"] == board.conductors[-1]
        assert 0 < busy["left_s"] < 300
        assert busy["user"] and busy["since_wall_s"] > 0
    assert other.ask("status", their_job)["state"] == "new"
    assert board.ask("stop", job)["state"] == "finished"
    other.ask("start", their_job, lock)
    other.wait_for_end(their_job)


def test_the_time_left_follows_the_conductors_reckoning(board: BoardFolder) -> None:
    job = long_job(board)
    expected_s = board.start(job)["expected_s"]
    board.wait_for(job, "round")
    left_s = board.ask("jobs", LOCK)["busy"]["left_s"]
    assert 0 < left_s < expected_s
    assert left_s == pytest.approx(board.ask("status", job)["remaining_s"], abs=5)
    board.ask("stop", job)


def test_a_lock_that_others_may_write_is_made_for_all(tmp_path: Path) -> None:
    previous = os.umask(0o077)
    try:
        take(tmp_path).release()
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / LOCK).stat().st_mode) == 0o666


def test_what_a_dead_holder_wrote_is_of_no_account(board: BoardFolder) -> None:
    record = {"job_id": "old", "pid": os.getpid(), "since_wall_s": 1.0, "ends_ns": 2**62}
    text = json.dumps({**record, **identity.of(os.getpid())})
    (board.folder / LOCK).write_text(text)
    assert board.ask("jobs", LOCK)["busy"] is None
    assert board.measure(board.job([board.case("a")]))[-1]["reason"] == "finished"


def test_a_killed_conductor_frees_the_board_at_once(any_board: BoardFolder) -> None:
    board = any_board
    killed = long_job(board, "killed")
    board.start(killed)
    board.wait_for(killed, "round")
    os.kill(board.conductors[-1], signal.SIGKILL)
    board.wait_for_end(killed)
    assert board.ask("jobs", LOCK)["busy"] is None
    assert "pid" in board.start(board.job([board.case("a")], job_id="next"))
    board.wait_for_end(killed)


def test_a_process_that_outlives_its_conductor_keeps_the_board_busy(board: BoardFolder) -> None:
    """As a worker does that the kernel cannot end."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    argv = [sys.executable, "-c", ORPHAN, str(board.folder)]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=True)
    orphan = int(done.stdout)
    try:
        busy = board.start(board.job([board.case("a")]))["busy"]
        assert busy["job_id"] == "orphaned"
        assert busy["left_s"] is None  # nobody reckons any more
    finally:
        os.kill(orphan, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while board.ask("jobs", LOCK)["busy"] is not None:
        assert time.monotonic() < deadline


def test_workers_and_sampler_hold_the_lease_too(board: BoardFolder) -> None:
    job = board.job([board.case("a")], sensor=board.replay_sensor(), latency_rounds=200)
    board.start(job)
    board.wait_for(job, "idle")
    lock = board.folder / LOCK
    holders = {pid for pid in _descendants(board.conductors[-1]) if _has_open(pid, lock)}
    assert len(holders) == 3  # with the conductor
    board.ask("stop", job)


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(child) for child in children)]


def _has_open(pid: int, path: Path) -> bool:
    return any(os.path.samestat(fd.stat(), path.stat()) for fd in _open_files(pid))


def _open_files(pid: int) -> list[Path]:
    return [fd for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.exists()]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\xff\x00{",
        b"[]",
        b"[" * lease.RECORD_BYTES,
        b'{"job_id": {}, "pid": "../1", "since_wall_s": 1e400, "ends_ns": 1e3}',
        b'{"job_id": "\\u001b[31m\\n", "pid": true, "since_wall_s": NaN}',
        b'{"pid": 1, "boot_id": 5, "start_ticks": [], "since_wall_s": -1}',
    ],
)
def test_a_holder_that_says_nonsense_is_somebody(tmp_path: Path, said: bytes) -> None:
    held = take(tmp_path)
    (tmp_path / LOCK).write_bytes(said)
    _, busy = lease.take(LOCK, str(tmp_path), "other", "")
    held.release()
    assert (busy["job_id"], busy["owner"], busy["user"]) in (
        ("unknown",) * 3,
        ("[31m", "unknown", "unknown"),
    )
    assert busy["left_s"] is None
    assert abs(busy["since_wall_s"] - (tmp_path / LOCK).stat().st_mtime) < 60
    json.dumps(busy, allow_nan=False)


def test_asking_takes_nothing_away_from_who_starts(tmp_path: Path) -> None:
    """A question holds the lock for a moment, which a start waits out."""
    asks = "import sys, time; from bench.agent import lease\n"
    asks += "end = time.monotonic() + 3\n"
    asks += "while time.monotonic() < end: lease.holder('lock', sys.argv[1])"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    argv = [sys.executable, "-c", asks, str(tmp_path)]
    with subprocess.Popen(argv, env=environment) as process:
        while process.poll() is None:
            take(tmp_path).release()


@pytest.mark.parametrize("obstacle", ["missing folder", "link", "folder", "second name"])
def test_a_lock_that_cannot_be_had_falls_back_to_the_board_folder_and_is_told(
    board: BoardFolder, tmp_path: Path, obstacle: str
) -> None:
    wanted, victim = tmp_path / "bench-agent.lock", tmp_path / "victim"
    victim.write_text("precious")
    if obstacle == "missing folder":
        wanted = tmp_path / "missing" / "bench-agent.lock"
    elif obstacle == "link":
        wanted.symlink_to(victim)
    elif obstacle == "folder":
        wanted.mkdir()
    else:
        wanted.hardlink_to(victim)
    told = board.ask("probe", "/", "{}", wanted)["lock"]
    assert told["path"] == str(board.folder / LOCK)
    assert str(wanted) in told["problem"] and "\n" not in told["problem"]
    job = long_job(board)
    board.ask("start", job, wanted)
    assert board.ask("jobs", wanted)["busy"]["job_id"] == "long"
    assert victim.read_text() == "precious"
    board.ask("stop", job)


def test_a_lock_that_can_be_had_is_told_without_a_problem(
    board: BoardFolder, tmp_path: Path
) -> None:
    wanted = tmp_path / "bench-agent.lock"
    assert board.ask("probe", "/", "{}", wanted)["lock"] == {"path": str(wanted), "problem": None}


def test_a_lock_file_that_was_removed_is_not_held(tmp_path: Path) -> None:
    first = take(tmp_path)
    (tmp_path / LOCK).unlink()
    second = take(tmp_path)
    _, busy = lease.take(LOCK, str(tmp_path), "third", "")
    assert busy["job_id"] == "mine"
    first.release()
    second.release()
