"""``bench results export``: trials or inferences as one data set."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli import options
from bench.cli.many_runs import Problems, measured
from bench.cli.output import emit_json, people
from bench.cli.selecting import selecting
from bench.errors import ConfigError
from bench.store.exporting import FORMATS, check_target, export_samples, export_trials
from bench.store.listing import Selection


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="File to write; one that is there is replaced.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(FORMATS),
    help="Left out: the ending of FILE.",
)
@click.option("--samples", is_flag=True, help="A row per inference instead (parquet or csv).")
@selecting
@options.results_dir
@options.as_json
def export(
    runs: tuple[str, ...],
    output: Path,
    style: str | None,
    samples: bool,
    selection: Selection,
    results_dir: Path,
    as_json: bool,
) -> int:
    """Write the trials of all runs (or of the runs named) as one table, a row per trial.

    Columns, types and units: docs/results-data.md. What was not measured is empty (null). Of a
    case that was measured again after `run --resume`, the newest trial counts.

    Exit code: 1 when a run or a file of samples could not be read (the rest is written).
    """
    style = style or output.suffix.lower().removeprefix(".")
    if style not in FORMATS:
        raise ConfigError(f"-o {output}: give --format, or end the name in .{', .'.join(FORMATS)}")
    if samples and style == "json":
        raise ConfigError("--samples has too many rows for json; take parquet or csv")
    check_target(output)
    if not results_dir.is_dir():
        raise ConfigError(f"there is no results folder {results_dir}; name it with --results")
    problems = Problems()
    trials = measured(results_dir, selection, problems, runs)
    if samples:
        rows = export_samples(trials, style, output, problems)
    else:
        rows = export_trials(trials, style, output)
    if as_json:
        emit_json({"file": str(output), "format": style, "rows": rows})
    else:
        what = "inferences" if samples else "trials"
        people().print(f"{output}: {rows} {what}", markup=False, soft_wrap=True)
    return problems.exit_code
