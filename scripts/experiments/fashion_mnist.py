"""Every scheme and comparator on Fashion-MNIST: accuracy over seeds, and what it costs on a board.

ShuffleNetV2 0.5x, dense and with 15 and 25 % fewer parameters, and 1.0x, dense and with 35 %
fewer, are trained (``--stage train``), each network is measured with ``bench run`` (``measure``),
and the table and the Pareto chart are made of what is stored (``table``).
Without ``--stage`` all three follow each other. It can be interrupted at any time and goes on
where it was: finished trainings are skipped, the others go on from their last whole epoch::

    scripts/experiments/fashion-mnist [--out results/fashion-mnist] [--jobs 2] [--seeds 3]
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

import outcomes
import pareto_chart
import result_table
from board_run import Measuring, measure, measured
from compared_networks import compared
from training_queue import Queue, Trainings

STAGES = ("train", "measure", "table")
TABLE, CHART = "results.md", "pareto"
_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Carry out the stages that are asked for; returns 0 when nothing failed."""
    options = _parser().parse_args(arguments)
    settings = Trainings(
        data=options.data.resolve(),
        out=options.out.resolve(),
        train_images=options.train_images,
        epochs=options.epochs,
        batch=options.batch,
        lr=options.lr,
        seeds=options.seeds,
    )
    if not settings.data.is_dir():
        print(
            f"{settings.data}: no such folder; Debian's package dataset-fashion-mnist has the "
            "files, or name their folder with --data",
            file=sys.stderr,
        )
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    stages = STAGES if options.stage is None else (options.stage,)
    try:
        settings.out.mkdir(parents=True, exist_ok=True)
        codes = [_carry_out(stage, settings, options) for stage in stages]
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return _INTERRUPTED
    return next((code for code in codes if code), 0)


def _carry_out(stage: str, settings: Trainings, options: argparse.Namespace) -> int:
    networks = compared()
    if stage == "train":
        failures = Queue(settings, options.jobs).run(networks)
        for text in failures:
            print(text, file=sys.stderr)
        return 1 if failures else 0
    if stage == "measure":
        return measure(networks, settings, Measuring(options.device, options.procedure))
    run = measured(settings.out)
    trained = outcomes.collect(networks, settings.out, settings.seeds, run)
    for kind, content in pareto_chart.draw(trained).items():
        (settings.out / f"{CHART}.{kind}").write_bytes(content)
    text = result_table.as_markdown(trained, run, f"{CHART}.svg")
    (settings.out / TABLE).write_text(text)
    print(settings.out / TABLE, flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--stage", choices=STAGES, help="Only this stage (default: all).")
    parser.add_argument("--out", type=Path, default=Path("results/fashion-mnist"))
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--train-images", type=_positive, default=10_000)
    parser.add_argument("--epochs", type=_positive, default=10)
    # Small batches: so few images make too few steps of the recipe's 128.
    parser.add_argument("--batch", type=_positive, default=32)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--seeds", type=_positive, default=3)
    parser.add_argument("--jobs", type=_positive, default=1, help="Trainings at once.")
    parser.add_argument("--device", default="local", help="Device of devices.yaml to measure on.")
    parser.add_argument("--procedure", default="standard", help="Preset of bench to measure by.")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
