"""How much boards of one kind differ: what a comparison across two of them allows for.

Two boards of a kind never measure quite the same, and a case that only one of them measured does
not show it. Where a pool of boards shared cases out, each measured one case of its own as well; the
scatter of that one is the pool's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.analysis.batches import t_factor
from bench.analysis.figures import QUANTITIES
from bench.records.manifest import Pool
from bench.records.trial import Trial

LEAST_BOARDS = 3
"""With two, Student's factor of 12.7 would hide everything."""

BETWEEN_BOARDS = 0.10
"""Relative 95 % half-width of what a latency or an energy of one board differs by from another one
of its kind, where no pool has shown it. An assumption: no two boards of a kind were at hand."""


def pool_spread(pool: Pool, trials: Sequence[Trial]) -> dict[str, float]:
    """Return by quantity the relative 95 % half-width of the ratio between two boards of a pool.

    It is t·√2·s, with s the standard deviation of the logarithms of the case that all measured.
    What that case's own intervals are wide is part of it. Quantities that fewer than three boards
    have a good figure of are left out.
    """
    shared = [
        trial
        for trial in trials
        if trial.case.key == pool.shared and trial.case.device in pool.devices
    ]
    found = {}
    for quantity in QUANTITIES:
        figures = [quantity.figure(trial) for trial in shared]
        logs = [np.log(each.value) for each in figures if each.value and not each.problem]
        if quantity.shifts and len(logs) >= LEAST_BOARDS:
            width = t_factor(len(logs)) * np.sqrt(2) * np.std(logs, ddof=1)
            found[quantity.name] = float(np.expm1(width))
    return found
