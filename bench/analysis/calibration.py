"""A board's power sensor against an external meter: sensor = offset + gain · meter.

Both read the same windows and both err, so ordinary least squares would find too small a gain. The
line is York's: weighted least squares with errors in both variables (York, Evensen, Martinez and
Delgado, American Journal of Physics 72, 2004, p. 367). A window's weights come from the scatter of
the readings in it. That scatter holds true swings of the power as well, so that only the ratios of
weights are believed: the size of the errors is taken from the scatter of the windows about the
line, and the 95 % intervals are Student's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from bench.analysis.energy import ENERGY_KINDS
from bench.analysis.metered import MeterTrace
from bench.analysis.trace import total_readings, window_energy
from bench.records.power import PowerSource, SensorCalibration
from bench.records.recordings import PowerTrace, Recording
from bench.records.status import Source

MIN_WINDOWS = 4
MIN_SPAN = 0.05
"""Power must vary by this share of its mean over the windows: one level shows no gain."""

_ITERATIONS = 50
_LEAST = 1e-4
"""No window's mean is taken to be known better than this share of it."""

_LEAST_HALF = 1e-6
"""Half-width (also in watts) below which no line is taken to be known."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """y = offset + gain·x with half-widths of 95 % intervals; ``scatter``: standard deviation of
    the points about it, in y; ``middle``: the x at which the line's height and its gain err
    independently of each other."""

    gain: float
    gain_half: float
    offset: float
    offset_half: float
    scatter: float
    middle: float


def fit_line(x: Floats, y: Floats, error_x: Floats, error_y: Floats) -> Line | None:
    """Return the line through points (at least three) with errors in both coordinates (standard
    deviations, of which only the ratios count); ``None`` where they show none."""
    if x.size < 3 or np.ptp(x) <= 0:
        return None
    weight_x, weight_y = error_x**-2.0, error_y**-2.0
    gain = float(np.polyfit(x, y, 1)[0])
    for _ in range(_ITERATIONS):
        weight = weight_x * weight_y / (weight_x + gain**2 * weight_y)
        mean_x, mean_y = np.average(x, weights=weight), np.average(y, weights=weight)
        from_x, from_y = x - mean_x, y - mean_y
        beta = weight * (from_x / weight_y + gain * from_y / weight_x)
        size = float(weight * beta @ from_x)
        if size <= 0:
            return None
        before, gain = gain, float(weight * beta @ from_y) / size
        if abs(gain - before) <= 1e-12 * abs(gain):
            break
    offset = float(mean_y - gain * mean_x)
    adjusted = mean_x + beta
    middle = float(np.average(adjusted, weights=weight))
    variance_gain = 1 / float(weight @ (adjusted - middle) ** 2)
    variance_offset = 1 / float(weight.sum()) + middle**2 * variance_gain
    left = y - offset - gain * x
    freedom = x.size - 2
    scale = np.sqrt(float(weight @ left**2) / freedom)
    factor = float(stdtrit(freedom, 0.975)) * float(scale)
    return Line(
        gain,
        factor * float(np.sqrt(variance_gain)),
        offset,
        factor * float(np.sqrt(variance_offset)),
        float(np.sqrt(float(left @ left) / freedom)),
        middle,
    )


def cross_calibration(
    recordings: Iterable[Recording],
    power: PowerSource | None,
    lag_s: float | None,
    meter: MeterTrace,
) -> SensorCalibration | None:
    """Return a board's sensor against a meter over all energy windows and idle lines of a job.

    ``lag_s``: time constant of the sensor. ``None`` where there is no sensor (an estimate is none)
    or where the windows do not show a line.
    """
    if power is None or power.source is Source.ESTIMATED:
        return None
    windows: dict[tuple[int, int], tuple[PowerTrace, PowerTrace]] = {}
    for recording in recordings:
        for window_ns, ours in _traces(recording):
            theirs = meter.during(window_ns)
            if theirs is not None:
                windows[window_ns] = ours, theirs
    found = [
        (one, two)
        for window_ns, (ours, theirs) in sorted(windows.items())
        if (one := _mean(ours, power.total, window_ns, lag_s)) is not None
        and (two := _mean(theirs, meter.power.total, window_ns, 0.0)) is not None
    ]
    if len(found) < MIN_WINDOWS:
        return None
    (y, error_y), (x, error_x) = (np.array(side).T for side in zip(*found, strict=True))
    if np.ptp(x) < MIN_SPAN * abs(float(x.mean())):
        return None
    line = fit_line(x, y, error_x, error_y)
    if line is None:
        return None
    return SensorCalibration(
        sensor=power.sensor,
        sensor_scope=power.scope,
        meter=meter.facts.kind,
        meter_scope=meter.facts.scope,
        gain=line.gain,
        gain_low=line.gain - line.gain_half,
        gain_high=line.gain + line.gain_half,
        offset_w=line.offset,
        offset_low_w=line.offset - line.offset_half,
        offset_high_w=line.offset + line.offset_half,
        windows=x.size,
        low_w=float(x.min()),
        high_w=float(x.max()),
        scatter_w=line.scatter,
        middle_w=line.middle,
    )


def combined(lines: Sequence[SensorCalibration]) -> Line:
    """Return one line for several (at least one), each from a job of its own.

    Weighted least squares with the covariance of offset and gain of each. Where the lines differ
    by more than their intervals explain, those of the result are wider by as much (Birge's ratio).
    """
    values = [np.array([line.offset_w, line.gain]) for line in lines]
    spreads = [_covariance(line) for line in lines]
    weights = [np.linalg.inv(spread) for spread in spreads]
    covariance = np.linalg.inv(np.sum(weights, axis=0))
    offset, gain = covariance @ np.sum(
        [weight @ value for weight, value in zip(weights, values, strict=True)], axis=0
    )
    if len(lines) > 1:
        apart = [value - (offset, gain) for value in values]
        chi2 = sum(float(d @ weight @ d) for d, weight in zip(apart, weights, strict=True))
        # Half-widths of 95 % stand in for standard deviations.
        covariance = covariance * max(1.0, 1.96**2 * chi2 / (2 * len(lines) - 2))
    return Line(
        float(gain),
        float(np.sqrt(covariance[1, 1])),
        float(offset),
        float(np.sqrt(covariance[0, 0])),
        max(line.scatter_w for line in lines),
        float(-covariance[0, 1] / covariance[1, 1]),
    )


def _covariance(line: SensorCalibration) -> Floats:
    """Return the covariance of offset and gain, of 95 % half-widths."""
    gain_half = max((line.gain_high - line.gain_low) / 2, _LEAST_HALF)
    offset_half = (line.offset_high_w - line.offset_low_w) / 2
    middle_w = line.middle_w or 0.0
    height_w2 = max(offset_half**2 - (middle_w * gain_half) ** 2, _LEAST_HALF**2)
    both = -middle_w * gain_half**2
    return np.array([[height_w2 + (middle_w * gain_half) ** 2, both], [both, gain_half**2]])


def _traces(recording: Recording) -> list[tuple[tuple[int, int], PowerTrace]]:
    """Return the windows of a recording with the sensor's readings."""
    found = [
        (item.window_ns, item.trace)
        for item in recording.rounds
        if item.kind in ENERGY_KINDS and item.window_ns is not None and item.trace is not None
    ]
    return found + [
        (line.window_ns, line.trace) for line in recording.idle if line.trace is not None
    ]


def _mean(
    trace: PowerTrace, total: Sequence[str], window_ns: tuple[int, int], lag_s: float | None
) -> tuple[float, float] | None:
    """Return the mean power in a window with its standard error by the scatter of readings."""
    window = window_energy(trace, total, window_ns, lag_s)
    if window.energy_j is None or window.span_s <= 0:
        return None
    mean_w = window.energy_j / window.span_s
    t_ns, values = total_readings(trace, total)
    inside = (t_ns >= window_ns[0]) & (t_ns <= window_ns[1]) & np.isfinite(values)
    readings_w = values[inside] if trace.unit == "W" else values[:0]
    error_w = _LEAST * abs(mean_w)
    if readings_w.size > 1:
        error_w = float(np.hypot(error_w, readings_w.std(ddof=1) / np.sqrt(readings_w.size)))
    return (mean_w, error_w) if error_w > 0 else None
