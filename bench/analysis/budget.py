"""The uncertainty of an energy per inference, by parts.

Every part is an expanded (95 %) half-width in joules per inference and they add in quadrature:

``statistical``   t-interval of the mean over the energy rounds (over the fresh loads where there
                  are at least three; ``statistical_net``: of the net energy, which varies less
                  where all power is idle power)
``quantisation``  one step of the sensor, held over the window and at its edges; missing where
                  nothing shows how large a step is, and then no total is known either
                  (``idle_quantisation``: of the idle line, for the net energy)
``lag``           the time constant is known within δτ: δτ·|y(t₁) − y(t₀)|
``phases``        power within an inference is seen only as well as the fit of
                  :mod:`bench.analysis.phase_fit` tells, which all rounds share
``gaps``          power anywhere in the range of the readings while none arrived
``idle_drift``    (net only) the idle line anywhere between its measurements

A half-width a that bounds a rectangular distribution has the expanded uncertainty 2·a/√3 (GUM 4.3.7
with coverage factor 2). The sensor's gain error is systematic and is not in here. Few rounds make
the statistical part large (Student's factor: 4.3 for three, 2.4 for eight); that is what few rounds
are worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.analysis.batches import batch_means, mean_half_width
from bench.analysis.lag import Lag
from bench.analysis.phase_fit import PhaseFit
from bench.analysis.trace import WindowEnergy

SENSOR_PARTS = ("quantisation", "lag", "phases")
"""Parts that come from how a sensor sees power while its readings arrive."""

_RECTANGULAR = 2 / np.sqrt(3)

Figures = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Budget:
    """Parts and totals; a total is ``None`` with a single round, whose spread is unknown, and
    where the steps of the sensor are."""

    parts_j: dict[str, float]
    gross_j: float | None
    net_j: float | None


def uncertainty_budget(
    windows: Sequence[WindowEnergy],
    inputs: Figures,
    loads: NDArray[np.int64],
    gross_j: Figures,
    nets_j: Figures | None,
    drift_w: float | None,
    resolution_w: float | None,
    lag: Lag,
    fit: PhaseFit | None,
) -> Budget:
    """Return the budget of a case.

    Args:
        windows: one per energy round, each with an energy.
        inputs: inputs processed in each window.
        loads: number of the fresh load that each round ran on.
        gross_j: gross energy per input, by round.
        nets_j: net energy per input, by round, ``None`` without idle lines.
        drift_w: half the range of the idle lines, ``None`` with fewer than two.
        resolution_w: one step of the sensor's reading (0: it has none), ``None``: not known.
        lag: the time constant and how well it is known.
        fit: how power goes with the phase of the inferences, ``None`` where it does not.
    """
    parts = _sensor_parts_j(windows, inputs, resolution_w, lag)
    if fit is not None:
        weights = 1 / (inputs * inputs.size)
        variance_j2 = float(weights @ fit.covariance_j2 @ weights)
        parts["phases"] = 1.96 * float(np.sqrt(max(variance_j2, 0.0)))
    if gross_j.size > 1:
        parts["statistical"] = mean_half_width(batch_means(gross_j, loads)[0])
    # One round has no spread, so its uncertainty is unknown, not small; so are unknown steps.
    known = gross_j.size > 1 and resolution_w is not None
    gross_half_j = _quadrature(parts) if known else None
    net_half_j = None
    if nets_j is not None and drift_w is not None:
        span_s = np.array([window.span_s for window in windows])
        per_watt_s = float(_RECTANGULAR * (span_s / inputs).mean())
        parts["idle_drift"] = drift_w * per_watt_s
        if resolution_w is not None:
            parts["idle_quantisation"] = resolution_w / 2 * per_watt_s
        if gross_j.size > 1:
            parts["statistical_net"] = mean_half_width(batch_means(nets_j, loads)[0])
        if known:
            net_half_j = _quadrature({k: v for k, v in parts.items() if k != "statistical"})
    return Budget(parts, gross_half_j, net_half_j)


def _quadrature(parts: dict[str, float]) -> float:
    return float(np.sqrt(sum(part**2 for part in parts.values())))


def _sensor_parts_j(
    windows: Sequence[WindowEnergy], inputs: Figures, resolution_w: float | None, lag: Lag
) -> dict[str, float]:
    """Return the parts that come from the sensor, joules per inference."""

    def part(half_widths_j: list[float]) -> float:
        return float(_RECTANGULAR * (np.array(half_widths_j) / inputs).mean())

    parts = {}
    if resolution_w is not None:
        half_step_w, lag_s = resolution_w / 2, lag.lag_s or 0.0
        # A reading rounded one way all along shifts the whole window; its two edges are rounded
        # separately, and both edges of a counter by up to one increment.
        parts["quantisation"] = part(
            [
                float(
                    np.hypot(
                        half_step_w * window.span_s,
                        np.sqrt(2) * (half_step_w * lag_s + window.step_j / 2),
                    )
                )
                for window in windows
            ]
        )
    # δτ is already a 95 % figure, and it is the same in every round, so that edge changes of both
    # signs cancel. Counters have neither edge change nor gaps.
    edges = np.array([window.edge_change_w for window in windows]) / inputs
    parts["lag"] = (lag.uncertainty_s or 0.0) * abs(float(edges.mean()))
    parts["gaps"] = part([window.gap_s * window.spread_w / 2 for window in windows])
    return parts
