"""Writing files so that a crash leaves the old one, the new one or none, never half of one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from bench.errors import StoreError

MANIFEST_FILE = "manifest.json"
TRIALS_FILE = "trials.jsonl"


@contextlib.contextmanager
def explained(action: str, path: Path) -> Iterator[None]:
    """Turn an OSError inside into one line: ``cannot <action> <path>: <cause>``.

    Raises:
        StoreError: with that line.
    """
    try:
        yield
    except OSError as error:
        cause = error.strerror or str(error)
        raise StoreError(f"cannot {action} {path}: {cause}") from error


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, flush it to the disk, and rename it.

    Raises:
        OSError: it could not be written; an older file of that name is untouched.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def append_line(path: Path, line: bytes) -> None:
    """Append one line and flush it to the disk; what cannot be written whole is taken back.

    Raises:
        OSError: it could not be written; the file is as long as before.
    """
    # Unbuffered: a buffer that could not be written would be tried again when the file is closed.
    with path.open("ab+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        # A line that a crash cut short must not swallow this one.
        torn = size > 0 and file.read(1) != b"\n"
        try:
            rest = (b"\n" if torn else b"") + line + b"\n"
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(size)
            raise


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Flush a folder, so that names created or renamed in it survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_confined(folder: Path) -> None:
    """Make sure that what lies in a folder is files and folders of its own.

    A folder of somebody else could hold a link to any file, which would be read or written over,
    or a pipe, at which reading never ends. Links that stay inside do no harm.

    Raises:
        StoreError: it is not so, or the folder cannot be read.
    """
    inside = os.path.realpath(folder)
    left = [folder]
    with explained("read", folder):
        while left:
            for entry in os.scandir(left.pop()):
                if entry.is_symlink():
                    target = os.path.realpath(entry.path)
                    if os.path.commonpath([inside, target]) != inside:
                        raise StoreError(
                            f"{entry.path} is a link that leads out of its run: remove it"
                        )
                elif entry.is_dir():
                    left.append(Path(entry.path))
                elif not entry.is_file() and os.path.lexists(entry.path):
                    # What is gone by now was the temporary file of whoever writes here.
                    raise StoreError(f"{entry.path} is neither a file nor a folder: remove it")


def is_safe_name(text: str) -> bool:
    """Whether a text may be a file name as it is: harmless characters only, not hidden."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,149}", text) is not None


def safe_name(text: str) -> str:
    """Return ``text`` as a file name: harmless characters only, different for different texts."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", text).lstrip(".-")[:80]
    if safe != text or not text:
        safe = f"{safe}-{hashlib.sha256(text.encode()).hexdigest()[:8]}".lstrip("-")
    return safe
