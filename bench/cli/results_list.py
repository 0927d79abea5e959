"""``bench results list``: all runs, one a line."""

from __future__ import annotations

from pathlib import Path

import click
from rich.cells import cell_len

from bench.cli import options
from bench.cli.output import emit_json, people
from bench.cli.printable import printable
from bench.cli.selecting import nothing, selecting
from bench.store.listing import RunListing, Selection, list_runs

_HEAD = ("run", "started", "devices", "procedure", "trials", "state")
_WIDEST = 60
"""A cell above it shifts the rest of its line, so that one long cell does not shift all of them."""


@click.command("list")
@selecting
@options.results_dir
@options.as_json
def list_results(selection: Selection, results_dir: Path, as_json: bool) -> None:
    """List runs, oldest first."""
    listings = [item for item in list_runs(results_dir) if selection.has_run(item)]
    if as_json:
        emit_json([_facts(listing) for listing in listings])
        return
    if not listings:
        people().print(nothing(selection, results_dir), markup=False)
        return
    for line in _lines([_HEAD, *map(_cells, listings)]):
        click.echo(line)


def _cells(listing: RunListing) -> tuple[str, ...]:
    return (
        listing.run_id,
        listing.started_at or "—",
        ", ".join(listing.devices) or "—",
        listing.procedure or "—",
        f"{listing.trials} of {listing.cases}",
        listing.problem or _state(listing),
    )


def _lines(rows: list[tuple[str, ...]]) -> list[str]:
    """Return rows with aligned columns. (A thousand of them take rich longer than reading them.)"""
    cells = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = [min(max(map(cell_len, column)), _WIDEST) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    ]


def _state(listing: RunListing) -> str:
    if listing.running:
        return "being measured"
    if listing.to_collect:
        return f"to collect: bench attach {listing.run_id}"
    if listing.failed:
        return f"{listing.failed} failed"
    return "complete" if listing.complete else "cut short"


def _facts(listing: RunListing) -> dict[str, object]:
    return {
        "run_id": listing.run_id,
        "path": str(listing.path),
        "started_at": listing.started_at,
        "devices": list(listing.devices),
        "models": list(listing.models),
        "procedure": listing.procedure,
        "cases": listing.cases,
        "trials": listing.trials,
        "failed": listing.failed,
        "complete": listing.complete,
        "running": listing.running,
        "to_collect": listing.to_collect,
        "problem": listing.problem,
    }
