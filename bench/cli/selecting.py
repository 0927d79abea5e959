"""Options that say which runs and cases of a results folder are meant."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from bench.cli.options import names
from bench.store.listing import Selection, list_runs

_UNITS_S = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Since(click.ParamType[datetime]):
    """``2026-11-24``, ``2026-11-24T08:00`` or ``7d`` (so long ago) → a moment with its time zone.

    Without a zone, this machine's is meant.
    """

    name = "when"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Parse one moment."""
        if isinstance(value, datetime):
            return value
        ago = re.fullmatch(r"([0-9]{1,6})([mhdw])", str(value).strip())
        try:
            if ago is not None:
                return datetime.now(UTC) - timedelta(seconds=int(ago[1]) * _UNITS_S[ago[2]])
            return datetime.fromisoformat(str(value).strip()).astimezone()
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r}: write it as 2026-11-24, 2026-11-24T08:00 or 7d", param, ctx)


def selecting(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--device``, ``--model`` and ``--since``, given to the command as ``selection``."""

    @names("--device", "devices", text="Only these devices (a comma-separated list).")
    @names("--model", "models", text="Only these models (a comma-separated list).")
    @click.option("--since", type=Since(), help="Only runs from then on: 2026-11-24, or 7d ago.")
    @functools.wraps(command)
    def chosen(
        *args: Any,
        devices: tuple[str, ...] | None,
        models: tuple[str, ...] | None,
        since: datetime | None,
        **rest: Any,
    ) -> Any:
        return command(*args, selection=Selection(devices, models, since), **rest)

    return chosen


def nothing(selection: Selection, results_dir: Path) -> str:
    """Return what to say where no run is meant."""
    if selection.is_open and list_runs(results_dir):
        return f"no run in {results_dir} has a trial; `bench results list` says why"
    if selection.is_open:
        return f"no runs in {results_dir}; `bench run` makes one"
    return f"no run in {results_dir} fits; `bench results list` without options shows all"
