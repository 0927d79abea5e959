"""What a self-test reports: a row per check, and whether a known-wrong estimator was caught."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity as reported against its truth, both in ``unit``.

    ``budget`` is the largest relative error that passes. ``interval`` is the stated 95 % interval,
    ``None`` when none was stated. ``flags`` are the reasons for which the code itself
    does not vouch for the figure; ``excused``: one of them is the right answer to this row.
    """

    check: str
    name: str
    setting: str
    reported: float | None
    true: float
    unit: str
    budget: float
    interval: tuple[float, float] | None
    flags: tuple[str, ...] = ()
    excused: bool = False

    @property
    def error(self) -> float | None:
        """Relative error."""
        return None if self.reported is None else self.reported / self.true - 1

    @property
    def half_width(self) -> float | None:
        """Half of the stated interval relative to the truth."""
        if self.interval is None:
            return None
        return (self.interval[1] - self.interval[0]) / 2 / self.true

    @property
    def covers(self) -> bool | None:
        """Whether the stated interval holds the truth."""
        return None if self.interval is None else self.interval[0] <= self.true <= self.interval[1]

    @property
    def passed(self) -> bool:
        """Whether the error is within the budget, or the code rightly says not to trust it."""
        return self.excused or (self.error is not None and abs(self.error) <= self.budget)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often stated 95 % intervals held the truth in ``trials``: at least ``least`` to pass."""

    name: str
    share: float
    trials: int
    least: float

    @property
    def passed(self) -> bool:
        """Whether the intervals hold what they promise."""
        return self.share >= self.least


@dataclass(frozen=True, slots=True)
class WrongEstimator:
    """A known mistake on the same data: it has to miss some of ``tried`` budgets.

    ``worst`` says in words how far off it is at its worst.
    """

    name: str
    tried: int
    missed: int
    worst: str

    @property
    def passed(self) -> bool:
        """Whether the self-test tells it from the right one."""
        return self.missed > 0


Finding = Row | Coverage | WrongEstimator
