"""Power readings that no board can have are failed reads, not measurements."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_POWER_W = 5000.0
"""More than any sensor on a board can tell (an INA3221 with a shunt of 1 mΩ: about 4 kW)."""

_NEGATIVE_SHARE = 0.02
_RARE_ZEROS = 0.05


def plausible(power_w: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return readings of one trace with NaN in the place of nonsense.

    Nonsense are infinite and absurdly large values, negative ones beyond 2 % of the largest (less
    is the offset of a rail that draws nothing), and rare zeros (under 5 % of the readings) of a
    rail that otherwise draws power. A reading that is zero all along stays: it is judged as stale.
    """
    bad = ~np.isfinite(power_w) | (np.abs(power_w) > MAX_POWER_W)
    good = np.abs(power_w[~bad])
    if good.size == 0:
        return np.where(bad, np.nan, power_w)
    with np.errstate(invalid="ignore"):
        bad |= power_w < -_NEGATIVE_SHARE * good.max()
    zero = power_w == 0
    if zero.sum() < _RARE_ZEROS * power_w.size and np.median(good) > 0:
        bad |= zero
    return np.where(bad, np.nan, power_w)


def nonsense(power_w: NDArray[np.float64]) -> int:
    """Return how many readings that did not fail are nonsense."""
    return int(np.isnan(plausible(power_w)).sum() - np.isnan(power_w).sum())
