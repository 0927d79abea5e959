"""Readings thinned for a chart so that no peak is lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def thinned(
    t_s: NDArray[np.float64], power_w: NDArray[np.float64], bins: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lowest and the highest reading of each of ``bins`` equal stretches of time.

    Readings are in order of time. A failed one (NaN) stays, once per run of them: there the line
    breaks off.
    """
    known = np.isfinite(power_w)
    lost = ~known & np.concatenate(([True], known[:-1]))
    kept = np.flatnonzero(known)
    if kept.size > 2 * bins:
        # The end belongs to the last stretch.
        span_s = np.nextafter(t_s[kept[-1]] - t_s[kept[0]], np.inf)
        stretch = np.floor((t_s[kept] - t_s[kept[0]]) / span_s * bins).astype(np.int64)
        order = np.lexsort((power_w[kept], stretch))
        first = np.flatnonzero(np.diff(stretch[order], prepend=-1))
        last = np.append(first[1:] - 1, kept.size - 1)
        kept = kept[np.unique(np.concatenate((order[first], order[last])))]
    chosen = np.union1d(kept, np.flatnonzero(lost))
    return t_s[chosen], power_w[chosen]
