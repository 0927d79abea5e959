"""Latency statistics that respect how the samples were taken: in rounds.

Inferences of one round follow each other and are correlated, rounds are spread over the run. So
the interval of the median comes from the medians of the rounds, not from single inferences.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.analysis.batches import batch_means, mean_half_width
from bench.analysis.tails import tails
from bench.analysis.times import load_end_ns, mean_wait_s
from bench.records.figures import LatencyStats
from bench.records.recordings import Round

MIN_ROUNDS_FOR_INTERVAL = 3


def median_interval_s(rounds: Sequence[Round]) -> tuple[float, float] | None:
    """Return the 95 % interval (seconds) of the median latency, ``None`` below 3 rounds.

    A t-interval over the logarithms of the round medians (batch means, with the median as the
    statistic of a batch): drift and correlation within a round widen it as they should.
    """
    if len(rounds) < MIN_ROUNDS_FOR_INTERVAL:
        return None
    medians = np.log([float(np.median(item.durations_ns)) * 1e-9 for item in rounds])
    batches, _ = batch_means(medians, np.array([item.load for item in rounds]))
    centre, half_width = float(batches.mean()), mean_half_width(batches)
    return float(np.exp(centre - half_width)), float(np.exp(centre + half_width))


def latency_stats(
    rounds: Sequence[Round], batch: int, kind: str = "latency"
) -> LatencyStats | None:
    """Return the statistics of the rounds of a kind among ``rounds``, ``None`` if there is none.

    Energy rounds do not count as latency: the sampler runs beside them. Throughput is in inputs
    per second (``batch`` inputs per run). MAD is the plain median of absolute deviations from the
    median.
    """
    used = [item for item in rounds if item.kind == kind]
    if not used:
        return None
    samples_s = np.concatenate([item.durations_ns for item in used]) * 1e-9
    p50_s = float(np.median(samples_s))
    interval = median_interval_s(used)
    loads = np.array([item.load for item in used])
    method = None
    if interval is not None:
        # With many slow rounds the mean of the logs can lie off the median of all samples; the
        # interval is widened to hold the figure it belongs to.
        interval = min(interval[0], p50_s), max(interval[1], p50_s)
        _, method = batch_means(np.zeros(loads.size), loads)
    tail = tails([item.durations_ns for item in used], loads)
    waits_s = [wait_s for item in used if (wait_s := mean_wait_s(item)) is not None]
    return LatencyStats(
        samples=samples_s.size,
        rounds=len(used),
        p50_s=p50_s,
        p50_low_s=None if interval is None else interval[0],
        p50_high_s=None if interval is None else interval[1],
        p50_method=method,
        p90_s=tail.percentile_s.get(90),
        p95_s=tail.percentile_s.get(95),
        p99_s=tail.percentile_s.get(99),
        p90_ci=tail.interval_s.get(90),
        p95_ci=tail.interval_s.get(95),
        p99_ci=tail.interval_s.get(99),
        tail_method=tail.method,
        autocorrelation=tail.lag1,
        effective_samples=tail.effective,
        mean_s=float(samples_s.mean()),
        min_s=float(samples_s.min()),
        mad_s=float(np.median(np.abs(samples_s - p50_s))),
        throughput_per_s=batch * samples_s.size / sum(_busy_s(item) for item in used),
        queue_mean_s=float(np.mean(waits_s)) if waits_s else None,
        copy_p50_s=_median_s([item.copy_ns for item in used]),
        compute_p50_s=_median_s([item.compute_ns for item in used]),
    )


def _median_s(parts_ns: Sequence[NDArray[np.int64] | None]) -> float | None:
    """Return the median of all times of the rounds that have some."""
    known = [part_ns for part_ns in parts_ns if part_ns is not None]
    return float(np.median(np.concatenate(known))) * 1e-9 if known else None


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


def _busy_s(item: Round) -> float:
    """Return the time from the start (or the first arrival) to the last end."""
    start_ns = item.start_ns if item.arrivals_ns is None else int(item.arrivals_ns[0])
    return (load_end_ns(item) - start_ns) * 1e-9
