"""Latency of a synthetic runtime whose delays follow a known law, through the interval code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from bench.analysis.stats import latency_stats, median_interval_s
from bench.plan.procedures import PROCEDURES
from bench.records.recordings import Round
from bench.selftest.outcome import Coverage, Finding, Row, WrongEstimator

PROCEDURE = PROCEDURES["standard"]
MEDIAN_S = 0.003
PER_ROUND = round(PROCEDURE.latency_round_s / MEDIAN_S)
ROUND_SPREAD = 0.005
"""Rounds differ by this much (relative standard deviation), whatever happens inside them."""
TRIALS = 300
LEAST_COVERAGE = 0.91
"""Three standard deviations of a share of ``TRIALS`` below 95 %."""

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator], Array]


@dataclass(frozen=True, slots=True)
class Schedule:
    """A law of delays: ``draw`` returns seconds, shape (rounds, inferences per round)."""

    name: str
    median_s: float
    draw: Draw


def _shape() -> tuple[int, int]:
    return PROCEDURE.latency_rounds, PER_ROUND


def _with_rounds(random: np.random.Generator, log_noise: Array) -> Array:
    """Return delays from their noise within rounds; rounds differ from each other too."""
    between = random.normal(0.0, ROUND_SPREAD, (log_noise.shape[0], 1))
    return MEDIAN_S * np.exp(log_noise + between)


def _steady(random: np.random.Generator) -> Array:
    return _with_rounds(random, random.normal(0.0, 0.02, _shape()))


def _drifting(random: np.random.Generator) -> Array:
    drift = np.linspace(-0.02, 0.02, PROCEDURE.latency_rounds)[:, None]
    return _steady(random) * np.exp(drift)


SLOW_SHARE, SLOW_FACTOR, MODE_SPREAD = 0.3, 1.2, 0.01


def _bimodal(random: np.random.Generator) -> Array:
    slow = random.random(_shape()) < SLOW_SHARE
    noise = random.normal(0.0, MODE_SPREAD, _shape())
    return _with_rounds(random, noise + slow * np.log(SLOW_FACTOR))


# The slow mode lies wholly above the fast one, of which the median is thus a higher quantile;
# that rounds differ widens the mode as it widens everything.
_BIMODAL_QUANTILE = float(ndtri(0.5 / (1 - SLOW_SHARE)))


def autocorrelated(
    random: np.random.Generator, shape: tuple[int, int], rho: float, spread: float
) -> Array:
    """Return AR(1) noise with standard deviation ``spread`` along the second axis of ``shape``."""
    noise = random.normal(0.0, 1.0, shape)
    for i in range(1, shape[1]):
        noise[:, i] = rho * noise[:, i - 1] + np.sqrt(1 - rho**2) * noise[:, i]
    return spread * noise


def _ar1(random: np.random.Generator) -> Array:
    return _with_rounds(random, autocorrelated(random, _shape(), 0.7, 0.05))


SCHEDULES = (
    Schedule("steady", MEDIAN_S, _steady),
    Schedule("drifting by 4 %", MEDIAN_S, _drifting),
    Schedule("bimodal", MEDIAN_S * float(np.exp(MODE_SPREAD * _BIMODAL_QUANTILE)), _bimodal),
    Schedule("autocorrelated, ρ = 0.7", MEDIAN_S, _ar1),
)


def latency_findings() -> Iterator[Finding]:
    """Yield a row and the coverage of every schedule, then the naive interval's."""
    naive = []
    for seed, schedule in enumerate(SCHEDULES):
        random = np.random.default_rng(seed)
        yield _row(schedule, rounds_of(schedule.draw(random)))
        right = wrong = 0
        for _ in range(TRIALS):
            delays_s = schedule.draw(random)
            right += _holds(median_interval_s(rounds_of(delays_s)), schedule.median_s)
            wrong += _holds(naive_interval_s(delays_s), schedule.median_s)
        yield Coverage(schedule.name, right / TRIALS, TRIALS, LEAST_COVERAGE)
        naive.append((wrong / TRIALS, schedule.name))
    lowest, where = min(naive)
    yield WrongEstimator(
        "naive interval (1.96·s/√n)",
        tried=len(naive),
        missed=sum(share < LEAST_COVERAGE for share, _ in naive),
        worst=f"holds the truth in {lowest:.0%} of the cases: {where}",
    )


def rounds_of(delays_s: Array) -> list[Round]:
    """Return latency rounds with these delays, one round per row."""
    return [
        Round(i, "latency", 0, np.round(row * 1e9).astype(np.int64))
        for i, row in enumerate(delays_s)
    ]


def naive_interval_s(delays_s: Array) -> tuple[float, float]:
    """Return the interval that takes every inference for an independent sample."""
    half_width_s = 1.96 * float(delays_s.std(ddof=1)) / np.sqrt(delays_s.size)
    centre_s = float(np.median(delays_s))
    return centre_s - half_width_s, centre_s + half_width_s


def _holds(interval: tuple[float, float] | None, true: float) -> bool:
    return interval is not None and interval[0] <= true <= interval[1]


def _row(schedule: Schedule, rounds: list[Round]) -> Row:
    stats = latency_stats(rounds, batch=1)
    assert stats is not None and stats.p50_low_s is not None and stats.p50_high_s is not None
    return Row(
        check="latency",
        name=schedule.name,
        setting=f"{stats.rounds} rounds of {PER_ROUND}",
        reported=stats.p50_s * 1e3,
        true=schedule.median_s * 1e3,
        unit="ms",
        budget=PROCEDURE.target_ci,
        interval=(stats.p50_low_s * 1e3, stats.p50_high_s * 1e3),
    )
