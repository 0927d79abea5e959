"""Latency statistics that respect how the samples were taken: in rounds.

Inferences of one round follow each other and are correlated, rounds are spread over the run. So
the interval of the median comes from the medians of the rounds, not from single inferences.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from bench.recordings import Round
from bench.records import LatencyStats

MIN_SAMPLES = {90: 36, 95: 72, 99: 368}
"""Fewest samples for which a two-sided 95 % order-statistic interval of the percentile exists."""

MIN_ROUNDS_FOR_INTERVAL = 3


def t_factor(count: int) -> float:
    """Return Student's 97.5 % quantile for the mean of ``count`` >= 2 values."""
    return float(stdtrit(count - 1, 0.975))


def mean_half_width(values: NDArray[np.float64]) -> float:
    """Return the half-width of the 95 % t-interval of the mean of ``values`` (at least 2)."""
    return t_factor(values.size) * float(values.std(ddof=1)) / float(np.sqrt(values.size))


def median_interval_s(rounds: Sequence[Round]) -> tuple[float, float] | None:
    """Return the 95 % interval (seconds) of the median latency, ``None`` below 3 rounds.

    A t-interval over the logarithms of the round medians (batch means, with the median as the
    statistic of a batch): drift and correlation within a round widen it as they should.
    """
    if len(rounds) < MIN_ROUNDS_FOR_INTERVAL:
        return None
    medians = np.log([float(np.median(item.durations_ns)) * 1e-9 for item in rounds])
    centre, half_width = float(medians.mean()), mean_half_width(medians)
    return float(np.exp(centre - half_width)), float(np.exp(centre + half_width))


def latency_stats(rounds: Sequence[Round], batch: int) -> LatencyStats | None:
    """Return the statistics of the latency rounds among ``rounds``, ``None`` if there is none.

    Energy rounds do not count: the sampler runs beside them. Throughput is in inputs per second
    (``batch`` inputs per run). MAD is the plain median of absolute deviations from the median.
    """
    used = [item for item in rounds if item.kind == "latency"]
    if not used:
        return None
    samples_s = np.concatenate([item.durations_ns for item in used]) * 1e-9
    p50_s = float(np.median(samples_s))
    interval = median_interval_s(used)
    if interval is not None:
        # With many slow rounds the mean of the logs can lie off the median of all samples; the
        # interval is widened to hold the figure it belongs to.
        interval = min(interval[0], p50_s), max(interval[1], p50_s)
    tail = {q: _percentile_s(samples_s, q) for q in MIN_SAMPLES}
    return LatencyStats(
        samples=samples_s.size,
        rounds=len(used),
        p50_s=p50_s,
        p50_low_s=None if interval is None else interval[0],
        p50_high_s=None if interval is None else interval[1],
        p90_s=tail[90],
        p95_s=tail[95],
        p99_s=tail[99],
        mean_s=float(samples_s.mean()),
        min_s=float(samples_s.min()),
        mad_s=float(np.median(np.abs(samples_s - p50_s))),
        throughput_per_s=batch * samples_s.size / float(samples_s.sum()),
    )


def sampler_effect(rounds: Sequence[Round]) -> float | None:
    """Return median latency with the power sampler running, relative to without it.

    ``None`` unless there are rounds of both kinds.
    """
    medians = {}
    for kind in ("latency", "energy"):
        used = [item.durations_ns for item in rounds if item.kind == kind]
        if not used:
            return None
        medians[kind] = float(np.median(np.concatenate(used)))
    return medians["energy"] / medians["latency"]


def _percentile_s(samples_s: NDArray[np.float64], percent: int) -> float | None:
    if samples_s.size < MIN_SAMPLES[percent]:
        return None
    return float(np.percentile(samples_s, percent))
