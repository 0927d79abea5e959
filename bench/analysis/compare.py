"""Two trials compared: ratio B/A with a 95 % interval and a verdict, quantity by quantity.

Cases that were measured side by side (same job, same group) are compared round by round: the
rounds of one index stand next to each other in time, so that drift hits both and drops out of the
logarithm of their ratio, whose mean has a t-interval. Anything else is compared by the two
intervals, added in quadrature on the logarithmic scale, together with an allowance for what shifts
between runs: a run does not show it, since it lasts for all of the run. Two boards of one kind are
compared with an allowance for what such boards differ by as well; two boards of different kinds
without, since there the boards are what is compared.

An interval inside the margin means *same*, one beyond it *better* or *worse*, and one that
straddles its edge *inconclusive*. A quantity whose own status speaks against it cannot be better
or worse; a wide interval alone does not block: the interval decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from bench.analysis.allowances import BETWEEN_RUNS, Allowed, allowance, two_of_a_kind
from bench.analysis.batches import batch_means, mean_half_width
from bench.analysis.comparable import objection, same_board
from bench.analysis.conditions import Difference, Subject, differences
from bench.analysis.figures import QUANTITIES, Figure, Quantity
from bench.records.case import Case

MIN_PAIRS = 3

WIDEST = 100.0
"""Half-width of a logarithm beyond which an interval says no less: it still fits into a float."""


class Outcome(StrEnum):
    """What a comparison of one quantity says. Less is better for every quantity."""

    BETTER = "better"
    SAME = "same"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"
    UNMEASURED = "unmeasured"


@dataclass(frozen=True, slots=True)
class QuantityComparison:
    """One quantity of two trials.

    ``a`` and ``b`` in ``unit``; ``ratio`` is B/A with its 95 % interval, ``None`` where it is not
    known. ``between_runs``: the allowance (relative half-width) for what shifts between runs that
    is part of the interval, ``None`` where there is none; ``between_boards``: likewise for what
    boards of one kind differ by. ``method``: how the ratio came about;
    ``why``: why the outcome is what it is.
    """

    quantity: str
    unit: str
    estimated: bool
    a: float | None
    b: float | None
    ratio: float | None
    low: float | None
    high: float | None
    between_runs: float | None
    between_boards: float | None
    outcome: Outcome
    word: str
    method: str
    why: str


@dataclass(frozen=True, slots=True)
class CaseComparison:
    """Two trials with what differs between the conditions they were measured under.

    ``loads``: fresh loads of the side that has fewer, ``None`` when that is not known.
    ``one_kind``: whether they are of two boards of one kind.
    """

    label: str
    a: str
    b: str
    paired: bool
    loads: int | None
    one_kind: bool
    differences: tuple[Difference, ...]
    quantities: tuple[QuantityComparison, ...]


def compare(
    a: Subject,
    b: Subject,
    margin: float,
    between_runs: float = BETWEEN_RUNS,
    between_boards: float | None = None,
) -> CaseComparison:
    """Compare two trials; ``margin`` is relative (0.01: within 1 % counts as the same).

    ``between_runs``: relative 95 % half-width of what shifts between runs, for trials that were
    not measured side by side; 0 declines the allowance. ``between_boards``: the same for what
    boards of one kind differ by; ``None`` takes what their pool has shown, else an assumption.
    """
    paired = side_by_side(a, b)
    one_kind = two_of_a_kind(a, b)

    def allowed(quantity: Quantity) -> Allowed:
        if paired or not quantity.shifts:
            return Allowed()
        return allowance(quantity.name, a, b, between_runs, between_boards)

    loads = [int(side.trial.facts.get("loads") or 0) for side in (a, b)]
    return CaseComparison(
        label=_label(a.trial.case, b.trial.case),
        a=a.name,
        b=b.name,
        paired=paired,
        loads=min(loads) or None,
        one_kind=one_kind,
        differences=differences(a, b),
        quantities=tuple(
            _compare(quantity, a, b, paired, margin, allowed(quantity))
            for quantity in QUANTITIES
            if not quantity.optional or _has(quantity, a) or _has(quantity, b)
        ),
    )


def _has(quantity: Quantity, side: Subject) -> bool:
    return not quantity.figure(side.trial).unmeasured


def _label(one: Case, two: Case) -> str:
    if one.label == two.label:
        return one.label
    other = two.label.removeprefix(one.model).lstrip() if one.model == two.model else two.label
    return f"{one.label} → {other}"


def overall(cases: Sequence[CaseComparison], decisive: Sequence[str]) -> Outcome:
    """Return the outcome of all cases together, by the quantities that are ``decisive``.

    Worse outweighs inconclusive, inconclusive outweighs same and better. A quantity that neither
    side has measured does not count, unless nothing else does.
    """
    found = [
        item.outcome
        for case in cases
        for item in case.quantities
        if item.quantity in decisive and item.outcome is not Outcome.UNMEASURED
    ]
    if Outcome.WORSE in found:
        return Outcome.WORSE
    if Outcome.INCONCLUSIVE in found or not found:
        return Outcome.INCONCLUSIVE
    return Outcome.BETTER if Outcome.BETTER in found else Outcome.SAME


def side_by_side(a: Subject, b: Subject) -> bool:
    """Whether two trials were measured in the same job with their workers loaded together."""
    one, two = a.trial, b.trial
    same_job = (
        one.run_id == two.run_id
        and one.attempt == two.attempt
        and one.trial_id != two.trial_id
        and one.case.device == two.case.device
        and one.case.power_mode == two.case.power_mode
    )
    group = one.facts.get("group") or []
    return same_job and (not group or two.case.key in group)


def decide(low: float, high: float, margin: float) -> Outcome:
    """Return the outcome for a ratio between ``low`` and ``high``, the margin being relative.

    At the margin 0 only an exact ratio of 1 is the same.
    """
    edge = np.log1p(margin)
    low_log, high_log = np.log(low), np.log(high)
    if low_log > edge:
        return Outcome.WORSE
    if high_log < -edge:
        return Outcome.BETTER
    if low_log >= -edge and high_log <= edge:
        return Outcome.SAME
    return Outcome.INCONCLUSIVE


def paired_log_ratio(
    logs_a: NDArray[np.float64], logs_b: NDArray[np.float64], loads: NDArray[np.int64]
) -> tuple[float, float]:
    """Return ``(mean, 95 % half-width)`` of log(b/a) from paired rounds (at least 3).

    ``loads``: number of the fresh load of each round; from 3 on, loads are the batches.
    """
    batches, _ = batch_means(logs_b - logs_a, loads)
    return float(batches.mean()), mean_half_width(batches)


def _compare(
    quantity: Quantity,
    a: Subject,
    b: Subject,
    paired: bool,
    margin: float,
    allowed: Allowed,
) -> QuantityComparison:
    left, right = quantity.figure(a.trial), quantity.figure(b.trial)
    on_one_board = same_board(a, b)
    unfit = objection(left, right, on_one_board)
    log_ratio = half_width = None
    method = ""
    if not unfit:
        log_ratio, half_width, method = _ratio(left, right, paired, on_one_board)
        if half_width is not None and allowed.logs:
            half_width = _quadrature([half_width, *allowed.logs])
    outcome, why = Outcome.INCONCLUSIVE, unfit
    if left.unmeasured and right.unmeasured:
        outcome, why = Outcome.UNMEASURED, left.problem
    low = high = None
    if log_ratio is not None and half_width is not None:
        reach = min(half_width, WIDEST)
        low, high = float(np.exp(log_ratio - reach)), float(np.exp(log_ratio + reach))
        if not left.problem and not right.problem:
            outcome = decide(low, high, margin)
            why = _words(outcome, low, high, margin, allowed)
    elif log_ratio is not None and not why:
        why = "one side has no interval: too few rounds"
    for side, figure in (("A", left), ("B", right)):
        if outcome is Outcome.INCONCLUSIVE and figure.problem and not unfit:
            why = "; ".join(part for part in (why, f"{side}: {figure.problem}") if part)
    words = {Outcome.BETTER: quantity.better, Outcome.WORSE: quantity.worse}
    return QuantityComparison(
        quantity=quantity.name,
        unit=quantity.unit,
        estimated=left.estimated or right.estimated,
        a=left.value,
        b=right.value,
        ratio=None if log_ratio is None else float(np.exp(log_ratio)),
        low=low,
        high=high,
        between_runs=None if half_width is None else allowed.between_runs,
        between_boards=None if half_width is None else allowed.between_boards,
        outcome=outcome,
        word=words.get(outcome, outcome.value),
        method=method,
        why=why,
    )


def _ratio(
    left: Figure, right: Figure, paired: bool, on_one_board: bool
) -> tuple[float, float | None, str]:
    """Return ``(log ratio, half-width, method)``."""
    # The gain error of one board's sensor is the same on both sides.
    gains = () if on_one_board else (left.gain_error or 0.0, right.gain_error or 0.0)
    extra = [left.systematic, right.systematic, *gains]
    common = sorted(left.rounds.keys() & right.rounds.keys()) if paired else []
    if len(common) >= MIN_PAIRS:
        log_ratio, spread = paired_log_ratio(
            np.log([left.rounds[index][1] for index in common]),
            np.log([right.rounds[index][1] for index in common]),
            np.array([left.rounds[index][0] for index in common]),
        )
        return log_ratio, _quadrature([spread, *extra]), f"{len(common)} paired rounds"
    assert left.value and right.value
    log_ratio = float(np.log(right.value / left.value))
    if left.spread is None or right.spread is None:
        return log_ratio, None, "two figures without interval"
    method = "exact" if left.spread == right.spread == 0 else "two intervals"
    return log_ratio, _quadrature([left.spread, right.spread, *extra]), method


def _quadrature(parts: Sequence[float]) -> float:
    return float(np.sqrt(sum(part**2 for part in parts)))


def _words(outcome: Outcome, low: float, high: float, margin: float, allowed: Allowed) -> str:
    where = {
        Outcome.SAME: "within",
        Outcome.INCONCLUSIVE: "neither within nor beyond",
    }.get(outcome, "beyond")
    span = f"the change lies between {low - 1:+.2%} and {high - 1:+.2%}"
    return f"{span}{allowed.words}: {where} the margin of {100 * margin:.3g} %"
