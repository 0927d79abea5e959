"""How much correlated samples tell: autocorrelation within rounds and effective samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Independence:
    """``lag1``: autocorrelation of neighbours; ``effective``: independent samples worth as much."""

    lag1: float
    effective: float


def independence(rounds: Sequence[NDArray[np.int64]]) -> Independence | None:
    """Return how independent the samples of some rounds are, ``None`` below two samples a round.

    Ranks take the place of durations, so that a few stalls do not hide the correlation of all the
    others. They are centred on the mean of all rounds: a level that differs from round to round
    correlates the samples of a round and counts. Samples of different rounds are taken as
    independent of each other.

    For rounds of L samples the mean of n has the variance
    σ²/n · (1 + 2·Σ (1 − k/L)·ρ_k), summed as far as pairs of neighbouring ρ stay positive
    (initial positive sequence: Geyer, Practical Markov Chain Monte Carlo, 1992).
    """
    sizes = np.array([samples.size for samples in rounds])
    if sizes.size == 0 or sizes.max() < 2:
        return None
    values = np.concatenate(rounds)
    ranks = mean_ranks(values)
    ranks -= ranks.mean()
    if not ranks.any():
        return Independence(0.0, float(values.size))
    rho = _autocorrelation(ranks, sizes)
    length = float(np.square(sizes).sum() / sizes.sum())
    weighted = np.maximum(0.0, 1 - np.arange(rho.size) / length) * rho
    pairs = weighted[: 2 * (weighted.size // 2)].reshape(-1, 2).sum(axis=1)
    ended = np.flatnonzero(pairs <= 0)
    pairs = pairs[: ended[0]] if ended.size else pairs
    factor = max(1.0, 2 * float(pairs.sum()) - 1)
    return Independence(float(rho[1]), values.size / factor)


def mean_ranks(values: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the rank of each value from 1, equal ones sharing the mean of theirs.

    As ``scipy.stats.rankdata``, whose module takes most of a second to import: after every run.
    """
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def _autocorrelation(centred: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return ρ at the lags 0, 1, ... from products of samples of the same round."""
    longest = int(sizes.max())
    padded = np.zeros((sizes.size, 2 * longest))
    starts = np.cumsum(sizes) - sizes
    for row, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        padded[row, :size] = centred[start : start + size]
    power = np.square(np.abs(np.fft.rfft(padded, axis=1))).sum(axis=0)
    sums = np.fft.irfft(power, n=2 * longest)[:longest]
    counts = np.maximum(0, sizes[:, None] - np.arange(longest)).sum(axis=0)
    means = sums / counts
    rho: NDArray[np.float64] = means / means[0]
    return rho
