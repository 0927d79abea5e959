"""The place of one group of load markers in a meter's readings, with its uncertainty.

Power is fitted as ``a + c·t + b·s(t)``, s being the share of a reading's time that was under load,
for many offsets. The likelihood of the offsets (noise of unknown size, Student's form) has a mean
and a 95 % interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.analysis.marker_search import Floats, Pattern

FINEST_S = 2e-3
"""Readings that come faster are averaged over this before the fit; a fifth of what is promised."""

_STEPS = 240
"""Offsets at which the likelihood is computed, before it is looked at more closely."""

_LEAST_S = 1e-4
_LEAST_PERIODS = 0.005
"""No offset is claimed to be known better: neither edges nor readings are dated better."""

_AVERAGED_S = 0.1 * FINEST_S
"""Part of the half-width where readings are averaged first, and moments are then taken for means:
simulated meters of 400 Hz to 4 kHz were off by up to 0.25 ms without any noise."""


@dataclass(frozen=True, slots=True)
class Place:
    """A group found: the meter's time (seconds) of its middle, with its 95 % half-width."""

    at_s: float
    uncertainty_s: float
    rise_w: float
    log_likelihood: float
    """That of normal noise of the size that is left, up to what all places have in common."""


def fit_place(
    t_s: Floats, power_w: Floats, pattern: Pattern, coarse_s: float, period_s: float, kind: str
) -> Place:
    """Return the likeliest offset for ``a + c·t + b·s``, from near a coarse one."""
    inside = (t_s >= coarse_s + pattern.start_s) & (t_s <= coarse_s + pattern.stop_s)
    x_s, y_w = t_s[inside] - coarse_s, power_w[inside]
    width_s = period_s if kind == "mean" else 0.0
    averaged_s = 0.0
    if period_s < FINEST_S:
        x_s, y_w = _averaged(x_s, y_w, FINEST_S)
        width_s = FINEST_S
        averaged_s = _AVERAGED_S
    reach_s = 1.5 * max(period_s, pattern.shortest_s / 6)
    offsets_s = np.linspace(-reach_s, reach_s, _STEPS)
    for _ in range(3):
        squares, rise_w, scatter = _misfit(x_s, y_w, pattern, offsets_s, width_s)
        weights = _likelihood(squares, rise_w, scatter, y_w.size)
        likely_s = offsets_s[weights > 1e-6 * weights.max()]
        step_s = float(offsets_s[1] - offsets_s[0])
        span_s = float(np.ptp(likely_s))
        if span_s > 40 * step_s:
            break
        # A likelihood that is narrower than the steps is looked at more closely.
        offsets_s = np.linspace(likely_s[0] - 2 * step_s, likely_s[-1] + 2 * step_s, _STEPS)
    best = int(np.argmin(squares))
    share = weights / weights.sum()
    mean_s = float(share @ offsets_s)
    low_s, high_s = np.interp([0.025, 0.975], np.cumsum(share), offsets_s)
    least_s = max(_LEAST_S, _LEAST_PERIODS * period_s)
    half_s = max(mean_s - float(low_s), float(high_s) - mean_s, step_s, least_s)
    half_s = float(np.hypot(half_s, averaged_s))
    residual = squares[best] / max(y_w.size, 1) + (1e-3 * rise_w[best]) ** 2
    return Place(
        at_s=coarse_s + mean_s,
        uncertainty_s=half_s,
        rise_w=float(rise_w[best]),
        log_likelihood=-0.5 * y_w.size * float(np.log(residual)),
    )


def _misfit(
    x_s: Floats, y_w: Floats, pattern: Pattern, offsets_s: Floats, width_s: float
) -> tuple[Floats, Floats, float]:
    """Return by offset the sum of squares that is left and the rise; and by what factor fewer
    readings there are than independent ones (at the best offset)."""
    basis, _ = np.linalg.qr(np.column_stack((np.ones_like(x_s), x_s)))
    rest_w = y_w - basis @ (basis.T @ y_w)
    squares, rise_w = np.empty(offsets_s.size), np.empty(offsets_s.size)
    best: tuple[float, Floats] = (np.inf, rest_w)
    for number, offset_s in enumerate(offsets_s):
        share = pattern.share(x_s - offset_s, width_s)
        share = share - basis @ (basis.T @ share)
        size = float(share @ share)
        rise_w[number] = float(share @ rest_w) / size if size > 0 else 0.0
        left_w = rest_w - rise_w[number] * share
        squares[number] = float(left_w @ left_w)
        if squares[number] < best[0]:
            best = squares[number], left_w
    left_w = best[1]
    power = float(left_w @ left_w)
    lag1 = float(left_w[1:] @ left_w[:-1]) / power if power > 0 else 0.0
    lag1 = min(0.95, max(0.0, lag1))
    return squares, rise_w, (1 + lag1) / (1 - lag1)


def _likelihood(squares: Floats, rise_w: Floats, scatter: float, count: int) -> Floats:
    """Return the likelihood of each offset (up to a factor), the noise being unknown.

    ``scatter``: neighbouring residuals are alike, which makes them worth so many times fewer.
    """
    rise = float(rise_w[int(np.argmin(squares))])
    floor = count * (1e-3 * rise) ** 2 + 1e-30
    ratio = (squares + floor) / (float(squares.min()) + floor)
    likelihood: Floats = np.exp(-0.5 * max(count / scatter - 4, 1.0) * np.log(ratio))
    return np.where(rise_w > 0, likelihood, 0.0) if rise > 0 else likelihood


def _averaged(x_s: Floats, y_w: Floats, width_s: float) -> tuple[Floats, Floats]:
    """Return means over stretches of ``width_s``."""
    number = np.floor((x_s - x_s[0]) / width_s).astype(np.int64)
    counts = np.bincount(number)
    filled = counts > 0
    means = [np.bincount(number, values)[filled] / counts[filled] for values in (x_s, y_w)]
    return np.asarray(means[0]), np.asarray(means[1])
