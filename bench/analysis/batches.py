"""Batches: what may be taken as independent of each other, and the interval of their mean.

Inferences of one round follow each other and are correlated, so rounds are the batches. A fresh
load shifts a figure for as long as it lasts, so with at least 3 loads they are the batches instead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

MIN_LOADS_AS_BATCHES = 3
"""Fresh loads from which they, and not their rounds, are the batches of an interval. The agent's
stopping rule (bench/agent/stopping.py) has the same number."""


def t_factor(count: int) -> float:
    """Return Student's 97.5 % quantile for the mean of ``count`` >= 2 values."""
    return float(stdtrit(count - 1, 0.975))


def mean_half_width(values: NDArray[np.float64]) -> float:
    """Return the half-width of the 95 % t-interval of the mean of ``values`` (at least 2)."""
    return t_factor(values.size) * float(values.std(ddof=1)) / float(np.sqrt(values.size))


def loads_are_batches(loads: NDArray[np.int64]) -> bool:
    """Whether rounds with these numbers of fresh loads come from enough of them."""
    return bool(np.unique(loads).size >= MIN_LOADS_AS_BATCHES)


def batch_means(
    values: NDArray[np.float64], loads: NDArray[np.int64]
) -> tuple[NDArray[np.float64], str]:
    """Return independent batches of figures that were taken one per round, and what they are.

    With at least 3 loads their means are the batches (``loads``). With fewer the rounds are
    (``rounds``): what a load shifts is then not in their spread.
    """
    if not loads_are_batches(loads):
        return values, "rounds"
    return np.array([values[loads == number].mean() for number in np.unique(loads)]), "loads"
