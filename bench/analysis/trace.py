"""Energy of one window of a power trace.

A reading is taken to belong to the middle of the time its read took. Between readings power is
linear (trapezoid rule), also at the edges of the window, which hardly ever fall on a reading.

A slow sensor is a first-order low-pass with time constant τ: y + τ·y' = P. Integrated over a
window from t₀ to t₁ this gives the true energy from the filtered readings,
∫P dt = ∫y dt + τ·(y(t₁) − y(t₀)), which is the *lag correction*.

A sensor that refreshes more slowly than it is read shows each value again and again. What is then
integrated are its values at the moments when they changed (:func:`updates`); in between nothing
is known but that power went from one to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.analysis.plausible import plausible
from bench.records.recordings import PowerTrace

Values = TypeVar("Values", np.float64, np.complex128)

GAP_PERIODS = 3.0
"""Readings further apart than this many sampling periods have a gap between them."""

BRIDGE_PERIODS = 5.0
"""A gap longer than this is not bridged: the window has no energy."""


@dataclass(frozen=True, slots=True)
class WindowEnergy:
    """What a trace says about a window.

    ``window_ns`` is the part of the wanted window that readings cover. ``energy_j`` is ``None``
    when there are too few readings or a gap too long to bridge. ``gap_s`` is the time in the
    wanted window without the power readings that should have been there. ``edge_change_w`` is
    y(t₁) − y(t₀), ``spread_w`` the range of the readings; both 0 for a counter, whose
    ``step_j`` is its typical increment (0 for power). ``changes`` counts how often the reading
    changed, ``largest_jump_w`` is the largest change from one power reading to the next.
    """

    window_ns: tuple[int, int]
    energy_j: float | None
    uncorrected_j: float | None
    edge_change_w: float = 0.0
    spread_w: float = 0.0
    step_j: float = 0.0
    gap_s: float = 0.0
    longest_gap_periods: float = 0.0
    changes: int = 0
    largest_jump_w: float = 0.0

    @property
    def span_s(self) -> float:
        """Length of the covered window in seconds."""
        return (self.window_ns[1] - self.window_ns[0]) * 1e-9


@dataclass(frozen=True, slots=True)
class _Gap:
    """A time without readings, in seconds since the window opened.

    ``inner`` gaps lie between two readings, the others before the first or after the last.
    """

    start_s: float
    stop_s: float
    inner: bool


def total_readings(
    trace: PowerTrace, total: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return ``(t_ns, values)``: the sum of the ``total`` channels, in the trace's unit.

    Other channels may feed these or be fed by them and are left out. A reading with any of the
    channels missing, or one that no board can have, is NaN.
    """
    t_ns = trace.t_before_ns + (trace.t_after_ns - trace.t_before_ns) // 2
    if not set(total) <= set(trace.channels):
        return t_ns, np.full(t_ns.size, np.nan)
    columns = [trace.channels.index(name) for name in total]
    values = trace.values[:, columns].sum(axis=1)
    return t_ns, plausible(values) if trace.unit == "W" else values


