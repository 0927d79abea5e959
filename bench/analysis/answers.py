"""What the cases of a run answer: what each one changes against the dense network it came from.

The baseline of a case is the dense network of the same model on the same device, run by the same
runtime at the same precision, batch, number of threads and power mode. Every figure comes from
:func:`bench.analysis.compare.compare`; here it is only decided what may be said of it. Of energy
only what a sensor or a meter has measured is said, of any quantity nothing while its own status on
either side is other than valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bench.analysis.compare import CaseComparison, QuantityComparison, compare
from bench.analysis.conditions import Difference, Subject
from bench.records.case import Case
from bench.records.power import EnergyStats
from bench.records.status import Source, Status, Verdict
from bench.records.trial import Trial

DENSE = "dense"

EXPECTED_DIFFERENCES = frozenset({"scheme", "weights", "graph"})
"""Conditions that differ between a case and its baseline by what they are."""

_VALID = Verdict(status=Status.VALID)


class Change(StrEnum):
    """What the interval of a ratio shows."""

    LESS = "less"
    MORE = "more"
    NONE_SHOWN = "none-shown"
    """The interval includes no change."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why nothing is said of a quantity: the status of one side, or its ``source``."""

    case: Case
    verdict: Verdict
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One quantity of an answer: what its interval shows, or ``None`` and the obstacles.

    ``compared.a`` and ``compared.ratio`` give the change in the unit of the quantity.
    """

    compared: QuantityComparison
    change: Change | None
    obstacles: tuple[Obstacle, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """One case against its baseline.

    ``failure``: the verdict by which the case as a whole has no figures, else ``None``; then there
    are no claims. ``differences``: conditions that are not the same, although they could be.
    """

    case: Case
    claims: tuple[Claim, ...]
    paired: bool
    differences: tuple[Difference, ...]
    failure: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """What is known of the cases that share a baseline.

    ``missing`` says why there is no answer: ``no-baseline`` (no dense case was measured),
    ``baseline-failed`` (by ``failure``), ``alone`` (nothing but the dense case was measured).
    """

    group: Case
    """The dense case of the group, whether it was measured or not."""
    answers: tuple[Answer, ...]
    missing: str = ""
    failure: Verdict | None = None


def answers(measured: Iterable[Subject]) -> tuple[Answers, ...]:
    """Return what the trials of one run answer, a group per baseline, in order."""
    groups: dict[Case, list[Subject]] = {}
    for item in measured:
        groups.setdefault(baseline(item.trial.case), []).append(item)
    return tuple(_answered(case, found) for case, found in groups.items())


def baseline(case: Case) -> Case:
    """Return the dense case that a case is compared with."""
    return case.model_copy(update={"scheme": DENSE, "weights": None})


def _answered(dense: Case, found: Sequence[Subject]) -> Answers:
    base = next((item for item in found if item.trial.case == dense), None)
    others = [item for item in found if item.trial.case != dense]
    if base is None:
        return Answers(dense, (), "no-baseline")
    if not others:
        return Answers(dense, (), "alone", _failure(base.trial))
    failure = _failure(base.trial)
    if failure is not None:
        return Answers(dense, (), "baseline-failed", failure)
    return Answers(dense, tuple(_answer(base, item) for item in others))


def _answer(base: Subject, other: Subject) -> Answer:
    failure = _failure(other.trial)
    if failure is not None:
        return Answer(other.trial.case, (), False, (), failure)
    # At the margin 0 the verdict is whether the interval includes no change.
    compared = compare(base, other, margin=0.0)
    by_name = {item.quantity: item for item in compared.quantities}
    return Answer(
        case=other.trial.case,
        claims=tuple(
            _claim(by_name[name], base.trial, other.trial, verdict, energy)
            for name, verdict, energy in _SAID
            if name in by_name
        ),
        paired=compared.paired,
        differences=_unexpected(compared),
    )


def _unexpected(compared: CaseComparison) -> tuple[Difference, ...]:
    return tuple(item for item in compared.differences if item.name not in EXPECTED_DIFFERENCES)


def _claim(
    compared: QuantityComparison,
    base: Trial,
    other: Trial,
    verdict: Callable[[Trial], Verdict],
    energy: Callable[[Trial], EnergyStats | None] | None,
) -> Claim:
    obstacles = []
    for trial in (base, other):
        judged = verdict(trial)
        stats = None if energy is None else energy(trial)
        source = None if stats is None else stats.source
        if judged.status is not Status.VALID or source not in (None, Source.MEASURED):
            obstacles.append(Obstacle(trial.case, judged, source))
    low, high = compared.low, compared.high
    if obstacles or low is None or high is None:
        return Claim(compared, None, tuple(obstacles))
    if low > 1:
        return Claim(compared, Change.MORE)
    if high < 1:
        return Claim(compared, Change.LESS)
    return Claim(compared, Change.NONE_SHOWN)


def _failure(trial: Trial) -> Verdict | None:
    """Return the verdict by which a trial gave nothing at all to compare, if there is one."""
    final = (Status.FAILED, Status.SKIPPED)
    verdicts = (trial.latency_status, trial.energy_status, trial.memory_status)
    return next((verdict for verdict in verdicts if verdict.status in final), None)


def _meter_verdict(trial: Trial) -> Verdict:
    return Verdict(status=Status.UNMEASURED) if trial.meter is None else trial.meter.status


_SAID: tuple[
    tuple[str, Callable[[Trial], Verdict], Callable[[Trial], EnergyStats | None] | None], ...
] = (
    ("size", lambda trial: _VALID, None),
    ("peak-memory", lambda trial: trial.memory_status, None),
    ("latency", lambda trial: trial.latency_status, None),
    ("energy", lambda trial: trial.energy_status, lambda trial: trial.energy),
    (
        "meter-energy",
        _meter_verdict,
        lambda trial: None if trial.meter is None else trial.meter.energy,
    ),
)
"""Quantities in the order in which they are said, with what decides on whether they may be."""
