"""Power that repeats with the inferences, as a control variate of the energy.

Where power follows the phase of the inferences, readings that meet some phases more often than
others by chance give an energy that is off. How much they do is known exactly (the *excess* of
:mod:`bench.analysis.phases`), and how power goes with the phase is seen in the readings. Hence the
regression estimator (Cochran, Sampling Techniques, ch. 7; as control variates: Glasserman, Monte
Carlo Methods in Financial Engineering, section 4.1): with E the energy by trapezoid and βₖ the
least-squares coefficients of power on the functions cₖ of the phase,

    E' = E - Σₖ βₖ·(excess of cₖ),

which is the trapezoid of what the fit leaves over plus the exact integral of the fit. Readings come
at jittered instants, so the excess is 0 on average and E' is right on average for any β; a good one
makes it scatter less. β is fitted to the windows of all rounds together, each around a mean of its
own, since the same network runs in all of them. What other loads and a low-pass leave in the
readings is correlated from one to the next, so the fit is made after taking from every reading its
correlated share of the one before (Cochrane and Orcutt, J. Am. Stat. Assoc. 44, 1949).

Behind a low-pass y is fitted instead of power, and the lag correction applies to cₖ as it does to
y: the excess is that of ∫cₖ dt + τ·(cₖ(t₁) - cₖ(t₀)).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from bench.analysis.phases import HARMONICS, Phases

READINGS_PER_COEFFICIENT = 20
"""With fewer readings, fewer harmonics are fitted."""

SIGNIFICANT = 0.001
"""A harmonic is used when chance would show as much of it with at most this probability."""

_LEAST_VARIANCE = 1e-6
"""A function that varies less within the rounds is constant but for rounding."""

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PhaseFit:
    """``integral_j``/``edge_j``: what to take off the integral of each window, and off its lag
    correction; ``covariance_j2``: covariance of their sums between windows, shape (windows,
    windows), since one β serves all."""

    integral_j: Real
    edge_j: Real
    covariance_j2: Real


def fit_phases(
    phases: Sequence[Phases], lag_s: float, left_out: Collection[int] = ()
) -> PhaseFit | None:
    """Return what the phases make of the energy of each window; ``None`` when nothing is seen.

    ``lag_s``: the sensor's time constant, 0 for none. ``left_out``: harmonics that the readings do
    not show.
    """
    readings = sum(part.power_w.size for part in phases)
    harmonics = min(HARMONICS, readings // (2 * READINGS_PER_COEFFICIENT))
    wanted = [k for k in range(harmonics + 1) if k not in left_out]
    if harmonics == 0:
        return None
    powers = [part.power_w for part in phases]
    columns = {k: [_columns(part.functions[:, k], k) for part in phases] for k in wanted}
    columns = {k: found for k, found in columns.items() if _varies(found)}
    if not columns:
        return None
    rho = _correlation(powers, [np.hstack(parts) for parts in zip(*columns.values(), strict=True)])
    power_w = _stacked(powers, rho)
    whitened = {k: _stacked(found, rho) for k, found in columns.items()}
    freedom = power_w.size - len(phases)
    used = _significant(whitened, power_w, freedom)
    if not used:
        return None
    fitted = np.hstack([whitened[k] for k in used])
    beta, covariance = _least_squares(fitted, power_w, freedom)
    integral_s = np.array([_parts(part.excess_s, used) for part in phases])
    edge_s = lag_s * np.array([_parts(part.edge_excess, used) for part in phases])
    both_s = integral_s + edge_s
    return PhaseFit(integral_s @ beta, edge_s @ beta, both_s @ covariance @ both_s.T)


def _correlation(powers: Sequence[Real], columns: Sequence[Real]) -> float:
    """Return the correlation of what a fit leaves over from one reading to the next."""
    fitted, power_w = _stacked(columns, 0.0), _stacked(powers, 0.0)
    left_w = power_w - fitted @ _least_squares(fitted, power_w, power_w.size)[0]
    ends = np.cumsum([power.size for power in powers])[:-1]
    rounds = np.split(left_w, ends)
    energy = sum(float(left @ left) for left in rounds)
    common = sum(float(left[1:] @ left[:-1]) for left in rounds)
    return min(max(common / energy, 0.0), 1.0) if energy > 0 else 0.0


def _stacked(rounds: Sequence[Real], rho: float) -> Real:
    """Return the values of all rounds, less ``rho`` times the one before, around their means."""
    steps = [values[1:] - rho * values[:-1] if rho > 0 else values for values in rounds]
    return np.concatenate([values - values.mean(axis=0) for values in steps if len(values)])


def _varies(rounds: Sequence[Real]) -> bool:
    return float(_stacked(rounds, 0.0).var(axis=0).max()) > _LEAST_VARIANCE


def _significant(columns: dict[int, Real], power_w: Real, freedom: int) -> list[int]:
    """Return the functions without which the fit would be worse than chance explains (F-test)."""
    beta, covariance = _least_squares(np.hstack(list(columns.values())), power_w, freedom)
    freedom -= beta.size
    used, first = [], 0
    for k, found in columns.items():
        size = found.shape[1]
        own = slice(first, first + size)
        first += size
        ratio = beta[own] @ np.linalg.pinv(covariance[own, own]) @ beta[own] / size
        if fdtrc(size, freedom, ratio) < SIGNIFICANT:
            used.append(k)
    return used


def _least_squares(columns: Real, power_w: Real, freedom: int) -> tuple[Real, Real]:
    """Return the coefficients and their covariance."""
    inverse = np.linalg.pinv(columns.T @ columns)
    beta = inverse @ (columns.T @ power_w)
    left_w = power_w - columns @ beta
    return beta, inverse * float(left_w @ left_w) / max(1, freedom - beta.size)


def _columns(turns: NDArray[np.complex128], harmonic: int) -> Real:
    """Return the real functions of a harmonic: the busy time, or its cosine and its sine."""
    return turns.real[:, None] if harmonic == 0 else np.column_stack((turns.real, turns.imag))


def _parts(values: NDArray[np.complex128], used: Sequence[int]) -> list[float]:
    """Return the values of the used functions in the order of their columns."""
    return [
        x for k in used for x in ([values[k].real] if k == 0 else [values[k].real, values[k].imag])
    ]
