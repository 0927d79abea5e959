"""``bench run``: measure, show the table, write the report."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bench.cli import EXIT_DEVICE, EXIT_FAILED_CASE, EXIT_INTERRUPTED, options
from bench.cli.output import emit_json, people, tables
from bench.cli.progress import progress
from bench.config import LocalDevice, SshDevice, find_device, load_devices
from bench.errors import ConfigError
from bench.export.cache import default_cache
from bench.plan import Plan, expand, loose_ends, make_plan
from bench.plan_file import PlanFile, choose_procedure, load_plan
from bench.procedures import doubts
from bench.report.page import write_report
from bench.report.table import summary_table
from bench.session import Outcome
from bench.session import run as run_session
from bench.status import Status


@click.command()
@click.option(
    "--plan",
    "plan_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Plan file; options given here win over it.",
)
@options.names("--device", "names", text="Devices of devices.yaml, with commas (default: local).")
@options.names("--model", "models", text="Built-in models or ONNX files.")
@options.names("--scheme", "schemes", text="dense, basis:0.25, basis:26/53/106, …")
@options.names("--weights", text="Weight modes: load, runtime, factored.")
@options.names("--runtime", "runtimes", text="Inference engines.")
@options.names("--precision", "precisions", text="fp32.")
@options.names("--batch", "batches", kind=int, text="Batch sizes.")
@options.names("--threads", kind=int, text="CPU threads of the runtime.")
@options.names("--power-mode", "power_modes", text="Power modes of the board.")
@click.option("--clocks", type=click.Choice(["max"]), help="Pin the board's clocks.")
@click.option("--governor", help="Frequency governor of the board's CPUs.")
@click.option(
    "--shape",
    "shapes",
    type=options.Shape(),
    multiple=True,
    help="Shape of an ONNX file's dynamic input (repeatable).",
)
@options.procedure
@click.option("--no-estimate", is_flag=True, help="No energy rather than an estimated one.")
@options.results_dir
@options.devices_file
@options.as_json
def run(
    plan_path: Path | None,
    names: tuple[str, ...] | None,
    results_dir: Path,
    devices_path: Path | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Measure models on one or more devices.

    Without options: ShuffleNetV2 1.0x, dense and template-shared, on this machine.
    """
    file = load_plan(plan_path) if plan_path is not None else None
    known = load_devices(devices_path)
    wanted = names or (file and file.devices) or ("local",)
    devices = {name: find_device(known, name) for name in wanted}
    plan = _plan(file, given)
    console = people()
    for text in _warnings(plan, devices):
        console.print(f"bench: warning: {text}", markup=False)
    with progress(console) as display:
        outcome = run_session(
            plan,
            devices,
            results_dir=results_dir,
            cache=default_cache(),
            command=["bench", *sys.argv[1:]],
            observer=display,
        )
    if as_json:
        emit_json(_document(outcome))
    elif outcome.run.trials:
        tables().print(summary_table(outcome.run))
    for trial in outcome.run.trials:
        if trial.latency_status.status in (Status.SKIPPED, Status.FAILED):
            verdict = trial.latency_status
            text = f"{trial.case.device}: {trial.case.label}: {verdict.status}: {verdict.detail}"
            console.print(text, markup=False, soft_wrap=True)
    for name, error in outcome.device_errors.items():
        if error.detail:
            console.print(error.detail.rstrip(), markup=False, soft_wrap=True)
        console.print(f"bench: {name}: {error}", markup=False, soft_wrap=True)
    # Last, since a report that cannot be written must not hide what was measured.
    for path in write_report(outcome.run).files if outcome.run.trials else ():
        console.print(str(path), markup=False, soft_wrap=True)
    return _exit_code(outcome)


def _plan(file: PlanFile | None, given: Mapping[str, Any]) -> Plan:
    """Put together what the command line and the plan file say; the command line wins."""
    options_given = {name: value for name, value in given.items() if value not in (None, ())}
    changes = {
        field: options_given.pop(name)
        for name, field in options.PROCEDURE_FIELDS.items()
        if name in options_given
    }
    if "energy_window_s" in changes:
        # A window that was asked for is that long, whatever the sensor's time constant.
        changes["energy_window_tau"] = 0.0
    arguments = {} if file is None else file.arguments()
    asked = options_given.pop("shapes", ())
    if len(dict(asked)) < len(asked):
        raise ConfigError("--shape names one input twice")
    shapes = {**arguments.pop("shapes", {}), **dict(asked)}
    procedure = choose_procedure(file, options_given.pop("procedure", None), changes)
    if options_given.pop("no_estimate"):
        arguments["estimates"] = False
    arguments.update(options_given)
    return make_plan(**arguments, shapes=shapes, procedure=procedure, skips=file is not None)


def _warnings(plan: Plan, devices: Mapping[str, LocalDevice | SshDevice]) -> list[str]:
    """Return what will hardly give what was asked for, each once."""
    threads = {name: device.threads for name, device in devices.items()}
    found = loose_ends(plan, threads)
    for name, count in threads.items():
        found += doubts(plan.procedure, expand(plan, name, count))
    return list(dict.fromkeys(found))


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
    failed = outcome.run.missing or any(trial.failed for trial in outcome.run.trials)
    return EXIT_FAILED_CASE if failed else 0
