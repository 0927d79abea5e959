"""The load markers that a board plays for an external meter: when load sets in and ends.

A group of markers is ``PULSES`` stretches of load with idle in between. Each duration is
``U·(n + 0.618)``, n being 0 or 1 by a fixed pseudo-random draw, so that the pattern resembles no
shifted copy of itself; the groups before and after the rounds are drawn differently, so that one is
not taken for the other. ``U`` is the meter's sampling period, at least ``LEAST_UNIT_S``: the golden
ratio then spreads the edges evenly over the phases of the sampling, which is what tells the offset
of a slow meter that reads single moments to a few percent of its period.

A group takes about 29 units of U with the idle around it: 6 s, or 29 s for a meter of 1 Hz.
"""

from __future__ import annotations

import random

PULSES = 12
LEAST_UNIT_S = 0.2
"""A board takes up load within some 10 ms (its clocks rise); pulses are to be much longer."""
REST_UNITS = 2.0
"""Idle before and after a group, in units."""
LONGEST_PERIOD_S = 10.0
"""Slower meters would take markers of more than five minutes."""

_GOLDEN = 0.6180339887498949
_SEEDS = {"before": 3, "after": 8}


def marker_durations_s(where: str, period_s: float) -> tuple[float, ...]:
    """Return the seconds of load, idle, load, ..., load of the group ``before`` or ``after``.

    ``period_s``: time between two readings of the meter.
    """
    unit_s = max(period_s, LEAST_UNIT_S)
    draw = random.Random(_SEEDS[where])
    # As many long as short ones, so that a group's length does not depend on the draw.
    longs = [0, 1] * PULSES
    draw.shuffle(longs)
    return tuple(unit_s * (long + _GOLDEN) for long in longs[: 2 * PULSES - 1])


def marker_rest_s(period_s: float) -> float:
    """Return the seconds of idle before and after a group."""
    return REST_UNITS * max(period_s, LEAST_UNIT_S)
