"""``bench status --watch``: the runs of the results folder, refreshed in place."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bench.cli.board_view import board_rows
from bench.cli.output import tables
from bench.cli.printable import escaped_json
from bench.cli.progress import boards_table
from bench.errors import StoreError
from bench.run.status import RunStatus, RunWatch

ROWS_WITHOUT_TERMINAL = 1000


def watch(results_dir: Path, every_s: float, *, as_json: bool) -> None:
    """Show how the runs stand every ``every_s`` seconds until those seen at work are over, or
    until Ctrl-C; a line of JSON each time with ``as_json``.

    Raises:
        StoreError: there is no such results folder, or it cannot be read.
    """
    if not results_dir.is_dir():
        raise StoreError(
            f"there is no results folder {results_dir}; name the one of the run with --results"
        )
    looks = _looks(RunWatch(results_dir), every_s)
    try:
        if as_json:
            _lines(looks)
        else:
            _table(looks)
    except KeyboardInterrupt:
        return


def _looks(seen: RunWatch, every_s: float) -> Iterator[list[RunStatus]]:
    """Yield the runs again and again; the last time none is at work any more."""
    begun = False
    while True:
        runs = seen.look()
        yield runs
        running = any(run.running for run in runs)
        if begun and not running:
            return
        begun = begun or running
        time.sleep(every_s)


def as_documents(runs: Sequence[RunStatus]) -> list[dict[str, Any]]:
    """Return runs as plain data for JSON."""
    return [asdict(run) for run in runs]


def _lines(looks: Iterator[list[RunStatus]]) -> None:
    for runs in looks:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        document = {"at": at, "runs": as_documents(runs)}
        click.echo(escaped_json(json.dumps(document, ensure_ascii=False, allow_nan=False)))


def _table(looks: Iterator[list[RunStatus]]) -> None:
    console = tables()
    if not console.is_terminal:
        for runs in looks:
            console.print(_view(runs, ROWS_WITHOUT_TERMINAL))
        return
    with Live(console=console, auto_refresh=False, screen=False) as live:
        for runs in looks:
            live.update(_view(runs, max(console.height - 8, 3)), refresh=True)


def _view(runs: Sequence[RunStatus], rows: int) -> Group:
    now = Text(f"{datetime.now():%H:%M:%S}  {'' if runs else 'no run is at work here'}")
    parts: list[Text | Table] = [now]
    if runs:
        parts.append(_runs_table(runs))
    for run in runs:
        if run.boards:
            shown = board_rows(run.boards, time.time(), max(rows // len(runs), 3))
            parts.append(boards_table(shown))
    return Group(*parts)


def _runs_table(runs: Sequence[RunStatus]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for name in ("run", "state", "cases", "trials", "queue", "jobs on boards", "given up"):
        table.add_column(name, overflow="fold")
    for run in runs:
        given_up = [name for name, view in run.boards.items() if view.problem]
        cells = (
            run.run_id,
            _state(run),
            str(run.cases),
            ", ".join(f"{count} {status}" for status, count in run.trials.items()) or "none yet",
            str(sum(run.queue.values())),
            str(run.to_collect),
            ", ".join(dict.fromkeys([*given_up, *run.device_errors])),
        )
        table.add_row(*map(Text, cells))
    return table


def _state(run: RunStatus) -> str:
    if run.running:
        return "at work"
    if run.to_collect:
        return "bench attach collects it"
    return f"stopped; bench run --resume {run.run_id}"
