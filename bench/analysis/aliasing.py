"""Whether readings could miss what power does within an inference.

An unfiltered sensor shows power at single instants. If these fall on always the same phases of a
load that repeats with every inference, their mean is not the mean power, however long the window.
Phases are taken from the recorded times of the inferences themselves, so that neither a period has
to be assumed nor that it is constant: a load whose period is close to a multiple of the sampling
period shows as uneven coverage.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.analysis.refresh import good_readings
from bench.analysis.times import served_ns
from bench.analysis.trace import total_readings, updates
from bench.recordings import Round

HARMONICS = (1, 2, 3)

LOCKED = 0.5
"""Mean resultant length of the phases within rounds above which readings keep to one phase."""


def aliasing_share(rounds: Sequence[Round], total: Sequence[str], hold_s: float) -> float:
    """Return how far mean power could be off, relative to it, because of uneven phases.

    That is (amplitude of the swings) · (resultant length of the readings' phases), for the harmonic
    for which it is largest, where the k-th is taken as 1/k as strong. Windows of all rounds count
    together, unless readings keep to one phase within each: then each round may be off. 0 where
    nothing can be said: no power readings, or arrivals at random.

    Swings show as differences between neighbouring readings or, where these meet always the same
    phase, between the means of rounds. A slow rise of power is none.
    """
    phases: list[NDArray[np.float64]] = []
    seen: list[NDArray[np.float64]] = []
    for item in rounds:
        if item.trace is None or item.trace.unit != "W" or item.window_ns is None:
            continue
        if item.arrivals_ns is not None:
            continue
        t_ns, power_w = _instants(item, total, hold_s)
        inside = (t_ns >= item.window_ns[0]) & (t_ns < item.window_ns[1])
        found, within = _phases(item, t_ns[inside])
        phases.append(found)
        seen.append(power_w[inside][within])
    if not phases or sum(part.size for part in phases) < 3:
        return 0.0
    usable = [part for part in seen if part.size > 1]
    if not usable:
        return 0.0
    means_w = [float(part.mean()) for part in usable]
    low_w, high_w = np.percentile(np.concatenate([np.diff(part) for part in usable]), [2.5, 97.5])
    amplitude_w = max(float(high_w - low_w) / 4, float(np.ptp(means_w)) / 2)
    mean_w = float(np.mean(means_w))
    if mean_w <= 0:
        return 0.0
    return max(_unevenness(phases, k) / k for k in HARMONICS) * amplitude_w / mean_w


def _unevenness(phases: Sequence[NDArray[np.float64]], harmonic: int) -> float:
    """Return the resultant length (0: even, 1: all the same) of phases given by round."""
    turns = [np.exp(2j * np.pi * harmonic * part) for part in phases if part.size]
    within = float(np.mean([abs(part.mean()) for part in turns]))
    return within if within > LOCKED else float(abs(np.concatenate(turns).mean()))


def _instants(
    item: Round, total: Sequence[str], hold_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return when the values were taken (nanoseconds) and the values."""
    assert item.trace is not None
    t_ns, values = total_readings(item.trace, total)
    good = np.isfinite(values)
    if not good.any() or hold_s <= 0:
        return t_ns[good].astype(np.float64), values[good]
    t_s, values = updates(*good_readings(item.trace, total), hold_s)
    return t_s * 1e9 + float(t_ns[good][0]), values


def _phases(
    item: Round, t_ns: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the phase (0..1) within its inference of each instant that falls into one."""
    starts_ns, ends_ns = served_ns(item)
    at = np.clip(np.searchsorted(starts_ns, t_ns, side="right") - 1, 0, starts_ns.size - 1)
    phase = (t_ns - starts_ns[at]) / (ends_ns[at] - starts_ns[at])
    within = (phase >= 0) & (phase < 1)
    return phase[within], within
