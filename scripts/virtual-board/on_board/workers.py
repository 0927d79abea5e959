"""How much CPU time bench's workers take on this board."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")

LOOK_S = 0.25
"""How often new workers are looked for."""

YOUNG_S = 2.0
"""A process this young may still become a worker: it forks first and gets its name then."""


class Workers:
    """The worker processes of bench's agent, recognised by their command line."""

    def __init__(self) -> None:
        self._seen_at_s: dict[str, float] = {}
        self._workers: set[str] = set()
        self._threads: dict[Path, _Thread] = {}
        self._looked_s = 0.0

    def cpu_s(self) -> float:
        """CPU seconds of all workers since the last call; a new thread counts from here on."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            self._look(now_s)
        return sum(thread.used_ns() for thread in self._threads.values()) / 1e9

    def _look(self, now_s: float) -> None:
        names = [name for name in os.listdir(PROC) if name.isdigit()]  # noqa: PTH208 (costs less)
        self._seen_at_s = {name: self._seen_at_s.get(name, now_s) for name in names}
        young = {name for name in names if now_s - self._seen_at_s[name] < YOUNG_S}
        self._workers = {name for name in self._workers if name in self._seen_at_s}
        self._workers |= {name for name in young if _is_worker(name)}
        found = {thread for name in self._workers for thread in _thread_folders(name)}
        for ended in self._threads.keys() - found:
            self._threads.pop(ended).close()
        for new in found - self._threads.keys():
            with contextlib.suppress(OSError):  # it ended in the meantime
                self._threads[new] = _Thread(new)


class _Thread:
    """The time that a thread has spent on a CPU, finer than the ticks of /proc/PID/stat."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / "schedstat", os.O_RDONLY)
        self._last_ns = 0
        self.used_ns()

    def used_ns(self) -> int:
        """Nanoseconds since the last call, none for a thread that has ended."""
        try:
            now_ns = int(os.pread(self._fd, 64, 0).split()[0])
        except OSError:
            return 0
        grown_ns, self._last_ns = now_ns - self._last_ns, now_ns
        return grown_ns

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)


def _is_worker(name: str) -> bool:
    try:
        words = (PROC / name / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[2:3] == [b"work"] and words[1].endswith(b".pyz")


def _thread_folders(name: str) -> Iterator[Path]:
    with contextlib.suppress(OSError):  # it ended in the meantime
        yield from (PROC / name / "task").iterdir()
