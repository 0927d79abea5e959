"""Notes on this disk of the places that bench has taken.

A coordinator keeps a place for whoever took it, also when that program is gone; nothing there tells
who that was beyond ``host/user``. So each place that is taken for bench is noted here, with the
time of its last change as the coordinator has it: a place that still has it is the one of the note,
any other was taken by its user, and is left alone.

Whoever uses a place holds a lock beside its note, shared with others of this machine: a note that
nobody locks was left behind, and the last one to let go returns the place.
"""

from __future__ import annotations

import fcntl
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

import platformdirs

from bench.device.labgrid.coordinator import TAKING_S
from bench.device.retry import Interrupted
from bench.errors import PlaceError
from bench.store.files import safe_name, write_atomic

# Another process may be about to take the place, and after that to return it.
PATIENCE_S = 2 * TAKING_S
PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Note:
    """That ``owner`` took a place of a coordinator.

    ``changed``: the place's time of last change since then, ``None`` while it is being taken.
    ``token`` and ``filters`` are those of the reservation that gave it, if one did.
    """

    coordinator: str
    place: str
    owner: str
    changed: float | None = None
    token: str | None = None
    filters: dict[str, str] = field(default_factory=dict)


class NoteFile:
    """The note on one place, and the lock beside it."""

    def __init__(self, coordinator: str, place: str) -> None:
        self.place = place
        self._path = _folder() / f"{safe_name(f'{coordinator}-{place}')}.json"
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock: BinaryIO = self._path.with_suffix(".lock").open("ab")
        except OSError as error:
            raise self._unwritable(error) from None

    def lock(self, cancel: threading.Event) -> bool:
        """Lock the note and return whether nobody else has it.

        Alone, others wait until :meth:`share`. Not alone, the place is in use by those others.

        Raises:
            Interrupted: ``cancel`` was set.
            PlaceError: another process stands still over it.
        """
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            if self.lock_alone():
                return True
            # Without a note, the other one is just about to return the place.
            if self._try(fcntl.LOCK_SH) and self.read() is not None:
                return False
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            if cancel.wait(PAUSE_S):
                raise Interrupted("interrupted while another bench takes or returns the place")
            if time.monotonic() > deadline_s:
                raise PlaceError(f"another bench of this machine holds {self._lock.name}")

    def lock_alone(self) -> bool:
        """Lock the note if nobody else has it; a shared lock is given up for that either way."""
        return self._try(fcntl.LOCK_EX)

    def share(self) -> None:
        """Let others use the place too."""
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def close(self) -> None:
        """Let go of the lock; the note stays as it is."""
        self._lock.close()

    def read(self) -> Note | None:
        """Return the note; one that makes no sense is none."""
        return _read(self._path)

    def write(self, note: Note) -> None:
        """Write the note.

        Raises:
            PlaceError: it cannot be written, and a place must not be taken without it.
        """
        try:
            write_atomic(self._path, json.dumps(asdict(note)).encode())
        except OSError as error:
            raise self._unwritable(error) from None

    def clear(self) -> None:
        """Remove the note. The lock's file stays: removed, two could hold two of that name."""
        self._path.unlink(missing_ok=True)

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self._lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unwritable(self, error: OSError) -> PlaceError:
        return PlaceError(
            f"cannot write {self._path}, where taken labgrid places are noted: {error.strerror}; "
            "make that folder writable, or name another as XDG_STATE_HOME"
        )


def all_notes() -> Iterator[Note]:
    """Yield all notes of this login."""
    for path in sorted(_folder().glob("*.json")):
        note = _read(path)
        if note is not None:
            yield note


def _read(path: Path) -> Note | None:
    try:
        return Note(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _folder() -> Path:
    try:
        return Path(platformdirs.user_state_dir("bench-on-device")) / "labgrid"
    except RuntimeError as error:
        raise PlaceError(f"no folder for notes: {error}; set HOME or XDG_STATE_HOME") from None
