"""``bench run``: measure, show the table, write the report."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from bench.cli import options
from bench.cli.outcome import tell
from bench.cli.output import people
from bench.cli.progress import progress
from bench.config.device_settings import DeviceSettings
from bench.config.devices_file import load_devices
from bench.errors import ConfigError
from bench.export.cache import default_cache
from bench.fleet.selection import select, shared_boards
from bench.plan.checks import loose_ends
from bench.plan.file import PlanFile, choose_procedure, load_plan
from bench.plan.plan import Plan, expand, make_plan
from bench.plan.procedures import doubts
from bench.run.session import resume as resume_session
from bench.run.session import run as run_session
from bench.run.uploads import DEFAULT_UPLOADS
from bench.store.reader import open_run

_WITH_RESUME = {"resumed", "wait", "uploads", "results_dir", "devices_path", "as_json"}


@click.command()
@click.option(
    "--plan",
    "plan_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Plan file; options given here win over it.",
)
@options.devices("the default is local")
@options.names("--model", "models", text="Built-in ones, ONNX files, package.module:function.")
@options.names("--scheme", "schemes", text="dense, basis:0.25, basis:26/53/106, …")
@options.names("--weights", text="Weight modes: load, runtime, factored.")
@options.names("--runtime", "runtimes", text="Inference engines.")
@options.names("--precision", "precisions", text="fp32, fp16, int8.")
@options.names("--batch", "batches", kind=int, text="Batch sizes.")
@options.names("--threads", kind=int, text="CPU threads of the runtime.")
@options.names("--power-mode", "power_modes", text="Power modes of the board.")
@click.option("--clocks", type=click.Choice(["max"]), help="Pin the board's clocks.")
@click.option("--governor", help="Frequency governor of the board's CPUs.")
@click.option(
    "--power",
    metavar="SENSOR",
    help="Where energy comes from: auto (the best there is), none, or a sensor by name.",
)
@options.inputs
@options.procedure
@click.option(
    "--trained",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Take the built-in networks' weights from trainings in DIR (of bench train).",
)
@click.option(
    "--accuracy",
    metavar="NAME:FOLDER",
    help="Count top-1 and top-5 on the board: fashion-mnist:…, cifar-100:…, imagenet:…",
)
@click.option("--accuracy-images", type=int, metavar="N", help="No more images than N.")
@options.engine
@click.option("--no-estimate", is_flag=True, help="No energy rather than an estimated one.")
@click.option(
    "--resume",
    "resumed",
    metavar="RUN",
    help="Go on with a run: measure only what is missing, failed or interrupted.",
)
@click.option("--wait", is_flag=True, help="Wait for a board on which somebody else measures.")
@click.option(
    "--per-model",
    is_flag=True,
    default=None,
    help="A job per model: each is done and stored before the next one begins.",
)
@click.option(
    "--spread",
    is_flag=True,
    help="Boards of one kind share the cases out, instead of each measuring all.",
)
@click.option(
    "--uploads",
    type=click.IntRange(min=1),
    default=DEFAULT_UPLOADS,
    show_default=True,
    metavar="N",
    help="Send files to so many boards at the same time.",
)
@options.results_dir
@options.devices_file
@options.as_json
def run(
    plan_path: Path | None,
    resumed: str | None,
    wait: bool,
    spread: bool,
    uploads: int,
    names: tuple[str, ...] | None,
    results_dir: Path,
    devices_path: Path | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Measure models on one or more devices.

    Without options: ShuffleNetV2 1.0x, dense and template-shared, on this machine.
    """
    console = people()
    known = load_devices(devices_path)
    cache, command = default_cache(), ["bench", *sys.argv[1:]]
    if resumed is not None:
        _require_nothing_else()
        stored = open_run(resumed, results_dir)
        with progress(console) as display:
            outcome = resume_session(
                stored,
                known,
                cache=cache,
                command=command,
                observer=display,
                wait=wait,
                uploads=uploads,
            )
        return tell(outcome, console, as_json=as_json)
    file = load_plan(plan_path) if plan_path is not None else None
    wanted = names or (file and file.devices) or ("local",)
    devices = select(wanted, known)
    plan = _plan(file, given)
    for text in _warnings(plan, devices):
        console.print(f"bench: warning: {text}", markup=False)
    with progress(console) as display:
        outcome = run_session(
            plan,
            devices,
            results_dir=results_dir,
            cache=cache,
            command=command,
            observer=display,
            wait=wait,
            spread=spread,
            uploads=uploads,
        )
    return tell(outcome, console, as_json=as_json)


def _require_nothing_else() -> None:
    """Refuse options that would change the plan of a run that is resumed."""
    context = click.get_current_context()
    asked = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name not in _WITH_RESUME
        and context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    ]
    if asked:
        raise ConfigError(f"--resume goes on with the run as planned; leave out {', '.join(asked)}")


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
    for name, option in (("shapes", "--shape"), ("ranges", "--range"), ("inputs", "--input")):
        asked = options_given.pop(name, ())
        if len(dict(asked)) < len(asked):
            raise ConfigError(f"{option} names one input twice")
        arguments[name] = {**arguments.get(name, {}), **dict(asked)}
    procedure = choose_procedure(file, options_given.pop("procedure", None), changes)
    if options_given.pop("no_estimate"):
        arguments["estimates"] = False
    arguments.update(options_given)
    return make_plan(**arguments, procedure=procedure, skips=file is not None)


def _warnings(plan: Plan, devices: Mapping[str, DeviceSettings]) -> list[str]:
    """Return what will hardly give what was asked for, each once."""
    threads = {name: device.threads for name, device in devices.items()}
    found = [*shared_boards(devices), *loose_ends(plan, threads)]
    for name, count in threads.items():
        found += doubts(plan.procedure, expand(plan, name, count))
    return list(dict.fromkeys(found))