def power_readings(
    trace: PowerTrace, total: Sequence[str], counter_step_s: float = 0.1
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return ``(t_ns, power_w)`` of the total, for looking at it over time.

    Failed reads stay NaN in a power trace. A counter's power is the mean over steps of at least
    ``counter_step_s``, since between reads that are closer it shows the counter's granularity;
    failed reads of it are left out.
    """
    t_ns, values = total_readings(trace, total)
    if trace.unit == "W":
        return t_ns, values
    good = np.isfinite(values)
    t_ns, values = t_ns[good], values[good]
    if t_ns.size < 2:
        return t_ns[:0], values[:0]
    marks_ns = np.arange(t_ns[0], t_ns[-1] + 1, round(counter_step_s * 1e9))
    chosen = np.unique(np.searchsorted(t_ns, marks_ns))
    t_ns, values = t_ns[chosen], values[chosen]
    steps_ns = np.diff(t_ns)
    return t_ns[:-1] + steps_ns // 2, np.diff(values) / (steps_ns * 1e-9)


def window_energy(
    trace: PowerTrace,
    total: Sequence[str],
    window_ns: tuple[int, int],
    lag_s: float | None,
    hold_s: float = 0.0,
) -> WindowEnergy:
    """Return the energy of the ``total`` channels in ``window_ns``.

    ``lag_s``: time constant of the sensor (0: unfiltered; ``None``: unknown, so uncorrected).
    ``hold_s``: how long the sensor holds a value before it shows the next (0: it is read more
    slowly than that). Neither has a meaning for a counter (unit ``"J"``), whose readings are
    differenced.
    """
    t_ns, values = total_readings(trace, total)
    # Seconds since the window opened keep full precision, nanoseconds since boot do not.
    t_s = np.asarray((t_ns - window_ns[0]) * 1e-9, dtype=np.float64)
    end_s = (window_ns[1] - window_ns[0]) * 1e-9
    good = np.isfinite(values)
    if good.sum() < 2:
        return WindowEnergy(window_ns, None, None, gap_s=end_s, longest_gap_periods=np.inf)
    period_s = float(np.median(np.diff(t_s)))
    gaps = _gaps(t_s, good, period_s, end_s)
    t_s, values = t_s[good], values[good]
    if trace.unit == "J":
        return _counted(t_s, values, window_ns, gaps)
    return _integrated(t_s, values, window_ns, gaps, period_s, lag_s or 0.0, hold_s)


def updates(
    t_s: NDArray[np.float64], values: NDArray[np.float64], hold_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``(t_s, values)`` of a held reading at the moments when it was refreshed.

    A change is dated halfway between the two readings that enclose it. Where the reading stayed
    the same for longer than ``hold_s``, it was refreshed with the same value, lastly ``hold_s``
    before the next change.
    """
    changed = np.flatnonzero(np.diff(values)) + 1
    if changed.size == 0:
        return t_s[[0, -1]], values[[0, -1]]
    at_s = (t_s[changed - 1] + t_s[changed]) / 2
    shown_s = np.concatenate(([t_s[0]], at_s))
    shown = values[np.concatenate(([0], changed))]
    again_s = at_s - hold_s
    repeated = again_s > shown_s[:-1] + hold_s / 2
    shown_s[0] = min(shown_s[0], again_s[0])
    points_s = np.concatenate((shown_s, again_s[repeated], t_s[-1:]))
    points = np.concatenate((shown, shown[:-1][repeated], values[-1:]))
    order = np.argsort(points_s, kind="stable")
    return points_s[order], points[order]


def cut(
    t_s: NDArray[np.float64], values: NDArray[Values], low_s: float, high_s: float
) -> tuple[NDArray[np.float64], NDArray[Values]]:
    """Return ``(t_s, values)`` between two times, with interpolated values at both of them."""
    between = (t_s > low_s) & (t_s < high_s)
    low, high = np.interp([low_s, high_s], t_s, values)
    return (
        np.concatenate(([low_s], t_s[between], [high_s])),
        np.concatenate(([low], values[between], [high])),
    )


def _integrated(
    t_s: NDArray[np.float64],
    power_w: NDArray[np.float64],
    window_ns: tuple[int, int],
    gaps: Sequence[_Gap],
    period_s: float,
    lag_s: float,
    hold_s: float,
) -> WindowEnergy:
    """Return the integral of power readings; short gaps are bridged linearly and counted."""
    end_s = (window_ns[1] - window_ns[0]) * 1e-9
    gap_s = sum(
        max(0.0, min(gap.stop_s, end_s) - max(gap.start_s, 0.0) - (period_s if gap.inner else 0.0))
        for gap in gaps
    )
    longest = max(((gap.stop_s - gap.start_s) / period_s for gap in gaps), default=0.0)
    low_s, high_s = max(0.0, float(t_s[0])), min(end_s, float(t_s[-1]))
    if longest > BRIDGE_PERIODS or high_s <= low_s:
        return WindowEnergy(window_ns, None, None, gap_s=gap_s, longest_gap_periods=longest)
    if hold_s > 0:
        t_s, power_w = updates(t_s, power_w, hold_s)
    x_s, y_w = cut(t_s, power_w, low_s, high_s)
    jumps_w = np.abs(np.diff(power_w[(t_s > low_s) & (t_s < high_s)]))
    uncorrected_j = float(np.trapezoid(y_w, x_s))
    change_w = float(y_w[-1] - y_w[0])
    return WindowEnergy(
        _part_ns(window_ns, low_s, high_s),
        uncorrected_j + lag_s * change_w,
        uncorrected_j,
        edge_change_w=change_w,
        spread_w=float(np.ptp(y_w)),
        gap_s=gap_s,
        longest_gap_periods=longest,
        changes=int(np.count_nonzero(jumps_w)),
        largest_jump_w=float(jumps_w.max(initial=0.0)),
    )


def _counted(
    t_s: NDArray[np.float64],
    energy_j: NDArray[np.float64],
    window_ns: tuple[int, int],
    gaps: Sequence[_Gap],
) -> WindowEnergy:
    """Return the difference of a counter between the edges.

    A counter keeps counting while nobody reads it, so gaps inside do no harm; an edge that falls
    into a gap is moved inwards to the next reading.
    """
    end_s = (window_ns[1] - window_ns[0]) * 1e-9
    low_s = max((gap.stop_s for gap in gaps if gap.start_s <= 0.0), default=0.0)
    high_s = min((gap.start_s for gap in gaps if gap.stop_s >= end_s), default=end_s)
    if high_s - low_s < end_s / 2:
        lost_s = end_s - max(0.0, high_s - low_s)
        return WindowEnergy(window_ns, None, None, gap_s=lost_s, longest_gap_periods=np.inf)
    low_j, high_j = np.interp([low_s, high_s], t_s, energy_j)
    steps_j = np.diff(energy_j[(t_s >= low_s) & (t_s <= high_s)])
    moved = steps_j[steps_j > 0]
    change_j = float(high_j - low_j)
    return WindowEnergy(
        _part_ns(window_ns, low_s, high_s),
        change_j,
        change_j,
        step_j=float(np.median(moved)) if moved.size else change_j,
        changes=moved.size,
    )


def _part_ns(window_ns: tuple[int, int], low_s: float, high_s: float) -> tuple[int, int]:
    return window_ns[0] + round(low_s * 1e9), window_ns[0] + round(high_s * 1e9)


def _gaps(
    t_s: NDArray[np.float64], good: NDArray[np.bool_], period_s: float, end_s: float
) -> list[_Gap]:
    """Return the gaps that touch the window from 0 to ``end_s``."""
    index = np.flatnonzero(good)
    times = t_s[index]
    broken = (np.diff(index) > 1) | (np.diff(times) > GAP_PERIODS * period_s)
    gaps = [
        _Gap(float(times[i]), float(times[i + 1]), inner=True)
        for i in np.flatnonzero(broken)
        if times[i] < end_s and times[i + 1] > 0.0
    ]
    if times[0] > 0.0:
        gaps.append(_Gap(0.0, float(times[0]), inner=False))
    if times[-1] < end_s:
        gaps.append(_Gap(float(times[-1]), end_s, inner=False))
    return gaps
