"""What all stored JSON documents have in common: a schema version, and words for what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.errors import StoreError
from bench.records import SCHEMA_VERSION


def checked(document: Any, source: Path) -> Any:
    """Return a document as it is.

    Raises:
        StoreError: a newer version of this program wrote it.
    """
    version = document.get("schema_version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StoreError(
            f"{source} has schema version {version}, this version of bench reads up to "
            f"{SCHEMA_VERSION}: update bench"
        )
    return document


def first_line(error: ValueError | OSError) -> str:
    """Return what is wrong with a document, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error).splitlines()[0]
