"""Which time constant of the power sensor is used for the lag correction, and how well it is known.

The step response decides: it shows the sensor as it is, while its settings can be read in several
ways. Without a response that fits, the settings are used if they are known; else nothing is
corrected and the energy says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.analysis.step_response import StepFit, fit_step
from bench.records.power import PowerSource
from bench.records.recordings import LoadStep
from bench.records.status import Source

SETTINGS_TOLERANCE = 0.10
"""How well a time constant from settings is taken to be known (relative, 95 %)."""

DISAGREEMENT = 0.25
"""Relative difference between step response and settings that is worth a note."""


@dataclass(frozen=True, slots=True)
class Lag:
    """The time constant (``None``: unknown) with its 95 % half-width.

    ``origin`` as in :attr:`bench.records.power.EnergyStats.lag_from`; ``fits``: time constants of
    the step responses that fitted, out of ``steps``; ``note``: what a reader should know.
    """

    lag_s: float | None
    uncertainty_s: float | None
    origin: str | None
    fits: tuple[float, ...] = ()
    steps: int = 0
    note: str = ""


def choose_lag(steps: Sequence[LoadStep], power: PowerSource, hold_s: float) -> Lag:
    """Return the lag of a power source.

    Counters and estimates have none by construction.
    """
    if power.unit == "J" or power.source is Source.ESTIMATED:
        return Lag(0.0, 0.0, "none")
    fits = [fit for step in steps if (fit := fit_step(step, power.total, hold_s)) is not None]
    if fits:
        return _from_steps(fits, len(steps), power.lag_s)
    if power.lag_s is None:
        words = "no load step was recorded" if not steps else "no step response fits"
        return Lag(None, None, None, steps=len(steps), note=f"{words} and no settings tell it")
    note = "no step response fits, so the settings are believed" if steps else ""
    if power.lag_s == 0:
        return Lag(0.0, 0.0, "none", steps=len(steps), note=note)
    tolerance_s = SETTINGS_TOLERANCE * power.lag_s
    return Lag(power.lag_s, tolerance_s, "settings", steps=len(steps), note=note)


def _from_steps(fits: Sequence[StepFit], steps: int, settings_s: float | None) -> Lag:
    """Return the median of several fits; they must agree at least as well as each is known."""
    lags = np.array([fit.lag_s for fit in fits])
    lag_s = float(np.median(lags))
    half_width_s = float(np.median([fit.lag_uncertainty_s for fit in fits]))
    if lags.size > 1:
        half_width_s = max(half_width_s, float(np.ptp(lags)) / 2)
    note = ""
    if settings_s is not None:
        apart_s = abs(settings_s - lag_s)
        if apart_s > max(half_width_s, DISAGREEMENT * max(lag_s, settings_s)):
            note = (
                f"the step response shows a time constant of {lag_s:.3f} s, the sensor's settings "
                f"say {settings_s:.3f} s: the step response is believed"
            )
    return Lag(lag_s, half_width_s, "step", tuple(float(x) for x in lags), steps, note)
