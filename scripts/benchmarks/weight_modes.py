"""What each sharing scheme costs in each weight mode, and other ways to generate the weights.

For each input size and batch one ``bench run`` on this machine interleaves the dense network with
every scheme and weight mode, round by round; printed are the ratio of the median latencies to
dense with its 95 % interval over the rounds (over the loads from three on), and what the worker
keeps in memory.

With ``--variants`` come other forms of run-time generation (``generation_variants.py``), measured
in the same run as ONNX files. Each is checked against the reference outputs of the form that it
stands in for::

    python scripts/benchmarks/weight_modes.py [--out results/weight-modes] [--rounds 20]
        [--loads 3] [--inputs 224,32] [--batches 1,8] [--schemes basis:0.25,soft:0.25] [--variants]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from generation_variants import VARIANTS, export_variant

from bench.analysis.compare import compare
from bench.analysis.conditions import subject
from bench.cli.output import people
from bench.cli.progress import progress
from bench.config.devices_file import find_device, load_devices
from bench.export.cache import default_cache
from bench.plan.plan import make_plan
from bench.plan.procedures import make_procedure
from bench.records.trial import Trial
from bench.report import format as fmt
from bench.run.session import run as run_session
from bench.store.reader import Run
from models import MODELS, Scheme, SchemeError

MODELS_BY_INPUT = {224: "shufflenet_v2_x1_0", 32: "shufflenet_v2_x1_0_cifar100"}
SCHEMES = (
    "basis:0.25",
    "basis:0.35",
    "basis-shared:0.25",
    "blocks:0.25",
    "blocks-one:0.25",
    "soft:0.25",
    "reuse-1",
    "reuse-2",
)


def reachable(model: str, schemes: Sequence[str]) -> list[str]:
    """Return the schemes that a model can have; says which are left out and why."""
    found = []
    for text in schemes:
        try:
            MODELS[model].total(Scheme.parse(text))
            found.append(text)
        except SchemeError as error:
            print(f"{model} {text}: left out: {error}", flush=True)
    return found


def measure(model: str, batch: int, options: argparse.Namespace) -> Run:
    """One run: dense, every scheme in every mode, and the variants."""
    schemes = reachable(model, options.schemes)
    files = []
    if options.variants:
        folder = options.out / f"{model}-b{batch}"
        folder.mkdir(parents=True, exist_ok=True)
        for variant in VARIANTS:
            fitting = [text for text in schemes if Scheme.parse(text).name == variant.kind]
            if fitting:
                files.append(str(export_variant(variant, model, fitting[0], batch, folder)))
    procedure = make_procedure("quick", {"latency_rounds": options.rounds, "loads": options.loads})
    plan = make_plan(
        models=[model, *files],
        schemes=["dense", *schemes],
        batches=[batch],
        threads=[1],
        procedure=procedure,
        estimates=False,
        skips=True,
    )
    with progress(people()) as display:
        outcome = run_session(
            plan,
            {"local": find_device(load_devices(None), "local")},
            results_dir=options.out / "runs",
            cache=default_cache(),
            command=sys.argv,
            observer=display,
            wait=True,
        )
    return outcome.run


def lines(run: Run) -> Iterator[str]:
    """A line per case: its ratio to dense, median and memory."""
    dense = next(
        trial for trial in run.trials if trial.case.scheme == "dense" and trial.case.model in MODELS
    )
    for trial in run.trials:
        name = " ".join(filter(None, (trial.case.scheme, trial.case.weights)))
        if trial.case.model not in MODELS:
            name = trial.case.model
        yield f"  {name:28} {_ratio(dense, trial, run):28} {_cost(trial)}"


def _ratio(dense: Trial, trial: Trial, run: Run) -> str:
    if trial is dense:
        return "1"
    compared = compare(subject(dense, run.manifest), subject(trial, run.manifest), margin=0.0)
    found = next(each for each in compared.quantities if each.quantity == "latency")
    if found.ratio is None or found.low is None or found.high is None:
        return found.why
    side = "" if compared.paired else " not side by side"
    return f"{found.ratio:.3f} ({found.low:.3f}–{found.high:.3f}){side}"


def _cost(trial: Trial) -> str:
    memory = trial.memory
    rise = fmt.NONE if memory is None else fmt.size(memory.steady_rise_bytes)
    peak = fmt.NONE if memory is None else fmt.size(memory.peak_bytes)
    size = fmt.size(trial.artifact.file_bytes if trial.artifact else None)
    return (
        f"p50 {fmt.median(trial.latency)}, memory +{rise} (peak {peak}), file {size}, "
        f"{fmt.status(trial)}"
    )


def main() -> None:
    """Measure and print a block per input size and batch."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path("results/weight-modes"))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--loads", type=int, default=3)
    parser.add_argument("--inputs", type=_numbers, default=(224, 32))
    parser.add_argument("--batches", type=_numbers, default=(1, 8))
    parser.add_argument("--schemes", type=lambda text: text.split(","), default=SCHEMES)
    parser.add_argument("--variants", action="store_true")
    options = parser.parse_args()
    for size in options.inputs:
        for batch in options.batches:
            model = MODELS_BY_INPUT[size]
            run = measure(model, batch, options)
            print(f"{model}, {size}×{size}, batch {batch} (run {run.manifest.run_id}):")
            for line in lines(run):
                print(line, flush=True)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    main()
