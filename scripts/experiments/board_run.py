"""Measures every network of the comparison once with ``bench run``, by a plan file."""

from __future__ import annotations

import hashlib
import io
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compared_networks import REPEATED, Network, seed_folder
from ruamel.yaml import YAML
from training_queue import BENCH, Trainings
from training_results import MODEL, training_result

from bench.store.listing import list_runs
from bench.store.reader import Run, open_run

PLAN, RUNS = "plan.yaml", "runs"


@dataclass(frozen=True, slots=True)
class Measuring:
    """Where and how to measure. ``procedure`` is a preset of bench."""

    device: str
    procedure: str


def measure(networks: Sequence[Network], settings: Trainings, how: Measuring) -> int:
    """Measure the networks, or go on with the run that was interrupted; returns bench's code.

    Nothing is done when a whole run of the very same networks is there.
    """
    out = settings.out
    text = plan_text(networks, settings, how)
    plan = out / PLAN
    unchanged = plan.is_file() and plan.read_text() == text
    earlier = _latest(out) if unchanged else None
    command = [str(BENCH), "run", "--results", str(out / RUNS), "--wait"]
    if earlier is None:
        plan.write_text(text)
        command += ["--plan", str(plan)]
    elif earlier.unfinished:
        command += ["--resume", earlier.manifest.run_id]
    else:
        print(f"measured already: {earlier.path}", flush=True)
        return 0
    return subprocess.call(command)


def measured(out: Path) -> Run | None:
    """Return the newest run, ``None`` when nothing has been measured."""
    return _latest(out)


def plan_text(networks: Sequence[Network], settings: Trainings, how: Measuring) -> str:
    """Return the plan file: all schemes of all models, without the pairs that nobody compares.

    With the weights of the first seed whose trainings are all at hand, and without any otherwise:
    weights are not kept in the repository, and only the accuracy on the board depends on them.
    """
    there = [each for each in networks if not each.problem and each.method not in REPEATED]
    seed = _seed_with_weights(there, settings)
    seeds = range(settings.seeds) if seed is None else (seed,)
    wanted: dict[str, list[str]] = {}
    for network in there:
        scheme = _scheme(network, settings.out, seeds)
        if scheme is not None:
            wanted.setdefault(network.model, []).append(scheme)
    schemes = list(dict.fromkeys(scheme for of_model in wanted.values() for scheme in of_model))
    plan: dict[str, Any] = {
        "devices": [how.device],
        "models": list(wanted),
        "schemes": schemes,
        "procedure": how.procedure,
    }
    head = ["# Written by scripts/experiments/fashion-mnist."]
    if seed is not None:
        plan |= {"trained": seed_folder(Path(), seed).name, "accuracy": settings.data_set}
        head.append("# Networks and SHA-256 of their weights:")
        for network in there:
            content = (network.folder(settings.out, seed) / MODEL).read_bytes()
            head.append(f"# {network.name} {hashlib.sha256(content).hexdigest()}")
    others = [
        {"model": model, "scheme": scheme}
        for model, of_model in wanted.items()
        for scheme in schemes
        if scheme not in of_model
    ]
    if others:
        plan["exclude"] = others
    stream = io.StringIO()
    YAML().dump(plan, stream)
    return "\n".join([*head, stream.getvalue()])


def _scheme(network: Network, out: Path, seeds: Sequence[int]) -> str | None:
    """The scheme that stands for a network on the board.

    Where each seed's dense network decides over the channels, that of the first seed that is
    trained, ``None`` while there is none.
    """
    if not network.by_sensitivity:
        return str(network.scheme)
    results = (training_result(network, out, seed) for seed in seeds)
    return next((str(result["scheme"]) for result in results if result is not None), None)


def _seed_with_weights(networks: Sequence[Network], settings: Trainings) -> int | None:
    for seed in range(settings.seeds):
        if all(
            training_result(network, settings.out, seed) is not None
            and (network.folder(settings.out, seed) / MODEL).is_file()
            for network in networks
        ):
            return seed
    return None


def _latest(out: Path) -> Run | None:
    usable = [listing for listing in list_runs(out / RUNS) if not listing.problem]
    return open_run(usable[-1].path, out / RUNS) if usable else None
