"""The time constant of a power sensor from its response to a load that sets in.

A first-order low-pass shows y(t) = y₀ + (y₁ − y₀)·(1 − exp(−(t − t₀)/τ)) after a step of power at
t₀. Fitted by least squares; y₀ and y₁ follow linearly from τ and t₀ (variable projection), so that
only these two are searched. t₀ is the onset that the worker reported, give or take the time
between two readings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.analysis.refresh import good_readings
from bench.analysis.trace import total_readings, updates
from bench.records.recordings import LoadStep

MIN_RISE_NOISES = 4.0
"""Fewest times the rise must exceed the scatter of the readings before the onset, and twice as
many times the standard error that the scatter of all readings leaves. (A load may well swing.)"""

MIN_RISE_SHARE = 0.03
"""A rise below this share of the power shows too little."""

MAX_MISFIT = 0.05
"""Root mean square of the residuals while the power rises, relative to the rise, above which the
response is not that of a first-order low-pass (unless the readings scatter as much later on)."""

MIN_SPAN_LAGS = 3.0
"""Fewest time constants that must be seen after the onset."""

_GRID = 40


@dataclass(frozen=True, slots=True)
class StepFit:
    """``lag_s`` is 0 when the sensor follows as fast as it is read; ``lag_uncertainty_s`` is the
    95 % half-width; ``misfit``: RMS of the residuals relative to the rise."""

    lag_s: float
    lag_uncertainty_s: float
    rise_w: float
    misfit: float


def fit_step(step: LoadStep, total: Sequence[str], hold_s: float = 0.0) -> StepFit | None:
    """Return the sensor's time constant, ``None`` when the response does not show it.

    ``hold_s``: how long the sensor holds a value before it shows the next one.
    """
    from scipy.optimize import least_squares  # late: it takes long, and few commands need it

    t_s, power_w, period_s = _readings(step, total, hold_s)
    pace_s = max(period_s, hold_s)
    after_s = t_s[t_s > 0]
    if (t_s <= 0).sum() < 1 or after_s.size < 4:
        return None
    span_s = float(after_s[-1])
    best = min(
        (
            (lag_s, delay_s)
            for lag_s in (0.0, *np.geomspace(pace_s / 4, span_s, _GRID))
            for delay_s in (0.0, period_s)
        ),
        key=lambda point: float(np.square(_residuals(point, t_s, power_w)).sum()),
    )
    found = least_squares(
        _residuals,
        np.clip(best, (0.0, -period_s), (span_s, 2 * period_s)),
        bounds=((-1e-12, -1.001 * period_s), (1.001 * span_s, 2.001 * period_s)),
        x_scale=(max(best[0], pace_s / 4), period_s),
        args=(t_s, power_w),
    )
    lag_s, delay_s = (float(value) for value in found.x)
    low_w, rise_w = _levels(lag_s, delay_s, t_s, power_w)
    residuals = power_w - low_w - rise_w * _shape(lag_s, delay_s, t_s)
    if lag_s * MIN_SPAN_LAGS > span_s or not _is_low_pass(t_s, residuals, lag_s, low_w, rise_w):
        return None
    half_width_s = _half_width_s(lag_s, delay_s, low_w, rise_w, t_s, residuals)
    # An onset that the fit moved and the sensor's own lag cannot be told apart.
    half_width_s = max(float(np.hypot(half_width_s, delay_s)), period_s / 2)
    if lag_s < max(1.5 * period_s, hold_s / 2) or lag_s < half_width_s:
        unseen_s = max(half_width_s, lag_s, hold_s / 4)
        return StepFit(0.0, unseen_s, rise_w, _rms(residuals) / rise_w)
    return StepFit(lag_s, half_width_s, rise_w, _rms(residuals) / rise_w)


def _readings(
    step: LoadStep, total: Sequence[str], hold_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return ``(seconds since the onset, watts, sampling period)`` inside the step's window."""
    t_ns, values = total_readings(step.trace, total)
    good = np.isfinite(values)
    if good.sum() < 5:
        return np.array([]), np.array([]), 0.0
    period_s = float(np.median(np.diff(good_readings(step.trace, total)[0])))
    t_s = np.asarray((t_ns[good] - step.onset_ns) * 1e-9, dtype=np.float64)
    power_w = values[good]
    end_s = (step.window_ns[1] - step.onset_ns) * 1e-9
    inside = t_s <= end_s
    t_s, power_w = t_s[inside], power_w[inside]
    if hold_s > 0 and t_s.size > 1:
        t_s, power_w = updates(t_s, power_w, hold_s)
    return t_s, power_w, period_s


