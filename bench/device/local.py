"""This machine as a board: own processes, no ssh, otherwise the same behaviour."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from bench.device.remedies import remedy
from bench.device.transport import Completed, Push
from bench.errors import DeviceError, HangError

NOT_FOUND = 127
NOT_RUNNABLE = 126
END_S = 1.0


class LocalTransport:
    """The :class:`~bench.device.transport.Transport` to the machine that runs bench."""

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes = b"",
        repeatable: bool = False,
    ) -> Completed:
        """Run a program (see :class:`~bench.device.transport.Transport`)."""
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=Path.home(),
                start_new_session=True,
            )
        except OSError as error:
            # Like a shell, so that callers need not know which transport they have.
            status = NOT_FOUND if error.errno == errno.ENOENT else NOT_RUNNABLE
            return Completed(status, b"", f"{argv[0]}: {error.strerror}\n".encode())
        try:
            out, err = process.communicate(stdin, timeout=timeout_s)
        except BaseException as error:
            _end(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise HangError(
                    f"{argv[0]} took longer than {timeout_s:g} s and was ended"
                ) from error
            raise
        return Completed(process.returncode, out, err)

    def push(self, files: Sequence[Push]) -> int:
        """Put files in place (see :class:`~bench.device.transport.Transport`)."""
        wanted = {file.remote: file for file in files}
        missing = [file for file in wanted.values() if not _is_there(file)]
        for file in missing:
            _place(file.remote, partial(_copy_verified, file))
        return len(missing)

    def write(self, remote: str, data: bytes) -> None:
        """Write a small file (see :class:`~bench.device.transport.Transport`)."""
        _place(remote, lambda part: part.write_bytes(data))

    def read(self, remote: str, offset: int = 0) -> bytes:
        """Read a file (see :class:`~bench.device.transport.Transport`)."""
        try:
            with _path(remote).open("rb") as file:
                file.seek(offset)
                return file.read()
        except OSError as error:
            raise DeviceError(f"cannot read {remote}: {error.strerror}") from error

    def quiet(self, silent: bool) -> None:
        """Do nothing: there is no link that could disturb."""

    def close(self) -> None:
        """Do nothing: there is no connection."""


def _path(remote: str) -> Path:
    return Path.home() / remote


def _is_there(file: Push) -> bool:
    path = _path(file.remote)
    return path.is_file() and path.stat().st_size == file.size_bytes()


def _place(remote: str, fill: Callable[[Path], object]) -> None:
    """Let ``fill`` write a temporary file beside ``remote``, then rename it."""
    path = _path(remote)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        _make_folder(path.parent)
        part.touch(mode=0o600)
        fill(part)
        part.replace(path)
    except OSError as error:
        said = error.strerror or str(error)
        raise DeviceError(f"cannot write {remote}: {said}{remedy(said)}") from error
    finally:
        with suppress(OSError):
            part.unlink()


def _copy_verified(file: Push, part: Path) -> None:
    with file.open() as source, part.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    with part.open("rb") as written:
        if hashlib.file_digest(written, "sha256").hexdigest() != file.sha256:
            raise DeviceError(f"{file.remote} arrived damaged and was removed")


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each for its owner alone."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program with everything it started in its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # Something that left the group may hold the pipes open; it is not waited for.
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=END_S)
