"""The one interface through which the host touches a board."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Completed:
    """A finished command: exit status (negative: ended by that signal) and its raw output."""

    status: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class Push:
    """One file to put on the board: where it is here (or its bytes), where it goes there, its hash.

    ``remote`` contains the hash in its name, so an existing file of that name and size is the
    same file and is not sent again.
    """

    local: Path | bytes
    remote: str
    sha256: str

    def size_bytes(self) -> int:
        """Return how large it is here."""
        return len(self.local) if isinstance(self.local, bytes) else self.local.stat().st_size

    def open(self) -> io.BytesIO | io.FileIO:
        """Open it for reading, from its beginning."""
        return io.BytesIO(self.local) if isinstance(self.local, bytes) else io.FileIO(self.local)


class Transport(Protocol):
    """A connection to a board.

    A lost link is made again, and what does no harm when done twice is done again: all methods,
    except that :meth:`run` has to be told so. They raise TransportError when the link does not
    come back, and DeviceError when it holds but the board cannot do what it is asked.
    """

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes = b"",
        repeatable: bool = False,
    ) -> Completed:
        """Run a program on the board and wait for it.

        ``argv`` reaches the program exactly as given, whatever characters it holds. Relative
        paths are relative to the login's home folder. Only a ``repeatable`` program is started
        again when the link is lost before its end is known; any other may have run or not.

        Raises:
            TransportError: the link failed.
            DeviceError: ``timeout_s`` passed (the program is ended).
        """

    def push(self, files: Sequence[Push]) -> int:
        """Put files on the board, each whole and verified by sha256, or not at all.

        Folders are made as needed (mode 0700). Files that are already there are not sent; when
        all of them are, this costs one round trip. Returns the number of files sent.
        """

    def write(self, remote: str, data: bytes) -> None:
        """Write a small file (temporary name, then rename)."""

    def read(self, remote: str, offset: int = 0) -> bytes:
        """Return the bytes of a file on the board from ``offset`` on.

        Raises:
            TransportError: the link failed.
            DeviceError: the file does not exist or cannot be read.
        """

    def quiet(self, silent: bool) -> None:
        """Stop (``True``) or resume (``False``) everything the link does by itself."""

    def close(self) -> None:
        """End the connection. May be called twice."""
