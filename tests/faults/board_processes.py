"""The processes that a job has on a board which is this very machine, told apart by pid."""

from __future__ import annotations

import json
from pathlib import Path

from bench.agent import wire


class BoardProcesses:
    """What runs in one board folder. A process that ends meanwhile is simply not found."""

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir

    def running(self) -> tuple[str, int] | None:
        """The job that runs and the process id of its conductor, ``None`` when there is none."""
        for job in (self._work_dir / "jobs").glob("*"):
            pid = _pid_in_journal(job / wire.JOURNAL_FILE)
            if pid is not None and {"conduct", str(job)} <= set(_words(pid)):
                return job.name, pid
        return None

    def children(self, role: str) -> list[int]:
        """Process ids of the conductor's children of a role: ``work`` or ``sample``."""
        running = self.running()
        if running is None:
            return []
        return [pid for pid in _children(running[1]) if role in _words(pid)]

    def everything(self) -> list[int]:
        """Process ids of all that was started from the board folder, also what only answers."""
        prefix = f"{self._work_dir}/"
        pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        return [pid for pid in pids if any(word.startswith(prefix) for word in _words(pid))]


def _pid_in_journal(journal: Path) -> int | None:
    try:
        with journal.open("rb") as file:
            start, tab, _ = file.readline().rpartition(b"\t")
    except OSError:
        return None
    return int(json.loads(start)["pid"]) if tab else None


def _words(pid: int) -> list[str]:
    """The command line of a process, empty when it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def _children(pid: int) -> list[int]:
    found = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(word) for word in listing.read_text().split()]
        except OSError:
            continue
    return found
