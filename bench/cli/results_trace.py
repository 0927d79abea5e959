"""``bench results trace``: a run as a timeline."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli import options
from bench.cli.output import emit_json, people
from bench.store.exporting import check_target
from bench.store.reader import open_run
from bench.store.tracing import write_trace


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="File to write, such as run.perfetto.json; one that is there is replaced.",
)
@click.option("--device", help="Only this device.")
@click.option("--trial", help="Only this trial, such as t001.")
@click.option(
    "--every",
    type=click.IntRange(min=1),
    help="Keep every N-th inference and power reading (left out: as many as a browser opens).",
)
@options.results_dir
@options.as_json
def trace(
    run_id: str,
    output: Path,
    device: str | None,
    trial: str | None,
    every: int | None,
    results_dir: Path,
    as_json: bool,
) -> None:
    """Write power, clocks, temperature and inferences of a run on one timeline.

    The file is in the Trace Event format, which ui.perfetto.dev opens (it stays in your browser).
    Clocks and temperature are there where they were read: before, after, and after each round.
    """
    check_target(output)
    run = open_run(run_id, results_dir)
    written = write_trace(run, output, device=device, trial=trial, every=every)
    if as_json:
        thin = written.thinning
        emit_json(
            {
                "file": str(output),
                "events": written.events,
                "inferences": thin.inferences,
                "every_inference": thin.every_inference,
                "readings": thin.readings,
                "every_reading": thin.every_reading,
                "left_out": list(written.left_out),
            }
        )
        return
    console = people()
    console.print(f"{output}: {written.events} events", markup=False, soft_wrap=True)
    for text in written.left_out:
        console.print(f"left out: {text}", markup=False, soft_wrap=True)
