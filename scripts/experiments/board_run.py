"""Measures the trained networks of the first seed with ``bench run``, by a plan file."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compared_networks import REPEATED, Network, seed_folder
from ruamel.yaml import YAML
from training_queue import BENCH, MODEL, RESULT, Trainings

from bench.store.listing import list_runs
from bench.store.reader import Run, open_run

SEED = 0
"""Seed of the trainings that are measured: all have the same graphs, so that one is enough."""

PLAN, RUNS = "plan.yaml", "runs"


@dataclass(frozen=True, slots=True)
class Measuring:
    """Where and how to measure. ``procedure`` is a preset of bench."""

    device: str
    procedure: str


class NothingTrained(Exception):
    """There is no trained network to measure yet."""


def measure(networks: Sequence[Network], settings: Trainings, how: Measuring) -> int:
    """Measure what is trained, or go on with the run that was interrupted; returns bench's code.

    Nothing is done when a whole run of the very same networks is there. Raises NothingTrained.
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


def trained_scheme(network: Network, out: Path, seed: int) -> dict[str, Any] | None:
    """Return what a training came to, ``None`` when it is not over."""
    path = network.folder(out, seed) / RESULT
    if not path.is_file():
        return None
    result: dict[str, Any] = json.loads(path.read_bytes())
    return result


def plan_text(networks: Sequence[Network], settings: Trainings, how: Measuring) -> str:
    """Return the plan file: all schemes of all models, without the pairs that nobody trained.

    Raises NothingTrained.
    """
    wanted: dict[str, list[str]] = {}
    digests = []
    for network in networks:
        if network.problem or network.method in REPEATED:  # the latter's graph is there already
            continue
        result = trained_scheme(network, settings.out, SEED)
        if result is None:
            continue
        wanted.setdefault(result["model"], []).append(result["scheme"])
        content = (network.folder(settings.out, SEED) / MODEL).read_bytes()
        digests.append(f"# {network.name} {hashlib.sha256(content).hexdigest()}")
    if not wanted:
        raise NothingTrained(f"{settings.out}: nothing has been trained; begin with --stage train")
    schemes = list(dict.fromkeys(scheme for of_model in wanted.values() for scheme in of_model))
    plan: dict[str, Any] = {
        "devices": [how.device],
        "models": list(wanted),
        "schemes": schemes,
        "trained": seed_folder(Path(), SEED).name,
        "accuracy": settings.data_set,
        "procedure": how.procedure,
    }
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
    head = "# Written by scripts/experiments/fashion-mnist. Networks and SHA-256 of their weights:"
    return "\n".join([head, *digests, stream.getvalue()])


def _latest(out: Path) -> Run | None:
    usable = [listing for listing in list_runs(out / RUNS) if not listing.problem]
    return open_run(usable[-1].path, out / RUNS) if usable else None
