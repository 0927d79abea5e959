"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


class CommaList(click.ParamType[tuple[Any, ...]]):
    """``a,b,c`` → a tuple of its parts, each converted to ``kind``."""

    name = "list"

    def __init__(self, kind: type[str] | type[int] = str) -> None:
        self.kind = kind

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        """Split at commas; empty parts are ignored."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        if not parts:
            self.fail("give at least one value", param, ctx)
        try:
            return tuple(self.kind(part) for part in parts)
        except ValueError:
            self.fail(f"{value!r} is not a comma-separated list of whole numbers", param, ctx)


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
    """``--device``: which devices of devices.yaml are meant (:mod:`bench.selection`)."""
    text = f"Names of devices.yaml, patterns as 'jetson-*', tag:NAME, or all; {default}."
    return names("--device", "names", text=text)


MOST_ELEMENTS = 2**31
"""Numbers in one input above which a shape must be a slip of the keyboard."""


class Shape(click.ParamType[tuple[str, tuple[int, ...]]]):
    """``name=1,3,224,224`` → (name, sizes)."""

    name = "name=sizes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, ...]]:
        """Parse one input's shape."""
        if isinstance(value, tuple):
            return value
        name, separator, sizes = str(value).rpartition("=")
        try:
            shape = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            shape = ()
        if not (separator and name and shape):
            self.fail(f"{value!r}: write it as name=1,3,224,224", param, ctx)
        if min(shape) < 1:
            self.fail(f"{value!r}: every size must be 1 or more", param, ctx)
        if math.prod(shape) > MOST_ELEMENTS:
            self.fail(f"{value!r}: that is more than {MOST_ELEMENTS} numbers", param, ctx)
        return name, shape


class InputRange(click.ParamType[tuple[str, tuple[float, float]]]):
    """``name=LOW:HIGH`` → (name, (low, high)); whole numbers stay whole."""

    name = "name=low:high"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[float, float]]:
        """Parse one input's range."""
        if isinstance(value, tuple):
            return value
        name, separator, span = str(value).rpartition("=")
        low, colon, high = span.partition(":")
        ends = [_number(text) for text in (low, high) if separator and name and colon]
        if len(ends) != 2 or ends[0] is None or ends[1] is None:
            self.fail(f"{value!r}: write it as name=LOW:HIGH, such as ids=0:30522", param, ctx)
        return name, (ends[0], ends[1])


def _number(text: str) -> float | None:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return None


class InputFile(click.ParamType[tuple[str, Path]]):
    """``name=file.npy`` → (name, path)."""

    name = "name=file"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Path]:
        """Parse one input's sample."""
        if isinstance(value, tuple):
            return value
        name, separator, path = str(value).partition("=")
        if not (separator and name and path):
            self.fail(f"{value!r}: write it as name=file.npy", param, ctx)
        return name, Path(path)


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


class Duration(click.ParamType[float]):
    """``500ms``, ``90s``, ``5m``, ``1.5h`` or a bare number of seconds → seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse one duration."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        number = text.rstrip("hms")
        unit_s = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}.get(text[len(number) :])
        seconds = None if unit_s is None else _positive(number, unit_s)
        if seconds is None:
            self.fail(f"{value!r}: write it as 90s, 5m or 1.5h", param, ctx)
        return seconds


class Share(click.ParamType[float]):
    """``2%`` or ``0.02`` → 0.02."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse one share."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        share = _positive(text[:-1], 0.01) if text.endswith("%") else _positive(text, 1.0)
        if share is None or share >= 1:
            self.fail(f"{value!r}: write it as 2% or 0.02", param, ctx)
        return share


def _positive(text: str, unit: float) -> float | None:
    try:
        number = float(text) * unit
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


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