def _shape(lag_s: float, delay_s: float, t_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the response to a unit step, from 0 to 1."""
    since_s = np.maximum(t_s - delay_s, 0.0)
    if lag_s <= 0:
        return (since_s > 0).astype(np.float64)
    shape: NDArray[np.float64] = -np.expm1(-since_s / lag_s)
    return shape


def _levels(
    lag_s: float, delay_s: float, t_s: NDArray[np.float64], power_w: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the least-squares level before the step and the rise."""
    shape = _shape(lag_s, delay_s, t_s)
    centred = shape - shape.mean()
    spread = float(centred @ centred)
    rise_w = float(centred @ power_w) / spread if spread > 0 else 0.0
    return float(power_w.mean()) - rise_w * float(shape.mean()), rise_w


def _residuals(
    point: Sequence[float] | NDArray[np.float64],
    t_s: NDArray[np.float64],
    power_w: NDArray[np.float64],
) -> NDArray[np.float64]:
    lag_s, delay_s = float(point[0]), float(point[1])
    low_w, rise_w = _levels(lag_s, delay_s, t_s, power_w)
    return power_w - low_w - rise_w * _shape(lag_s, delay_s, t_s)


def _is_low_pass(
    t_s: NDArray[np.float64],
    residuals: NDArray[np.float64],
    lag_s: float,
    low_w: float,
    rise_w: float,
) -> bool:
    """Whether the rise is large enough and shaped as the model says."""
    before_w, error_w = _rms(residuals[t_s <= 0]), _rms(residuals) / np.sqrt(t_s.size)
    least_w = max(MIN_RISE_SHARE * abs(low_w + rise_w), MIN_RISE_NOISES * before_w)
    if rise_w <= max(least_w, 2 * MIN_RISE_NOISES * error_w):
        return False
    rising = (t_s > 0) & (t_s <= 3 * lag_s)
    settled = t_s > 3 * lag_s
    later_w = _rms(residuals[settled]) if settled.any() else 0.0
    return _rms(residuals[rising]) <= max(MAX_MISFIT * rise_w, 2.5 * later_w)


def _half_width_s(
    lag_s: float,
    delay_s: float,
    low_w: float,
    rise_w: float,
    t_s: NDArray[np.float64],
    residuals: NDArray[np.float64],
) -> float:
    """Return the 95 % half-width of τ from the curvature of the fit.

    Neighbouring residuals are correlated (a filtered noise), which makes them worth fewer.
    """
    if lag_s <= 0:
        return 0.0
    since_s = np.maximum(t_s - delay_s, 0.0)
    decay = np.where(since_s > 0, np.exp(-since_s / lag_s), 0.0)
    slopes = np.column_stack(
        (
            np.ones_like(t_s),
            1 - decay * (since_s > 0) - (since_s <= 0),
            -rise_w * decay * since_s / lag_s**2,
            -rise_w * decay / lag_s,
        )
    )
    freedom = max(1, t_s.size - 4)
    variance = float(residuals @ residuals) / freedom
    power = float(residuals @ residuals)
    lag1 = float(residuals[1:] @ residuals[:-1]) / power if power > 0 else 0.0
    lag1 = min(0.95, max(0.0, lag1))
    covariance = variance * np.linalg.pinv(slopes.T @ slopes)
    return 1.96 * float(np.sqrt(max(0.0, covariance[2, 2]) * (1 + lag1) / (1 - lag1)))


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
