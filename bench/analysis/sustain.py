"""What a sustained load shows over time, and the steady value it ends in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.analysis.times import load_end_ns
from bench.analysis.trace import window_energy
from bench.records.figures import SustainPoint, SustainStats
from bench.records.power import PowerSource
from bench.records.recordings import Recording, Round

AGREEMENT = 0.02
"""Relative distance from the steady value within which a stretch agrees with it (or three times
the scatter of the last stretches, where that is more)."""

MIN_STEADY_POINTS = 5
MIN_STEADY_SHARE = 0.2
"""Part of the whole time that must agree at the end for it to be called steady."""


def sustain_stats(
    recording: Recording, power: PowerSource | None, lag_s: float | None
) -> SustainStats | None:
    """Return the curve of a sustained load, ``None`` when there was none.

    ``lag_s``: time constant of the power sensor as it was found, ``None`` when it is unknown.
    """
    rounds = [item for item in recording.rounds if item.kind == "sustain"]
    if not rounds:
        return None
    points = tuple(_point(item, rounds[0].start_ns, power, lag_s) for item in rounds)
    medians = np.array([point.p50_s for point in points])
    first = steady_from(medians)
    end = slice(first, None)
    watts = [point.power_w for point in points[end] if point.power_w is not None]
    steady = first is not None
    return SustainStats(
        points=points,
        first_p50_s=points[0].p50_s,
        steady_p50_s=float(np.median(medians[end])) if steady else None,
        steady_from_s=None if first is None else points[first].at_s,
        steady_power_w=float(np.mean(watts)) if steady and watts else None,
    )


def sustained_medians_s(recording: Recording) -> NDArray[np.float64]:
    """Return the median latency of each stretch of a sustained load, in order."""
    rounds = [item for item in recording.rounds if item.kind == "sustain"]
    return np.array([float(np.median(item.durations_ns)) * 1e-9 for item in rounds])


def steady_rounds(recording: Recording) -> tuple[Round, ...]:
    """Return the rounds of a sustained load that agree at its end, else the last third of them."""
    rounds = [item for item in recording.rounds if item.kind == "sustain"]
    first = steady_from(sustained_medians_s(recording))
    return tuple(rounds[len(rounds) - -(-len(rounds) // 3) if first is None else first :])


def steady_from(medians: NDArray[np.float64]) -> int | None:
    """Return from which stretch on all medians agree, ``None`` when they still change at the end.

    The level is the median of the last fifth. Going back from the end, stretches belong to it
    while the mean of three neighbours agrees with it, so that one stall does not end it. There is
    no steady part when fewer than a fifth of all (and at least 5) agree, or when its two halves
    differ by more than half the tolerance (or chance), which is a slow drift.
    """
    least = max(MIN_STEADY_POINTS, int(np.ceil(MIN_STEADY_SHARE * medians.size)))
    if medians.size < least:
        return None
    last = medians[-least:]
    level = float(np.median(last))
    scatter = 1.4826 * float(np.median(np.abs(last - level)))
    within = max(AGREEMENT * level, 3 * scatter)
    smooth = np.array(
        [float(np.median(medians[max(0, i - 1) : i + 2])) for i in range(medians.size)]
    )
    apart = np.flatnonzero(np.abs(smooth - level) > within)
    first = int(apart[-1]) + 1 if apart.size else 0
    steady = medians[first:]
    if steady.size < least:
        return None
    middle = steady.size // 2
    drift = abs(float(np.median(steady[middle:])) - float(np.median(steady[:middle])))
    # Medians of two halves differ by this much by chance alone.
    chance = 3 * 1.25 * scatter * float(np.sqrt(4 / steady.size))
    return first if drift <= max(AGREEMENT / 2 * level, chance) else None


def _point(
    item: Round, began_ns: int, power: PowerSource | None, lag_s: float | None
) -> SustainPoint:
    end_ns = load_end_ns(item)
    power_w = None
    if power is not None and item.trace is not None:
        window = item.window_ns or (item.start_ns, end_ns)
        energy = window_energy(item.trace, power.total, window, lag_s)
        if energy.energy_j is not None:
            power_w = energy.energy_j / energy.span_s
            if power.calibration is not None:
                power_w = power.calibration.power_w(power_w)
    health = item.health or {}
    return SustainPoint(
        at_s=(item.start_ns - began_ns) * 1e-9,
        duration_s=(end_ns - item.start_ns) * 1e-9,
        p50_s=float(np.median(item.durations_ns)) * 1e-9,
        power_w=power_w,
        temperature_c=_of(health.get("temperature_c"), max),
        frequency_khz=_of(health.get("frequency_khz"), lambda values: sum(values) / len(values)),
    )


def _of(values: Any, pick: Any) -> float | None:
    """Return one figure of all zones or CPUs, ``None`` where there is none."""
    numbers = [float(value) for value in (values or {}).values()]
    return float(pick(numbers)) if numbers else None


def hottest_c(rounds: Sequence[Round]) -> list[float]:
    """Return the highest temperature after each round, of those that have one."""
    found = [_of((item.health or {}).get("temperature_c"), max) for item in rounds]
    return [value for value in found if value is not None]
