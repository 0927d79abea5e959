"""``bench results trend``: a case from run to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from bench.analysis.history import Point, Trend, Value, trends
from bench.cli import options
from bench.cli.many_runs import Problems, measured
from bench.cli.output import emit_json, people, tables
from bench.cli.selecting import nothing, selecting
from bench.records.status import Status
from bench.report import format as fmt
from bench.store.listing import Selection

_DIGITS = 4
"""So that what differs from run to run can be seen."""


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@selecting
@options.results_dir
@options.as_json
def trend(runs: tuple[str, ...], selection: Selection, results_dir: Path, as_json: bool) -> int:
    """Show p50, p99 and energy of each case from run to run, oldest first.

    A case is the same over time when device, model, scheme, weights, runtime, precision, batch,
    threads and the power mode asked for agree. What else a fair comparison has equal (versions,
    power mode as found, clocks, procedure, the graph, where energy comes from) is named where it
    changed. Whether two runs differ is for `bench compare` to say.

    Exit code: 1 when a run could not be read (the rest is shown).
    """
    problems = Problems()
    trials = measured(results_dir, selection, problems, runs)
    found = trends((trial, manifest) for trial, manifest, _ in trials)
    if as_json:
        emit_json([_facts(item) for item in found])
    elif not found:
        text = nothing(selection, results_dir) if not runs else "these runs have no trials"
        people().print(text, markup=False, soft_wrap=True)
    for item in () if as_json else found:
        tables().print(_table(item))
    return problems.exit_code


def _table(found: Trend) -> Table:
    title = Text(f"{found.case.device}: {found.case.key}")
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("run", no_wrap=True)
    for name in ("p50", "p99", "energy", "changed since the run before"):
        table.add_column(name, overflow="fold")
    for point in found.points:
        cells = (
            point.run_id,
            _figure(point.p50_s, fmt.seconds),
            "—" if point.p99_s.value is None else _figure(point.p99_s, fmt.seconds),
            _figure(point.energy_j, fmt.joules),
            _changes(point),
        )
        table.add_row(*map(Text, cells))
    return table


def _figure(value: Value, write: Callable[[float, int], str]) -> str:
    words = value.status.value
    if value.reasons:
        words += f": {', '.join(value.reasons)}"
    if value.value is None:
        return "—" if value.status is Status.VALID else words
    text = f"{write(value.value, _DIGITS)}{' est.' if value.estimated else ''}"
    if value.low is not None and value.high is not None:
        text += f" [{write(value.low, _DIGITS)} to {write(value.high, _DIGITS)}]"
    return text if value.status is Status.VALID else f"{text} ({words})"


def _changes(point: Point) -> str:
    return "; ".join(f"{change.name}: {change.a} → {change.b}" for change in point.changes)


def _facts(found: Trend) -> dict[str, object]:
    return {
        "case": found.case.model_dump(mode="json"),
        "points": [asdict(point) for point in found.points],
    }
