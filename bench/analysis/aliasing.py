"""Whether readings could miss what power does within an inference.

An unfiltered sensor shows power at single instants. If these fall on always the same phases of the
inferences, as with a sampling period that is a multiple of theirs and does not vary, nothing shows
what power does in between: readings, their scatter and the agreement of rounds all look fine.
Phases come from the recorded times of the inferences, so that no period has to be assumed.

A load that repeats with something else than the inferences is not searched for: the sampler varies
its pauses, so that no fixed period keeps in step with it for longer than a few readings, and what
that leaves scatters the rounds, which the interval tells. In a trace without such variation, a
period that keeps in step would not show either.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaincc

from bench.analysis.phases import Phases

WATCHED = (1, 2, 3)
"""Harmonics that would be missed; of a higher one, several readings per inference show the rest."""

LOCKED = 0.5
"""Root mean square over the rounds of a harmonic's excess (0: phases met evenly, 1: always the
same), above which the readings do not show it. Evenly met, 60 % of an inference give this."""

BY_CHANCE = 0.001
"""Probability that readings at random phases would be called locked."""


def locked_harmonics(phases: Sequence[Phases]) -> dict[int, float]:
    """Return ``{harmonic: how uneven its phases are met (0..1)}`` for those not to be seen.

    At random phases n times the squared excess of n readings is exponentially distributed, so that
    its sum over the rounds follows a gamma distribution (Rayleigh's test).
    """
    if not phases:
        return {}
    readings = np.array([part.power_w.size for part in phases])
    locked = {}
    for k in WATCHED:
        squares = np.array([abs(part.excess_s[k] / part.span_s) ** 2 for part in phases])
        chance = gammaincc(len(phases), float(readings @ squares))
        uneven = float(np.sqrt(squares.mean()))
        if uneven > LOCKED and chance < BY_CHANCE:
            locked[k] = min(1.0, uneven)
    return locked


def aliasing_share(phases: Sequence[Phases], lag_s: float) -> float:
    """Return how far mean power could be off, relative to it, because of phases never seen.

    That is what the phases leave open (0..1) for a load that swings by its whole mean, where the
    k-th harmonic is taken as 1/k as strong and a low-pass of ``lag_s`` dampens it by
    √(1 + (2πk·lag/latency)²). 0 where the readings show all phases.
    """
    locked = locked_harmonics(phases)
    if not locked:
        return 0.0
    latency_s = float(np.median([part.latency_s for part in phases]))
    return max(
        uneven / k / float(np.hypot(1.0, 2 * np.pi * k * lag_s / latency_s))
        for k, uneven in locked.items()
    )
