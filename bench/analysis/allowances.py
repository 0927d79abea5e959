"""What a comparison allows for that neither side's interval shows: other runs and other boards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.analysis.board_spread import BETWEEN_BOARDS
from bench.analysis.conditions import Subject

BETWEEN_RUNS = 0.09
"""Relative 95 % half-width of what shifts a latency or an energy between two runs of the very same
case, besides their own intervals: t·√2·s with s = 2.6 %, the standard deviation between nine
``quick`` runs of four cases without background load (of fifteen, in two series an hour apart, on a
shared two-core machine) after taking off what their own intervals explain. All cases of a run
mostly shift together (2.9 %, against 1.1 % case by case), so that it is the machine rather than the
load, and more loads within a run need not show it. Nine runs on one machine: a rough value."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What is allowed for besides both intervals (relative half-widths), ``None`` for nothing."""

    between_runs: float | None = None
    between_boards: float | None = None

    @property
    def logs(self) -> list[float]:
        """The same as half-widths of a logarithm."""
        parts = (self.between_runs, self.between_boards)
        return [float(np.log1p(part)) for part in parts if part is not None]

    @property
    def words(self) -> str:
        """The same for people, empty for nothing."""
        parts = ((self.between_runs, "runs"), (self.between_boards, "boards of one kind"))
        told = [f"±{100 * part:.3g} % between {what}" for part, what in parts if part is not None]
        return f" ({' and '.join(told)} allowed)" if told else ""


def two_of_a_kind(a: Subject, b: Subject) -> bool:
    """Whether two trials were measured on two boards of one kind."""
    return bool(a.kind) and a.kind == b.kind and a.trial.case.device != b.trial.case.device


def allowance(
    quantity: str, a: Subject, b: Subject, between_runs: float, between_boards: float | None
) -> Allowed:
    """Return what is allowed for a quantity of two trials that were not measured side by side.

    ``between_boards``: ``None`` takes what their pool has shown, else an assumption; 0 declines
    either allowance.
    """
    if not two_of_a_kind(a, b):
        return Allowed(between_runs or None)
    if between_boards is not None:
        return Allowed(between_runs or None, between_boards or None)
    shown = [side.spread[quantity] for side in (a, b) if quantity in side.spread]
    if not shown:
        return Allowed(between_runs or None, BETWEEN_BOARDS)
    # A pool's boards each measured the shared case in a job of this run, so that what they differ
    # by holds what shifts between jobs too.
    same_pool = a.trial.run_id == b.trial.run_id
    return Allowed(None if same_pool else between_runs or None, max(shown))
