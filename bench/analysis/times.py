"""When the inferences of a round ran, back to back or as they arrived."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.records.recordings import Round


def served_ns(item: Round) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ``(starts, ends)``: when each inference of a round was worked on.

    Back to back, each starts when the last one ends. In the scenario ``server`` a duration counts
    from the arrival, and work on an inference starts at its arrival or at the end of the one
    before, whichever is later.
    """
    if item.arrivals_ns is None:
        ends_ns = item.start_ns + np.cumsum(item.durations_ns)
        return ends_ns - item.durations_ns, ends_ns
    ends_ns = item.arrivals_ns + item.durations_ns
    before_ns = np.concatenate(([item.arrivals_ns[0]], ends_ns[:-1]))
    return np.maximum(item.arrivals_ns, before_ns), ends_ns


def load_end_ns(item: Round) -> int:
    """Return when the last inference of a round ended."""
    return int(served_ns(item)[1][-1])


def inferences_in(item: Round, window_ns: tuple[int, int]) -> float:
    """Return how many inferences of a round fell into a window.

    An inference cut by an edge counts by the share of its time that lies inside.
    """
    starts_ns, ends_ns = served_ns(item)
    inside_ns = np.minimum(ends_ns, window_ns[1]) - np.maximum(starts_ns, window_ns[0])
    return float((np.maximum(inside_ns, 0) / np.maximum(ends_ns - starts_ns, 1)).sum())


def mean_wait_s(item: Round) -> float | None:
    """Return the mean time in the queue (scenario ``server``), else ``None``."""
    if item.arrivals_ns is None:
        return None
    starts_ns, _ = served_ns(item)
    return float((starts_ns - item.arrivals_ns).mean()) * 1e-9
