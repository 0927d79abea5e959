"""Percentiles of the latency with 95 % intervals.

Of independent samples, order statistics bound a percentile without any assumption on the
distribution. Where neighbours correlate (lag-1 above ``MAX_LAG1``), ranks are taken for as many
independent samples as the scatter between rounds shows all of them to be worth. With three or more
fresh loads, the percentiles of the loads are the batches of a t-interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrik, ndtri, stdtrit

from bench.analysis.batches import loads_are_batches, mean_half_width
from bench.analysis.independence import independence
from bench.records.figures import Interval

MIN_SAMPLES = {90: 36, 95: 72, 99: 368}
"""Fewest samples for which a percentile is given, and fewest *effective* samples for which it has
a two-sided 95 % interval."""

MAX_LAG1 = 0.1
"""Autocorrelation of neighbours above which single samples are not the unit of ranks."""

MIN_ROUNDS = 10
"""Fewest rounds whose scatter says what correlated samples are worth."""

Samples = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tails:
    """Percentiles in seconds by percent, without an entry where samples are too few, and their
    intervals, without an entry where too few of them are independent.

    ``method``: ``order-statistic``, ``rounds`` or ``loads``, ``None`` when no interval is given.
    """

    percentile_s: dict[int, float]
    interval_s: dict[int, Interval]
    method: str | None
    lag1: float | None
    effective: float | None


def tails(rounds: Sequence[Samples], loads: NDArray[np.int64]) -> Tails:
    """Return p90, p95 and p99 of the samples (nanoseconds) of some rounds.

    ``loads``: number of the fresh load of each round.
    """
    samples_s = np.asarray(np.sort(np.concatenate(rounds)) * 1e-9, dtype=np.float64)
    worth = independence(rounds)
    effective = float(samples_s.size) if worth is None else worth.effective
    percentile_s = {
        percent: float(np.percentile(samples_s, percent))
        for percent, least in MIN_SAMPLES.items()
        if samples_s.size >= least
    }
    found: dict[int, Interval | None] = {}
    method = ""
    known = [percent for percent in percentile_s if effective >= MIN_SAMPLES[percent]]
    if loads_are_batches(loads):
        method = "loads"
        each = [
            [samples for samples, load in zip(rounds, loads, strict=True) if load == number]
            for number in np.unique(loads)
        ]
        found = {p: load_interval(each, p, value_s) for p, value_s in percentile_s.items()}
    elif worth is None or worth.lag1 <= MAX_LAG1:
        method = "order-statistic"
        found = {p: order_statistic_interval(samples_s, p / 100, effective) for p in known}
    elif len(rounds) >= MIN_ROUNDS:
        method = "rounds"
        found = {p: round_interval(rounds, samples_s, p) for p in known}
    interval_s = {p: interval for p, interval in found.items() if interval is not None}
    return Tails(
        percentile_s,
        interval_s,
        method if interval_s else None,
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
    low = binomial_quantile(0.025, count, share)
    high = binomial_quantile(0.975, count, share) + 1
    scale = sorted_s.size / count
    first = max(1, int(np.floor(low * scale)))
    last = min(sorted_s.size, int(np.ceil(high * scale)))
    return Interval(low=float(sorted_s[first - 1]), high=float(sorted_s[last - 1]))


def binomial_quantile(level: float, count: int, share: float) -> int:
    """Return the least k with P(B ≤ k) ≥ ``level`` for B binomial of ``count`` draws.

    As ``scipy.stats.binom.ppf``, whose module takes most of a second to import: after every run.
    """
    between = float(bdtrik(level, count, share))  # not a number where P(B ≤ 0) is level or more
    k = int(np.ceil(between)) if between > 0 else 0
    return k - 1 if k > 0 and bdtr(k - 1, count, share) >= level else k


def round_interval(
    rounds: Sequence[Samples], sorted_s: NDArray[np.float64], percent: int
) -> Interval | None:
    """Return order statistics at the ranks that the scatter between the rounds allows.

    The share of samples above the percentile differs from round to round; the variance of the
    whole share, from the R rounds, says how many independent samples would know it as well. That
    number shrinks by (1.96/t)² for what the variance itself is uncertain, with the degrees of
    freedom 2·(R − 1)/(κ − 1) for the kurtosis κ of the rounds' deviations, at most R − 1 (Korn and
    Graubard, Survey Methodology 24, 1998, for the ranks; Satterthwaite for the freedom). ``None``
    when it is too small for an upper bound.
    """
    limit_ns = float(np.percentile(np.concatenate(rounds), percent))
    sizes = np.array([item.size for item in rounds])
    above = np.array([np.count_nonzero(item > limit_ns) for item in rounds])
    share = above.sum() / sizes.sum()
    deviations = above - share * sizes
    squares = float(np.square(deviations).sum())
    if squares == 0:
        return order_statistic_interval(sorted_s, percent / 100, sorted_s.size)
    few = len(rounds) - 1
    variance = (few + 1) / few * squares / sizes.sum() ** 2
    kurtosis = len(rounds) * float(np.power(deviations, 4).sum()) / squares**2
    freedom = min(float(few), 2 * few / max(kurtosis - 1, 1e-9))
    penalty = (float(ndtri(0.975)) / float(stdtrit(max(1.0, freedom), 0.975))) ** 2
    effective = penalty * share * (1 - share) / variance
    if effective < MIN_SAMPLES[percent]:
        return None
    return order_statistic_interval(sorted_s, percent / 100, effective)


def load_interval(
    rounds_by_load: Sequence[Sequence[Samples]], percent: int, centre_s: float
) -> Interval | None:
    """Return the t-interval over the logarithms of the percentiles of the fresh loads.

    It is about the percentile within a load, on average over loads, and widened, if needed, to hold
    ``centre_s``, the percentile of all samples. ``None`` when a load has too few samples for the
    percentile, or all loads together too few that are independent within their load.
    """
    each = [np.concatenate(rounds) for rounds in rounds_by_load]
    worth = [independence(rounds) for rounds in rounds_by_load]
    effective = sum(1.0 if item is None else item.effective for item in worth)
    if min(min(item.size for item in each), effective) < MIN_SAMPLES[percent]:
        return None
    logs = np.log([float(np.percentile(item, percent)) * 1e-9 for item in each])
    centre, half_width = float(logs.mean()), mean_half_width(logs)
    return Interval(
        low=min(centre_s, float(np.exp(centre - half_width))),
        high=max(centre_s, float(np.exp(centre + half_width))),
    )
