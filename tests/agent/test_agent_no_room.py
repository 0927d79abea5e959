"""A disk that is full, or files that may not grow: what was measured is kept."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from board_folder import LOCK, BoardFolder
from stateful_board import ASKED_ALL, StatefulBoard, assert_untouched, stateful_job

from bench.agent import state, wire

AS_ROOT = [] if os.getuid() == 0 else ["sudo", "-n"]


def can_mount() -> bool:
    """Whether a small file system may be made for a test."""
    if not AS_ROOT:
        return True
    argv = [*AS_ROOT, "true"]
    return shutil.which("sudo") is not None and subprocess.run(argv, check=False).returncode == 0


@pytest.fixture
def jetson(tmp_path: Path) -> StatefulBoard:
    return StatefulBoard(tmp_path / "root")


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[], None]]:
    """A file system of 2 MB; yields what fills it."""
    folder.mkdir()
    options = f"size=2m,mode=0700,uid={os.getuid()}"
    subprocess.run([*AS_ROOT, "mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)

    def fill() -> None:
        with (folder / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(b"\0" * 4096)

    try:
        yield fill
    finally:
        subprocess.run([*AS_ROOT, "umount", "-l", folder], check=True)


def limit_files(size: int) -> Callable[[], None]:
    """What lets a process and all that it starts write no file beyond a size, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("want", ["limit", *(["full disk"] if can_mount() else [])])
def test_a_job_that_finds_no_more_room_keeps_what_it_has(
    tmp_path: Path, python: Path, jetson: StatefulBoard, want: str
) -> None:
    """Where a disk may be mounted, also on a full one."""
    rounds = {"latency_rounds": 200, "latency_round_s": 0.01}
    if want == "limit":
        board = BoardFolder(tmp_path / "board", python)
        job = stateful_job(board, jetson, state=ASKED_ALL, **rounds)
        board.start(job, preexec_fn=limit_files(200000))
        died_for_want_of_room(board, jetson, job, "File too large")
        return
    with small_disk(tmp_path / "disk") as fill:
        board = BoardFolder(tmp_path / "disk" / "board", python)
        job = stateful_job(board, jetson, state=ASKED_ALL, **rounds)
        board.start(job)
        board.wait_for(job, "round")
        fill()
        died_for_want_of_room(board, jetson, job, "No space left on device")


def died_for_want_of_room(board: BoardFolder, jetson: StatefulBoard, job: Path, why: str) -> None:
    """Assert that a job ended with all it had, a clear line, and the board as it was."""
    board.wait_for_end(job)
    assert board.ask("status", job)["state"] == "dead"
    records, problems = wire.decode_records((job / wire.JOURNAL_FILE).read_bytes())
    assert problems == []
    kinds = {record["kind"] for record in records}
    assert "round" in kinds and "end" not in kinds
    line = (job / "conductor.log").read_text().splitlines()[-1]
    assert line.startswith(f"the journal {job}/journal.jsonl cannot be written ({why})")
    assert board.ask("restore", LOCK) == {"restored": None, "problem": None}
    assert_untouched(jetson)
    assert not (board.folder / state.FILE).exists()


def test_without_room_to_note_the_boards_state_it_is_not_changed(
    any_board: BoardFolder, jetson: StatefulBoard
) -> None:
    board = any_board
    job = stateful_job(board, jetson, state=ASKED_ALL)
    text = board.start(job, preexec_fn=limit_files(200))["refused"]["text"]
    assert "state.json cannot be written (File too large)" in text and "\n" not in text
    assert_untouched(jetson)
    assert board.measure(job)[-1]["reason"] == "finished"
