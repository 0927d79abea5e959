"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


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
        if not (separator and name and shape and min(shape) > 0):
            self.fail(f"{value!r}: write it as name=1,3,224,224", param, ctx)
        return name, shape


def as_json(command: Command) -> Command:
    """``--json``: one JSON document on stdout instead of a table."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(
        command
    )


def devices_file(command: Command) -> Command:
    """``--devices FILE``."""
    return click.option(
        "--devices",
        "devices_path",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Devices file (default: BENCH_DEVICES, then ./devices.yaml).",
    )(command)


def results_dir(command: Command) -> Command:
    """``--results DIR``."""
    return click.option(
        "--results",
        "results_dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("results"),
        show_default=True,
        help="Folder of all runs.",
    )(command)
