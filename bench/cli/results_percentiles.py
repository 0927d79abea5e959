"""``bench results percentiles``: per case over every inference of all runs."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from bench.cli import options
from bench.cli.many_runs import Problems, measured
from bench.cli.output import emit_json, people, tables
from bench.cli.selecting import nothing, selecting
from bench.report import format as fmt
from bench.store.listing import Selection
from bench.store.percentiles import SHARES, CasePercentiles, case_percentiles


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@selecting
@options.results_dir
@options.as_json
def percentiles(
    runs: tuple[str, ...], selection: Selection, results_dir: Path, as_json: bool
) -> int:
    """Show percentiles per case over every inference of all runs (or of the runs named).

    All inferences of latency rounds count alike, whatever run they are from. Such figures have no
    interval, since runs differ by more than their inferences show; `bench results trend` shows by
    how much. A percentile needs ten inferences beyond it.

    Exit code: 1 when a run or a file of samples could not be read (the rest is shown).
    """
    problems = Problems()
    found = case_percentiles(measured(results_dir, selection, problems, runs), problems)
    if as_json:
        emit_json([_facts(item) for item in found])
    elif not found:
        text = nothing(selection, results_dir) if not runs else "these runs have no inferences"
        people().print(text, markup=False, soft_wrap=True)
    else:
        tables().print(_table(found))
    return problems.exit_code


def _table(found: list[CasePercentiles]) -> Table:
    table = Table()
    table.add_column("case", overflow="fold")
    for name in ("runs", "inferences", "trials not valid", "mean", *map(_name, SHARES), "max"):
        table.add_column(name, justify="right")
    for item in found:
        shown = [item.percentiles_s[share] for share in SHARES]
        cells = (
            f"{item.case.device}: {item.case.key}, {item.scenario}",
            str(item.runs),
            f"{item.samples:,}".replace(",", " "),
            str(item.not_valid),
            *(_time(value_s) for value_s in (item.mean_s, *shown, item.max_s)),
        )
        table.add_row(*map(Text, cells))
    return table


def _name(share: float) -> str:
    return f"p{100 * share:g}"


def _time(value_s: float | None) -> str:
    return "—" if value_s is None else fmt.seconds(value_s)


def _facts(item: CasePercentiles) -> dict[str, object]:
    return {
        "case": item.case.model_dump(mode="json"),
        "scenario": item.scenario,
        "runs": item.runs,
        "samples": item.samples,
        "not_valid": item.not_valid,
        "mean_s": item.mean_s,
        "min_s": item.min_s,
        "max_s": item.max_s,
        **{f"{_name(share)}_s": item.percentiles_s[share] for share in SHARES},
    }
