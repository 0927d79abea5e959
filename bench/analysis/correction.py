"""A sensor's calibration, applied to what its readings gave.

Readings are offset + gain · power, so that an energy over a time t becomes (E - offset · t) / gain;
whatever is a difference of powers, an error or a step, is divided by the gain alone. All of it is
linear, so that a corrected figure is the figure of corrected readings; those stay as they came, and
whether a sensor can be believed is asked of them.
"""

from __future__ import annotations

from dataclasses import replace

from bench.analysis.phase_fit import PhaseFit
from bench.analysis.trace import WindowEnergy
from bench.records.power import PowerCalibration


def corrected_window(window: WindowEnergy, calibration: PowerCalibration) -> WindowEnergy:
    """Return a window (that has an energy) in true joules and watts."""
    gain, offset_j = calibration.gain, calibration.offset_w * window.span_s
    return replace(
        window,
        energy_j=((window.energy_j or 0.0) - offset_j) / gain,
        uncorrected_j=((window.uncorrected_j or 0.0) - offset_j) / gain,
        edge_change_w=window.edge_change_w / gain,
        spread_w=window.spread_w / gain,
        step_j=window.step_j / gain,
        largest_jump_w=window.largest_jump_w / gain,
    )


def corrected_fit(fit: PhaseFit, calibration: PowerCalibration) -> PhaseFit:
    """Return what phases add to the energies, in true joules."""
    gain = calibration.gain
    return PhaseFit(fit.integral_j / gain, fit.edge_j / gain, fit.covariance_j2 / gain**2)
