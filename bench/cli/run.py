"""``bench run``: measure, show the table, write the report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from bench.cli import EXIT_DEVICE, EXIT_FAILED_CASE, EXIT_INTERRUPTED, options
from bench.cli.output import emit_json, people, tables
from bench.cli.progress import progress
from bench.config import find_device, load_devices
from bench.export.cache import default_cache
from bench.plan import make_plan
from bench.records import Status
from bench.report.page import write_report
from bench.report.table import summary_table
from bench.session import Outcome
from bench.session import run as run_session

NAMES = options.CommaList()


@click.command()
@click.option(
    "--device",
    "names",
    type=NAMES,
    default="local",
    show_default=True,
    help="Devices of devices.yaml, separated by commas.",
)
@click.option("--model", "models", type=NAMES, help="Built-in models or ONNX files.")
@click.option("--scheme", "schemes", type=NAMES, help="dense, basis:0.25, basis:26/53/106, …")
@click.option("--weights", type=NAMES, help="Weight modes: load, runtime, factored.")
@click.option("--runtime", "runtimes", type=NAMES, help="Inference engines.")
@click.option("--precision", "precisions", type=NAMES, help="fp32.")
@click.option("--batch", "batches", type=options.CommaList(int), help="Batch sizes.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads of the runtime.")
@click.option(
    "--shape",
    "shapes",
    type=options.Shape(),
    multiple=True,
    help="Shape of an ONNX file's dynamic input (repeatable).",
)
@click.option("--procedure", default="quick", show_default=True, help="How to measure.")
@click.option("--no-estimate", is_flag=True, help="No energy rather than an estimated one.")
@options.results_dir
@options.devices_file
@options.as_json
def run(
    names: tuple[str, ...],
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    no_estimate: bool,
    results_dir: Path,
    devices_path: Path | None,
    as_json: bool,
    **matrix: Any,
) -> int:
    """Measure models on one or more devices.

    Without options: ShuffleNetV2 1.0x, dense and template-shared, on this machine.
    """
    known = load_devices(devices_path)
    devices = {name: find_device(known, name) for name in names}
    given = {key: value for key, value in matrix.items() if value is not None}
    plan = make_plan(shapes=dict(shapes), estimates=not no_estimate, **given)
    console = people()
    with progress(console) as display:
        outcome = run_session(
            plan,
            devices,
            results_dir=results_dir,
            cache=default_cache(),
            command=["bench", *sys.argv[1:]],
            observer=display,
        )
    files = write_report(outcome.run).files if outcome.run.trials else ()
    if as_json:
        emit_json(_document(outcome))
    elif outcome.run.trials:
        tables().print(summary_table(outcome.run))
    for trial in outcome.run.trials:
        if trial.latency_status.status in (Status.SKIPPED, Status.FAILED):
            verdict = trial.latency_status
            text = f"{trial.case.device}: {trial.case.label}: {verdict.status}: {verdict.detail}"
            console.print(text, markup=False, soft_wrap=True)
    for path in files:
        console.print(str(path), markup=False, soft_wrap=True)
    for name, error in outcome.device_errors.items():
        if error.detail:
            console.print(error.detail.rstrip(), markup=False, soft_wrap=True)
        console.print(f"bench: {name}: {error}", markup=False, soft_wrap=True)
    return _exit_code(outcome)


def _document(outcome: Outcome) -> dict[str, Any]:
    return {
        "run_id": outcome.run.manifest.run_id,
        "path": str(outcome.run.path),
        "interrupted": outcome.run.manifest.interrupted,
        "device_errors": {name: str(error) for name, error in outcome.device_errors.items()},
        "trials": [trial.model_dump(mode="json") for trial in outcome.run.trials],
    }


def _exit_code(outcome: Outcome) -> int:
    if outcome.run.manifest.interrupted:
        return EXIT_INTERRUPTED
    if outcome.device_errors:
        return EXIT_DEVICE
    return EXIT_FAILED_CASE if any(trial.failed for trial in outcome.run.trials) else 0
