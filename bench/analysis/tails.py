"""Percentiles of the latency with 95 % intervals.

Of independent samples, order statistics bound a percentile without any assumption on the
distribution. Correlated ones (lag-1 above ``MAX_LAG1``) need a bootstrap that draws whole rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from scipy.stats import binom

from bench.analysis.independence import independence
from bench.figures import Interval

MIN_SAMPLES = {90: 36, 95: 72, 99: 368}
"""Fewest samples for which a percentile is given, and fewest *effective* samples for which it has
a two-sided 95 % interval."""

MAX_LAG1 = 0.1
"""Autocorrelation of neighbours above which order statistics no longer hold."""

MIN_ROUNDS_FOR_BOOTSTRAP = 10

_DRAWS = 2000
_GRID = 2000


@dataclass(frozen=True, slots=True)
class Tails:
    """Percentiles in seconds by percent, without an entry where samples are too few, and their
    intervals, without an entry where too few of them are independent.

    ``method``: ``order-statistic`` or ``block-bootstrap``, ``None`` when no interval is given.
    """

    percentile_s: dict[int, float]
    interval_s: dict[int, Interval]
    method: str | None
    lag1: float | None
    effective: float | None


def tails(rounds: Sequence[NDArray[np.int64]], seed: int = 1) -> Tails:
    """Return p90, p95 and p99 of the samples (nanoseconds) of some rounds."""
    samples_s = np.asarray(np.sort(np.concatenate(rounds)) * 1e-9, dtype=np.float64)
    worth = independence(rounds)
    effective = float(samples_s.size) if worth is None else worth.effective
    values_s = {
        percent: float(np.percentile(samples_s, percent))
        for percent, least in MIN_SAMPLES.items()
        if samples_s.size >= least
    }
    known = [percent for percent in values_s if effective >= MIN_SAMPLES[percent]]
    intervals: dict[int, Interval] = {}
    method = None
    if known and (worth is None or worth.lag1 <= MAX_LAG1):
        method = "order-statistic"
        intervals = {p: order_statistic_interval(samples_s, p / 100, effective) for p in known}
    elif known and len(rounds) >= MIN_ROUNDS_FOR_BOOTSTRAP:
        method = "block-bootstrap"
        found = _bootstrap_intervals(rounds, [percent / 100 for percent in known], seed)
        intervals = dict(zip(known, found, strict=True))
    return Tails(
        values_s,
        intervals,
        method,
        None if worth is None else worth.lag1,
        None if worth is None else effective,
    )


def order_statistic_interval(
    sorted_s: NDArray[np.float64], share: float, effective: float
) -> Interval:
    """Return the interval between two order statistics that holds the quantile with 95 %.

    The number of samples below the quantile is binomial, so the ranks r and s with
    P(r ≤ B < s) ≥ 0.95 bound it (two-sided, 2.5 % on either side). Ranks are found for the
    ``effective`` number of samples and scaled to all of them.
    """
    count = int(min(effective, sorted_s.size))
    low = int(binom.ppf(0.025, count, share))
    high = int(binom.ppf(0.975, count, share)) + 1
    scale = sorted_s.size / count
    first = max(1, int(np.floor(low * scale)))
    last = min(sorted_s.size, int(np.ceil(high * scale)))
    return Interval(low=float(sorted_s[first - 1]), high=float(sorted_s[last - 1]))


def _bootstrap_intervals(
    rounds: Sequence[NDArray[np.int64]], shares: Sequence[float], seed: int
) -> list[Interval]:
    """Return percentile intervals from drawing whole rounds with replacement.

    The quantile of each draw is read off a grid of values in the upper part of the distribution:
    how many samples of a round lie at or below each of them is counted once. A bootstrap of few
    blocks is too narrow, as a normal interval of few values is: its reach on either side of the
    estimate is stretched by t/1.96 · √(R/(R − 1)) for R rounds.
    """
    values = np.sort(np.concatenate(rounds))
    above = values[int(values.size * max(0.0, 1 - 3 * (1 - min(shares)))) :]
    grid = np.unique(above[np.linspace(0, above.size - 1, min(_GRID, above.size)).astype(int)])
    below = np.array([np.searchsorted(np.sort(item), grid, side="right") for item in rounds])
    sizes = np.array([item.size for item in rounds])
    draw = np.random.default_rng(seed).integers(len(rounds), size=(_DRAWS, len(rounds)))
    counts = np.zeros((_DRAWS, len(rounds)))
    np.add.at(counts, (np.arange(_DRAWS)[:, None], draw), 1)
    reached = counts @ below
    wanted = counts @ sizes
    few = len(rounds) - 1
    stretch = float(stdtrit(few, 0.975)) / 1.96 * np.sqrt((few + 1) / few)
    found = []
    for share in shares:
        position = np.argmax(reached >= share * wanted[:, None], axis=1)
        centre = float(np.percentile(values, 100 * share))
        low, high = np.percentile(grid[position], [2.5, 97.5], method="nearest")
        low_ns = max(float(values[0]), centre - stretch * (centre - float(low)))
        high_ns = centre + stretch * (float(high) - centre)
        found.append(Interval(low=low_ns * 1e-9, high=high_ns * 1e-9))
    return found
