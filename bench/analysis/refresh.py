"""How a power sensor behaves when it is read: how long that takes, how often its value changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.analysis.trace import total_readings
from bench.records.recordings import PowerTrace

HELD_PERIODS = 2.5
"""A value that stays for more readings than this is held by the sensor."""

MAX_RESOLUTION = 0.1
"""A change by more than this share of the power is one of the load."""

RARE_CHANGES = 1.0
"""Changes as small as this percentage of them are rare."""

MIN_CHANGES = 4
REGULAR = 0.25
"""How far refreshes may lie off whole multiples of their interval (relative to it, on average);
for instants at random that is 0.25 on average, so half of it is asked for."""


def read_time_s(traces: Sequence[PowerTrace]) -> float | None:
    """Return the median time that one reading took."""
    spans = [trace.t_after_ns - trace.t_before_ns for trace in traces]
    taken = np.concatenate(spans) if spans else np.array([])
    return float(np.median(taken)) * 1e-9 if taken.size else None


def refresh_s(traces: Sequence[PowerTrace], total: Sequence[str]) -> float | None:
    """Return the mean time between changes of the reading, ``None`` when it never changes."""
    watched_s, changes = 0.0, 0
    for trace in traces:
        t_s, values = good_readings(trace, total)
        if t_s.size > 1:
            watched_s += float(t_s[-1] - t_s[0])
            changes += int(np.count_nonzero(np.diff(values)))
    return watched_s / changes if changes else None


def hold_s(traces: Sequence[PowerTrace], total: Sequence[str]) -> float:
    """Return how long the sensor holds each value, 0 where it follows at the pace of reading.

    ``traces`` must be of a steady load (idle lines, load steps): a load that itself changes rarely
    would look the same. A hold is only called one when its changes come at regular instants.
    """
    intervals, periods = [], []
    for trace in traces:
        if trace.unit != "W":
            continue
        t_s, values = good_readings(trace, total)
        changed = np.flatnonzero(np.diff(values)) + 1
        if changed.size > 1:
            intervals.append(np.diff((t_s[changed - 1] + t_s[changed]) / 2))
            periods.append(float(np.median(np.diff(t_s))))
    if not intervals:
        return 0.0
    between_s = np.concatenate(intervals)
    if between_s.size < MIN_CHANGES - 1:
        return 0.0
    # The shortest intervals are single ones; a refresh with the same value is not seen, so that
    # longer ones are multiples.
    single_s = float(np.percentile(between_s, 25))
    near = between_s[between_s < 1.5 * single_s]
    held_s = float(near.mean())
    if held_s < HELD_PERIODS * float(np.median(periods)):
        return 0.0
    off = np.abs(between_s / held_s - np.round(between_s / held_s))
    return held_s if float(off.mean()) < REGULAR / 2 else 0.0


def step_w(traces: Sequence[PowerTrace], total: Sequence[str]) -> float | None:
    """Return one step of a power reading as its changes show it, where nothing else tells.

    The smallest changes that are not quite rare: a wobble of the supply, whose product with the
    current is shown, now and then gives smaller ones. Rails are rounded one by one, so their steps
    add. ``None`` when the readings of a rail change only by steps of the load.
    """
    steps = [_channel_step_w(traces, name) for name in total]
    known = [step for step in steps if step is not None]
    return sum(known) if known and len(known) == len(steps) else None


def _channel_step_w(traces: Sequence[PowerTrace], channel: str) -> float | None:
    found = []
    for trace in traces:
        if trace.unit == "W" and channel in trace.channels:
            values = good_readings(trace, [channel])[1]
            changes = np.abs(np.diff(values))
            largest = MAX_RESOLUTION * float(np.abs(values).max(initial=0.0))
            found.append(changes[(changes > 0) & (changes < largest)])
    changes = np.concatenate(found) if found else np.array([])
    return float(np.percentile(changes, RARE_CHANGES)) if changes.size else None


def good_readings(
    trace: PowerTrace, total: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``(seconds since the first reading, values)`` without failed reads."""
    t_ns, values = total_readings(trace, total)
    good = np.isfinite(values)
    t_ns = t_ns[good]
    t_s: NDArray[np.float64] = (t_ns - (t_ns[0] if t_ns.size else 0)) * 1e-9
    return t_s, values[good]
