"""What all stored JSON documents have in common: a schema version, and words for what is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bench.errors import StoreError
from bench.json_text import MOST_DIGITS, parse_object
from bench.records.base import SCHEMA_VERSION
from bench.store.files import is_safe_name

Document = TypeVar("Document", bound=BaseModel)

_SHOWN_CHARACTERS = 60
_DIGITS_ALIKE = bytes.maketrans(b"123456789E\t\n\r ", b"000000000e::::")
_LARGE_EXPONENT = re.compile(rb"e\+?0{3,}+:*+[,\]}]")
_LONG = b"0" * (MOST_DIGITS + 1)


def parse_document(model: type[Document], data: bytes, source: Path) -> Document:
    """Return the record that a stored text holds, whoever wrote it.

    Raises:
        ValueError: it does not have the record's shape; :func:`first_line` says what is wrong.
        StoreError: a newer version of this program wrote it.
    """
    document = _usual(model, data)
    if document is None:
        parts = parse_object(data)
        _require_known(parts.get("schema_version"), source)
        return model.model_validate(parts)
    _require_known(getattr(document, "schema_version", None), source)
    return document


def _usual(model: type[Document], data: bytes) -> Document | None:
    """Return the record that pydantic's own parser reads at once, several times as fast; ``None``
    where something is wrong with it, or may be: :func:`parse_object` then looks closely.

    Its own bound on nesting, 200 levels, is wider than that one's, and still storable again.
    """
    # Written out, since this is most of the time that listing a thousand runs takes.
    no_number = b"NaN" in data or b"Infinity" in data
    half_a_character = b"\\ud" in data or b"\\uD" in data
    if no_number or half_a_character or _may_hold_large_numbers(data):
        return None
    try:
        return model.model_validate_json(data)
    except ValidationError:
        return None


def _may_hold_large_numbers(data: bytes) -> bool:
    """Whether a number may be larger than :func:`parse_object` takes."""
    alike = data.translate(_DIGITS_ALIKE)
    # A hash may hold such characters too.
    if (b"e000" in alike or b"e+000" in alike) and _LARGE_EXPONENT.search(alike):
        return True
    return (
        b":" + _LONG in alike
        or b"," + _LONG in alike
        or b"[" + _LONG in alike
        or b"-" + _LONG in alike
    )


def _require_known(version: object, source: Path) -> None:
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StoreError(
            f"{source} has schema version {version}, this version of bench reads up to "
            f"{SCHEMA_VERSION}: update bench"
        )


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
