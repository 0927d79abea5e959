"""Types of values on the command line: lists, shapes, ranges, durations and shares."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import click


class CommaList(click.ParamType[tuple[Any, ...]]):
    """``a,b,c`` → a tuple of its parts, each converted to ``kind``."""

    name = "list"

    def __init__(self, kind: type[str] | type[int] = str) -> None:
        self.kind = kind

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        """Split at commas; empty parts are ignored."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        if not parts:
            self.fail("give at least one value", param, ctx)
        try:
            return tuple(self.kind(part) for part in parts)
        except ValueError:
            self.fail(f"{value!r} is not a comma-separated list of whole numbers", param, ctx)


MOST_ELEMENTS = 2**31
"""Numbers in one input above which a shape must be a slip of the keyboard."""


class Shape(click.ParamType[tuple[str, tuple[int, ...]]]):
    """``name=1,3,224,224`` → (name, sizes)."""

    name = "name=sizes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, ...]]:
        """Parse one input's shape."""
        if isinstance(value, tuple):
            return value
        name, separator, sizes = str(value).rpartition("=")
        try:
            shape = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            shape = ()
        if not (separator and name and shape):
            self.fail(f"{value!r}: write it as name=1,3,224,224", param, ctx)
        if min(shape) < 1:
            self.fail(f"{value!r}: every size must be 1 or more", param, ctx)
        if math.prod(shape) > MOST_ELEMENTS:
            self.fail(f"{value!r}: that is more than {MOST_ELEMENTS} numbers", param, ctx)
        return name, shape


class InputRange(click.ParamType[tuple[str, tuple[float, float]]]):
    """``name=LOW:HIGH`` → (name, (low, high)); whole numbers stay whole."""

    name = "name=low:high"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[float, float]]:
        """Parse one input's range."""
        if isinstance(value, tuple):
            return value
        name, separator, span = str(value).rpartition("=")
        low, colon, high = span.partition(":")
        ends = [_number(text) for text in (low, high) if separator and name and colon]
        if len(ends) != 2 or ends[0] is None or ends[1] is None:
            self.fail(f"{value!r}: write it as name=LOW:HIGH, such as ids=0:30522", param, ctx)
        return name, (ends[0], ends[1])


def _number(text: str) -> float | None:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return None


class InputFile(click.ParamType[tuple[str, Path]]):
    """``name=file.npy`` → (name, path)."""

    name = "name=file"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Path]:
        """Parse one input's sample."""
        if isinstance(value, tuple):
            return value
        name, separator, path = str(value).partition("=")
        if not (separator and name and path):
            self.fail(f"{value!r}: write it as name=file.npy", param, ctx)
        return name, Path(path)


class Duration(click.ParamType[float]):
    """``500ms``, ``90s``, ``5m``, ``1.5h`` or a bare number of seconds → seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse one duration."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        number = text.rstrip("hms")
        unit_s = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}.get(text[len(number) :])
        seconds = None if unit_s is None else _positive(number, unit_s)
        if seconds is None:
            self.fail(f"{value!r}: write it as 90s, 5m or 1.5h", param, ctx)
        return seconds


class Share(click.ParamType[float]):
    """``2%`` or ``0.02`` → 0.02."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse one share."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        share = _positive(text[:-1], 0.01) if text.endswith("%") else _positive(text, 1.0)
        if share is None or share >= 1:
            self.fail(f"{value!r}: write it as 2% or 0.02", param, ctx)
        return share


def _positive(text: str, unit: float) -> float | None:
    try:
        number = float(text) * unit
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None
