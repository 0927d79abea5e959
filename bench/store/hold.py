"""One process at a time writes a run: whoever does holds the lock of its folder."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import BinaryIO

LOCK_FILE = ".lock"
# Whoever only looks whether a folder is held does hold it for a moment.
PATIENCE_S = 0.5
PAUSE_S = 0.02


def hold(folder: Path) -> BinaryIO:
    """Hold a run's folder until the returned file is closed, at the latest by this process's end.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the folder cannot be written to.
    """
    held = (folder / LOCK_FILE).open("ab")
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return held
        except BlockingIOError:
            if time.monotonic() > deadline:
                held.close()
                raise
            time.sleep(PAUSE_S)


def is_held(folder: Path) -> bool:
    """Whether a process is at work on a run."""
    try:
        file = (folder / LOCK_FILE).open("rb")
    except OSError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
