"""What a training says while it goes on; this one says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch, counted from 1: the mean loss of its steps, and how it did on the held-out images.

    ``selection_top1`` is a share (0 to 1).
    """

    epoch: int
    lr: float
    loss: float
    selection_top1: float
    wall_s: float


class Progress:
    """Is told how a training goes on; subclasses show it."""

    def begin(self, *, epochs: int, done: int, batches: int) -> None:
        """The training begins, or goes on after ``done`` epochs, with so many steps in each."""

    def approximated(self, errors: Mapping[str, float]) -> None:
        """Training starts from approximations with these relative errors, by the layer's path."""

    def batch(self) -> None:
        """One step is done."""

    def epoch(self, record: EpochRecord) -> None:
        """One epoch is done and kept on disk."""
