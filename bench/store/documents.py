"""What all stored JSON documents have in common: a schema version, and words for what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bench.errors import StoreError
from bench.json_text import parse_object
from bench.records import SCHEMA_VERSION
from bench.store.files import is_safe_name

Document = TypeVar("Document", bound=BaseModel)

_SHOWN_CHARACTERS = 60


def parse_document(model: type[Document], data: bytes, source: Path) -> Document:
    """Return the record that a stored text holds, whoever wrote it.

    Raises:
        ValueError: it does not have the record's shape; :func:`first_line` says what is wrong.
        StoreError: a newer version of this program wrote it.
    """
    document = parse_object(data)
    version = document.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StoreError(
            f"{source} has schema version {version}, this version of bench reads up to "
            f"{SCHEMA_VERSION}: update bench"
        )
    return model.model_validate(document)


def require_safe_name(name: str, what: str) -> None:
    """Raise ValueError unless an id may be a file name, as every id that we give may."""
    if not is_safe_name(name):
        raise ValueError(f"{what} {name[:_SHOWN_CHARACTERS]!r} cannot be a file name")


def first_line(error: Exception) -> str:
    """Return what is wrong with a document, in one line."""
    if isinstance(error, ValidationError):
        # The input itself may be anything, so it is not repeated.
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(step)[:_SHOWN_CHARACTERS] for step in first["loc"][:6])
        return f"{place}: {first['msg']}" if place else first["msg"]
    return next(iter(str(error).splitlines()), type(error).__name__)
