"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bench.cli.value_types import CommaList, Duration, InputFile, InputRange, Shape, Share

Command = TypeVar("Command", bound=Callable[..., Any])


def names(
    *option: str, kind: type[str] | type[int] = str, text: str
) -> Callable[[Command], Command]:
    """An option that takes a comma-separated list and may be repeated; all its values count."""

    def joined(
        ctx: click.Context, param: click.Parameter, value: tuple[tuple[Any, ...], ...]
    ) -> tuple[Any, ...] | None:
        return tuple(part for parts in value for part in parts) or None

    return click.option(
        *option,
        type=CommaList(kind),
        multiple=True,
        callback=joined,
        help=text,
    )


def devices(default: str) -> Callable[[Command], Command]:
    """``--device``: which devices of devices.yaml are meant (:mod:`bench.fleet.selection`)."""
    text = f"Names of devices.yaml, patterns as 'jetson-*', tag:NAME, or all; {default}."
    return names("--device", "names", text=text)


def inputs(command: Command) -> Command:
    """What is said of the inputs of models of one's own."""
    for add in reversed(
        (
            click.option(
                "--shape",
                "shapes",
                type=Shape(),
                multiple=True,
                help="Shape of an input of your own model, as x=1,3,224,224 (repeatable).",
            ),
            click.option(
                "--range",
                "ranges",
                type=InputRange(),
                multiple=True,
                help="Feed it random numbers from LOW to below HIGH, as ids=0:30522 (repeatable).",
            ),
            click.option(
                "--input",
                "inputs",
                type=InputFile(),
                multiple=True,
                help="Feed it what an .npy or .npz file holds, as x=file.npy (repeatable).",
            ),
        )
    ):
        command = add(command)
    return command


PROCEDURE_FIELDS = {
    "rounds": "latency_rounds",
    "energy_rounds": "energy_rounds",
    "window": "energy_window_s",
    "target_ci": "target_ci",
    "max_time": "max_time_s",
    "seed": "seed",
    "cooldown_to": "cooldown_to_c",
    "gpu_together": "gpu_together",
    "scenario": "scenario",
    "rate": "rate_per_s",
    "sustain": "sustain_s",
    "loads": "loads",
}
"""Parameters of :func:`procedure` and the fields of a procedure that they set."""


def procedure(command: Command) -> Command:
    """How to measure: a preset and changes to it."""
    for add in reversed(
        (
            click.option("--procedure", help="quick (the default), standard or publish."),
            click.option("--rounds", type=int, help="Latency rounds per case, at least."),
            click.option("--energy-rounds", type=int, help="Energy rounds per case."),
            click.option("--window", type=Duration(), help="Length of an energy window, as 10s."),
            click.option(
                "--target-ci",
                type=Share(),
                help="Go on until the median is known this well, as 1% (half of its interval).",
            ),
            click.option(
                "--max-time", type=Duration(), help="Stop latency rounds after this, as 5m."
            ),
            click.option("--loads", type=int, help="Spread the rounds over fresh loads."),
            click.option("--seed", type=int, help="Seed of the order of the rounds."),
            click.option(
                "--cooldown-to", type=float, metavar="CELSIUS", help="Wait until it is this cool."
            ),
            click.option(
                "--gpu-together",
                is_flag=True,
                default=None,
                help="Keep all GPU cases loaded at once, so that their rounds pair.",
            ),
            click.option(
                "--scenario",
                type=click.Choice(["single-stream", "offline", "server"]),
                help="How inferences are asked for.",
            ),
            click.option("--rate", type=float, help="Arrivals per second (scenario server)."),
            click.option(
                "--sustain", type=Duration(), help="Load each case for this long instead, as 30m."
            ),
        )
    ):
        command = add(command)
    return command


def engine(command: Command) -> Command:
    """What is asked of an engine beside its precision; ``None`` where nothing is."""
    for add in reversed(
        (
            click.option(
                "--cuda-graph",
                is_flag=True,
                default=None,
                help="Replay each inference as one CUDA graph (GPU runtimes).",
            ),
            click.option(
                "--layer-profile",
                is_flag=True,
                default=None,
                help="Time each layer too, in a pass of its own (tensorrt).",
            ),
            click.option(
                "--calibration",
                type=click.Path(path_type=Path),
                metavar="FOLDER|FILE",
                help="Images, or an .npy of inputs, to calibrate int8 on (tensorrt).",
            ),
        )
    ):
        command = add(command)
    return command


def as_json(command: Command) -> Command:
    """``--json``: one JSON document on stdout instead of a table."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(
        command
    )


def devices_file(command: Command) -> Command:
    """``--devices FILE``."""
    return click.option(
        "--devices",
        "devices_path",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Devices file (default: BENCH_DEVICES, then ./devices.yaml).",
    )(command)


def results_dir(command: Command) -> Command:
    """``--results DIR``."""
    return click.option(
        "--results",
        "results_dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("results"),
        show_default=True,
        help="Folder of all runs.",
    )(command)
