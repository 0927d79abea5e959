"""Which part of the inferences the readings of a window fell on.

The phase of an instant is the share (0..1) of its inference that is over. It comes from the
recorded starts and ends, so inferences may differ in length and arrive at random; between them
there is none. What is followed over a window are c₀ = 1 while an inference runs (0 between two) and
the harmonics cₖ = c₀·exp(2πi·k·phase). Their integrals are known exactly: the busy time, and 0 over
every whole inference. What the readings' own integration rule makes of the same functions
differs from that by the *excess*, which shows how unevenly the readings met the inferences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.analysis.times import served_ns
from bench.analysis.trace import WindowEnergy, cut, total_readings, updates
from bench.records.recordings import Round

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

HARMONICS = 6
"""Power is followed up to this many times per inference."""


@dataclass(frozen=True, slots=True)
class Phases:
    """A window of power readings with the functions of the phase, k = 0 .. HARMONICS.

    ``power_w``: the readings inside the window, ``functions``: cₖ at them, shape (readings, k).
    ``excess_s``: for every k, the integral over the readings minus the exact one;
    ``edge_excess``: the same of the change of cₖ from the beginning of the window to its end.
    ``latency_s``: the median length of the inferences.
    """

    power_w: Real
    functions: Complex
    excess_s: Complex
    edge_excess: Complex
    span_s: float
    latency_s: float


def phases_in(
    item: Round, window: WindowEnergy, total: Sequence[str], hold_s: float
) -> Phases | None:
    """Return the phases of a round in the covered part of its window; ``None`` for a counter.

    ``hold_s`` as in :func:`bench.analysis.trace.window_energy`: what was held counts as a reading
    at the moment of its refresh.
    """
    assert item.trace is not None
    if item.trace.unit != "W":
        return None
    t_ns, power_w = total_readings(item.trace, total)
    good = np.isfinite(power_w)
    origin_ns = window.window_ns[0]
    t_s, power_w = np.asarray((t_ns[good] - origin_ns) * 1e-9, dtype=np.float64), power_w[good]
    if hold_s > 0:
        t_s, power_w = updates(t_s, power_w, hold_s)
    starts_ns, ends_ns = served_ns(item)
    starts_s = np.asarray((starts_ns - origin_ns) * 1e-9, dtype=np.float64)
    ends_s = np.asarray((ends_ns - origin_ns) * 1e-9, dtype=np.float64)
    functions = _functions(t_s, starts_s, ends_s)
    edges_s = np.array([0.0, window.span_s])
    cuts = [cut(t_s, column, 0.0, window.span_s) for column in functions.T]
    edges = np.diff(_functions(edges_s, starts_s, ends_s), axis=0)[0]
    inside = (t_s > 0.0) & (t_s < window.span_s)
    return Phases(
        power_w=power_w[inside],
        functions=functions[inside],
        excess_s=np.array([np.trapezoid(c, x_s) for x_s, c in cuts])
        - _integrals_s(window.span_s, starts_s, ends_s),
        edge_excess=np.array([c[-1] - c[0] for _, c in cuts]) - edges,
        span_s=window.span_s,
        latency_s=float(np.median(ends_s - starts_s)),
    )


def _functions(t_s: Real, starts_s: Real, ends_s: Real) -> Complex:
    """Return cₖ at some times, shape (times, HARMONICS + 1)."""
    at = np.clip(np.searchsorted(starts_s, t_s, side="right") - 1, 0, starts_s.size - 1)
    phase = (t_s - starts_s[at]) / np.maximum(ends_s[at] - starts_s[at], 1e-9)
    busy = (phase >= 0) & (phase <= 1)
    turns = np.exp(2j * np.pi * np.outer(phase, np.arange(HARMONICS + 1)))
    return np.where(busy[:, None], turns, 0.0)


def _integrals_s(span_s: float, starts_s: Real, ends_s: Real) -> Complex:
    """Return the exact integrals of cₖ from 0 to ``span_s``; cut inferences count in part."""
    overlaps = (starts_s < span_s) & (ends_s > 0.0)
    starts_s, lengths_s = starts_s[overlaps], (ends_s - starts_s)[overlaps]
    low = np.maximum(-starts_s / lengths_s, 0.0)
    high = np.minimum((span_s - starts_s) / lengths_s, 1.0)
    turn = 2j * np.pi * np.arange(1, HARMONICS + 1)
    swings = (np.exp(np.outer(high, turn)) - np.exp(np.outer(low, turn))) / turn
    return np.concatenate(([lengths_s @ (high - low)], lengths_s @ swings))
