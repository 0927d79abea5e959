"""Whether a power sensor can be believed: stale, too slow for the windows, or talking nonsense."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.analysis.plausible import nonsense
from bench.analysis.trace import WindowEnergy, total_readings
from bench.records.power import PowerSource
from bench.records.recordings import PowerTrace
from bench.records.status import Source

MIN_UPDATES = 3
"""Fewest changes of the reading in a window."""


def is_stale(
    windows: Sequence[WindowEnergy],
    traces: Sequence[PowerTrace],
    steady: Sequence[PowerTrace],
    power: PowerSource,
) -> bool:
    """Whether the reading is the same in every round and at idle: the sensor does not follow.

    It may have got stuck on the way: then it has one value from some round on, at idle too.
    An estimate has no sensor (and a replayed trace, which counts as one, may be constant).
    """
    if power.source is Source.ESTIMATED or not any(w.energy_j is not None for w in windows):
        return False
    if power.unit == "J":
        return all(window.changes == 0 for window in windows)
    under_load = [_levels_w(trace, power) for trace in traces]
    at_idle = [_levels_w(trace, power) for trace in steady]
    if len(set().union(*under_load, *at_idle)) <= 1:
        return True
    return any(len(levels_w) == 1 and levels_w in at_idle for levels_w in under_load)


def _levels_w(trace: PowerTrace, power: PowerSource) -> set[float]:
    """Return the different readings of a trace."""
    _, values = total_readings(trace, power.total)
    return set(np.unique(values[np.isfinite(values)]).tolist())


def is_too_slow(windows: Sequence[WindowEnergy], power: PowerSource, held_s: float) -> bool:
    """Whether the windows are shorter than three refreshes of the sensor.

    Where no hold was established (``held_s`` is 0), the reading must have changed fewer than three
    times per window and by jumps that matter: a well filtered sensor at a constant load may
    legitimately repeat one value.
    """
    usable = [window for window in windows if window.energy_j is not None]
    if not usable or power.source is Source.ESTIMATED:
        return False
    changes = sum(window.changes for window in usable) / len(usable)
    if power.unit == "J":
        return 0 < changes < MIN_UPDATES
    if held_s > 0:
        return min(window.span_s for window in usable) < MIN_UPDATES * held_s
    mean_w = float(np.mean([(window.energy_j or 0.0) / window.span_s for window in usable]))
    matters_w = max(1.5 * (power.resolution_w or 0.0), 0.02 * abs(mean_w))
    return 0 < changes < MIN_UPDATES and max(w.largest_jump_w for w in usable) > matters_w


def nonsense_readings(traces: Sequence[PowerTrace], power: PowerSource) -> int:
    """Return how many readings no board can have (negative, absurd, a sudden 0 W)."""
    count = 0
    for trace in traces:
        if trace.unit == "W" and set(power.total) <= set(trace.channels):
            columns = [trace.channels.index(name) for name in power.total]
            count += nonsense(trace.values[:, columns].sum(axis=1))
    return count
