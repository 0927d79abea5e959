"""``bench train``: train a model of the table under a scheme."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import options
from bench.cli.output import emit_json, people
from bench.errors import BenchError, ConfigError
from bench.extras import install_command

if TYPE_CHECKING:
    from models.training.datasets import DataSet
    from models.training.progress import Progress


@click.command()
@click.argument("model")
@click.option("--scheme", default="dense", show_default=True, help="For example basis:0.25.")
@click.option(
    "--data",
    "data_set",
    required=True,
    metavar="NAME:FOLDER",
    help="cifar-100, imagenet, fashion-mnist or digits, and the folder of its files.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for model.pt and result.json of this training.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--train-images",
    type=click.IntRange(min=1),
    help="Train on so many images (default: all but a tenth, which is held out for selection).",
)
@click.option("--resume", is_flag=True, help="Go on with an interrupted training in --out.")
@click.option(
    "--batch",
    type=click.IntRange(min=2),
    default=128,
    show_default=True,
    help="Images per step, over all processes.",
)
@click.option(
    "--lr",
    type=click.FloatRange(min=0, min_open=True),
    default=0.1,
    show_default=True,
    help="Learning rate of the first epochs.",
)
@click.option(
    "--label-smoothing", type=click.FloatRange(0, 1, max_open=True), default=0, show_default=True
)
@click.option("--confidence-penalty", type=click.FloatRange(min=0), default=0, show_default=True)
@click.option(
    "--precision",
    type=click.Choice(["32-true", "bf16-mixed", "16-mixed"]),
    default="32-true",
    show_default=True,
)
@click.option(
    "--init-from",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Start from this checkpoint of the dense network, or of this scheme.",
)
@click.option(
    "--by-sensitivity",
    is_flag=True,
    help="prune-l1: take more channels where the network of --init-from suffers less on the "
    "held-out images.",
)
@options.as_json
def train(
    model: str,
    scheme: str,
    data_set: str,
    out: Path,
    resume: bool,
    by_sensitivity: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train a model and test it on images that it was neither trained nor selected on.

    With several GPUs: torchrun --nproc-per-node 4 --no-python bench train ...
    """
    if any(importlib.util.find_spec(name) is None for name in ("torch", "lightning_fabric", "PIL")):
        raise ConfigError(
            f"training needs torch, Lightning Fabric and Pillow: {install_command('train')}"
        )
    from bench.export.cases import find_model, parse_scheme
    from models import MODELS

    spec = find_model(model)
    if model not in MODELS:
        raise ConfigError(f"model {model} is a plug-in; bench train is for the built-in models")
    parsed = parse_scheme(spec, scheme)
    data = _opened(data_set)
    # torch and Lightning take seconds to import: not to find out that a name is misspelt.
    from models.scheme import SchemeError
    from models.training.errors import Diverged, TrainingError
    from models.training.folder import stored_result
    from models.training.job import Training
    from models.training.loop import train as run
    from models.training.recipe import Recipe
    from models.training.sensitivity import with_measured_channels

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    recipe = Recipe(
        **{name: settings.pop(name) for name in list(settings) if name in Recipe.__slots__}
    )
    try:
        job = Training(spec, parsed, data, recipe, **settings)
        job.check()
        with _held(out), _progress(out if resume else None) as progress:
            if by_sensitivity:
                job = with_measured_channels(job, stored_result(out) if resume else None)
            result = run(job, out, write=_write, resume=resume, progress=progress)
    except KeyboardInterrupt:
        if _is_first():
            people().print(f"{out} keeps every whole epoch; go on with --resume", markup=False)
        raise
    except Diverged as error:
        raise BenchError(f"{error}; {out} keeps the last good epoch") from None
    except (TrainingError, SchemeError) as error:
        raise ConfigError(str(error)) from None
    if _is_first():
        people().print(
            f"test: {100 * result['test_top1']:.2f} % top-1, {100 * result['test_top5']:.2f} % "
            f"top-5 of {result['test_images']} images; kept in {out}",
            markup=False,
            soft_wrap=True,
        )
        if as_json:
            emit_json(result)


def _opened(text: str) -> DataSet:
    from models.training.datasets import open_dataset
    from models.training.errors import DataError

    try:
        return open_dataset(text)
    except DataError as error:
        raise ConfigError(str(error)) from None


def _is_first() -> bool:
    """Whether this is the process that speaks and writes, of those that torchrun has started."""
    return os.environ.get("RANK", "0") == "0"


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises StoreError."""
    from bench.store.files import explained, write_atomic

    with explained("write", path):
        write_atomic(path, data)


@contextlib.contextmanager
def _held(out: Path) -> Iterator[None]:
    """Keep other trainings out of the folder. Raises ConfigError when one is at work there."""
    from bench.store.hold import hold

    if not _is_first():
        yield
        return
    out.mkdir(parents=True, exist_ok=True)
    try:
        held = hold(out)
    except BlockingIOError:
        raise ConfigError(f"{out}: another training is at work there") from None
    with held:
        yield


@contextlib.contextmanager
def _progress(resumed: Path | None) -> Iterator[Progress]:
    """A line per epoch, and in a terminal a bar below them.

    ``resumed``: the folder of a training that is to be gone on with.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    from models.training.progress import EpochRecord, Progress

    class Lines(Progress):
        def __init__(self, console: Console, bars: Bars) -> None:
            self._console = console
            self._bars = bars
            self._task = bars.add_task("steps", total=None)

        def begin(self, *, epochs: int, done: int, batches: int) -> None:
            self._epochs = epochs
            if done:
                self._console.print(f"goes on after epoch {done} of {epochs}")
            elif resumed is not None:
                self._console.print(
                    f"{resumed} has nothing to go on with: begins at the first epoch",
                    markup=False,
                    soft_wrap=True,
                )
            self._bars.update(self._task, total=epochs * batches, completed=done * batches)

        def approximated(self, errors: Mapping[str, float]) -> None:
            worst = max(errors, key=errors.__getitem__)
            mean = sum(errors.values()) / len(errors)
            self._console.print(
                f"starts from approximated weights: relative error {100 * mean:.1f} % on average "
                f"over {len(errors)} layers, {100 * errors[worst]:.1f} % at worst ({worst})",
                markup=False,
                soft_wrap=True,
            )

        def batch(self) -> None:
            self._bars.advance(self._task)

        def epoch(self, record: EpochRecord) -> None:
            self._console.print(
                f"epoch {record.epoch} of {self._epochs}: loss {record.loss:.4f}, "
                f"{100 * record.selection_top1:.2f} % of the held-out images, "
                f"{record.wall_s:.1f} s",
                markup=False,
                soft_wrap=True,
            )

    if not _is_first():
        yield Progress()
        return
    console = people()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    bars = Bars(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        refresh_per_second=2,
        disable=not console.is_terminal,
    )
    with bars:
        yield Lines(console, bars)
