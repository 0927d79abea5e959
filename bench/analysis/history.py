"""A case over time: what several runs measured of it, and what changed in between.

A case is the same over time when device, model, scheme, weight mode, runtime, precision, batch,
threads and the power mode that was asked for agree. Everything else that a fair comparison has
equal (engine version, the power mode as found, clocks, procedure, the graph itself, where energy
comes from ...) may change, and the point at which it changed says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.analysis.conditions import Difference, Subject, differences, subject
from bench.records.case import Case
from bench.records.manifest import Manifest
from bench.records.status import Source, Status, Verdict
from bench.records.trial import Trial


@dataclass(frozen=True, slots=True)
class Value:
    """A figure of one trial, in the unit that the field's name has.

    ``value``: ``None`` where there is none; ``low``, ``high``: its 95 % interval, ``None`` where
    that is not known. ``status`` and ``reasons`` are those of the quantity: only ``valid`` ones may
    be drawn without a caveat. ``estimated``: it was not measured.
    """

    value: float | None
    low: float | None
    high: float | None
    status: Status
    reasons: tuple[str, ...]
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """What one run measured of a case.

    ``started_at``: of the run, ISO 8601. ``p50_s``, ``p99_s``: seconds per run of the network;
    ``energy_j``: gross joules per inference of one input, from ``energy_source`` (``measured``,
    ``counter``, ``estimated``; ``None`` without a figure). ``changes``: conditions that differ from
    those of the point before, where ``a`` is how it was then, ``b`` how it is now.
    """

    run_id: str
    trial_id: str
    started_at: str
    p50_s: Value
    p99_s: Value
    energy_j: Value
    energy_source: Source | None
    changes: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """A case with its points, oldest first; ``case`` is that of the newest point."""

    case: Case
    points: tuple[Point, ...]


def trends(measured: Iterable[tuple[Trial, Manifest]]) -> tuple[Trend, ...]:
    """Return the cases of trials over time, in the order in which they were first measured.

    ``measured``: the trials that count, each with the manifest of its run, in any order.
    """
    in_time = sorted(measured, key=lambda pair: (pair[1].started_at, pair[1].run_id))
    by_case: dict[Case, list[tuple[Subject, Manifest]]] = {}
    for trial, manifest in in_time:
        by_case.setdefault(trial.case, []).append((_subject(trial, manifest), manifest))
    return tuple(Trend(case, _points(found)) for case, found in by_case.items())


def _points(found: list[tuple[Subject, Manifest]]) -> tuple[Point, ...]:
    points = []
    before: Subject | None = None
    for now, manifest in found:
        changes = () if before is None else differences(before, now)
        points.append(_point(now.trial, manifest, changes))
        before = now
    return tuple(points)


def _point(trial: Trial, manifest: Manifest, changes: tuple[Difference, ...]) -> Point:
    return Point(
        run_id=manifest.run_id,
        trial_id=trial.trial_id,
        started_at=manifest.started_at,
        p50_s=_p50_s(trial),
        p99_s=_p99_s(trial),
        energy_j=_energy_j(trial),
        energy_source=None if trial.energy is None else trial.energy.source,
        changes=changes,
    )


def _p50_s(trial: Trial) -> Value:
    found, verdict = trial.latency, trial.latency_status
    if found is None:
        return _value(verdict)
    return _value(verdict, found.p50_s, found.p50_low_s, found.p50_high_s)


def _p99_s(trial: Trial) -> Value:
    found, verdict = trial.latency, trial.latency_status
    if found is None:
        return _value(verdict)
    if found.p99_ci is None:
        return _value(verdict, found.p99_s)
    return _value(verdict, found.p99_s, found.p99_ci.low, found.p99_ci.high)


def _energy_j(trial: Trial) -> Value:
    found, verdict = trial.energy, trial.energy_status
    if found is None:
        return _value(verdict)
    estimated = found.source is Source.ESTIMATED
    if found.uncertainty_j is None:
        return _value(verdict, found.gross_j, estimated=estimated)
    low_j, high_j = found.gross_j - found.uncertainty_j, found.gross_j + found.uncertainty_j
    return _value(verdict, found.gross_j, low_j, high_j, estimated)


def _value(
    verdict: Verdict,
    value: float | None = None,
    low: float | None = None,
    high: float | None = None,
    estimated: bool = False,
) -> Value:
    reasons = tuple(reason.value for reason in verdict.reasons)
    return Value(value, low, high, verdict.status, reasons, estimated)


def _subject(trial: Trial, manifest: Manifest) -> Subject:
    """Return a trial with its conditions, among them what made the figures and their energy."""
    found = subject(trial, manifest)
    energy = trial.energy
    more = {
        "bench": manifest.git_revision or manifest.versions.get("bench-on-device"),
        "energy source": None if energy is None else f"{energy.source} ({energy.sensor})",
        "energy scope": None if energy is None else energy.scope,
    }
    known = {name: value for name, value in more.items() if value}
    return Subject(trial, {**found.conditions, **known})
