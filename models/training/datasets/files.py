"""Reading the files of a data set, with errors that name the file."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterable
from pathlib import Path

from models.training.errors import DataError


def find(folder: Path, name: str, data_set: str) -> Path:
    """Return the file of that name, or with ``.gz`` after it. Raises DataError without either."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(f"{data_set}: no file {name} or {name}.gz in {folder}")


def content(path: Path) -> bytes:
    """Return a file's bytes, unpacked if it is named ``.gz``. Raises DataError."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise DataError(f"{path}: is cut short or damaged; get the file again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def digest(contents: Iterable[bytes]) -> str:
    """Return the SHA-256 of several files' contents, one after the other, in hexadecimal."""
    hashed = hashlib.sha256()
    for data in contents:
        hashed.update(len(data).to_bytes(8, "big"))
        hashed.update(data)
    return hashed.hexdigest()
