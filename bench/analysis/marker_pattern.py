"""The load markers that a board plays for an external meter: when load sets in and ends.

A group of markers is ``PULSES`` stretches of load with idle in between, each short or long by a
fixed pseudo-random draw, so that the pattern resembles no shifted copy of itself; the groups before
and after the rounds are drawn differently, so that one is not taken for the other.

With a meter of period T every duration is a whole number of periods and 0.618 of one, and at least
1.618: the golden ratio spreads the edges evenly over the phases of the sampling, which is what
tells the offset of a meter that reads single moments to a few percent of T, and no reading that is
a mean over T holds two edges, which would cancel. That takes about 49 T with the idle around it,
but at least 6 s: 49 s per group at 1 Hz is what a slow meter costs.
"""

from __future__ import annotations

import random

PULSES = 11
SHORT_S = 0.124
LONG_MORE_S = 0.2
"""A board takes up load within some 10 ms (its clocks rise); pulses are to be much longer."""
REST_S = 0.4
REST_PERIODS = 2.0
"""Idle before and after a group."""
LONGEST_PERIOD_S = 10.0
"""Slower meters would take markers of more than a quarter of an hour."""

_GOLDEN = 0.6180339887498949
_SEEDS = {"before": 0, "after": 21}
"""Of forty draws those whose autocorrelation and correlation with each other peak lowest (0.45)."""


def marker_durations_s(where: str, period_s: float) -> tuple[float, ...]:
    """Return the seconds of load, idle, load, ..., load of the group ``before`` or ``after``.

    ``period_s``: time between two readings of the meter.
    """
    short_s = max((1 + _GOLDEN) * period_s, SHORT_S)
    wanted_s = (short_s, short_s + max(period_s, LONG_MORE_S))
    draw = random.Random(_SEEDS[where])
    # As many long as short ones, so that a group's length does not depend on the draw.
    chosen = [0, 1] * PULSES
    draw.shuffle(chosen)
    durations_s = [wanted_s[number] for number in chosen[: 2 * PULSES - 1]]
    return tuple(
        period_s * (round(seconds / period_s - _GOLDEN) + _GOLDEN) for seconds in durations_s
    )


def markers_s(period_s: float) -> float:
    """Return the seconds that both groups take, with the idle around them."""
    return sum(
        sum(marker_durations_s(where, period_s)) + 2 * marker_rest_s(period_s) for where in _SEEDS
    )


def marker_rest_s(period_s: float) -> float:
    """Return the seconds of idle before and after a group."""
    return max(REST_PERIODS * period_s, REST_S)
