"""What the trainings came to, put together with what was measured of their networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from compared_networks import DENSE, REPEATED, Network
from training_results import training_result

from bench.export.trained import network_name
from bench.records.trial import Trial
from bench.store.reader import Run
from models import Scheme


@dataclass(frozen=True, slots=True)
class Trained:
    """A network with its results by seed and its trials on the board, one per weight mode."""

    network: Network
    results: dict[int, dict[str, Any]]
    trials: tuple[Trial, ...]

    @property
    def top1(self) -> dict[int, float]:
        """Share of the test images (0 to 1) by seed."""
        return {seed: result["test_top1"] for seed, result in self.results.items()}


def collect(networks: Sequence[Network], out: Path, seeds: int, run: Run | None) -> list[Trained]:
    """Put together what was trained and what was measured."""
    found = []
    for network in networks:
        by_seed = {} if network.problem else _results(network, out, seeds)
        found.append(Trained(network, by_seed, _trials(network, by_seed, run)))
    return found


def _trials(
    network: Network, results: Mapping[int, dict[str, Any]], run: Run | None
) -> tuple[Trial, ...]:
    """Trials of a network's graph; of its weights too, if the run had trained ones."""
    if run is None or network.problem:
        return ()
    schemes = {result["scheme"] for result in results.values()}
    if not network.by_sensitivity:
        schemes.add(str(network.scheme))
    return tuple(
        trial
        for trial in run.trials
        if trial.case.model == network.model
        and trial.case.scheme in schemes
        and (network.method in REPEATED or _has_weights(trial, results.values(), run))
    )


def _has_weights(trial: Trial, results: Iterable[dict[str, Any]], run: Run) -> bool:
    """Whether a run without trained weights, or with those of one of these trainings."""
    weights = run.manifest.plan.trained
    if weights is None:
        return True
    name = network_name(trial.case.model, Scheme.parse(trial.case.scheme))
    return weights[name].sha256 in {result["checkpoint_sha256"] for result in results}


def _results(network: Network, out: Path, seeds: int) -> dict[int, dict[str, Any]]:
    found = {seed: training_result(network, out, seed) for seed in range(seeds)}
    return {seed: result for seed, result in found.items() if result is not None}


def dense_of(model: str, trained: Iterable[Trained]) -> Trained:
    """The dense network of a model."""
    return next(
        each for each in trained if (each.network.model, each.network.method) == (model, DENSE)
    )


def differences(one: Trained, other: Trained) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Points by which one is better than the other, for each seed that both have."""
    common = sorted(one.top1.keys() & other.top1.keys())
    return np.array([100 * (one.top1[seed] - other.top1[seed]) for seed in common])
