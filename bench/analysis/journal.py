"""From decoded journal records to one :class:`~bench.recordings.Recording` per case.

The format is that of :mod:`bench.agent.wire`. A journal that was cut short, or that holds a record
this code does not understand, still gives everything else: what could not be used is listed in
:attr:`Recording.lost` in words. Nothing of a record is believed before it has been checked
(:mod:`bench.analysis.journal_shapes`, :mod:`bench.analysis.journal_blocks`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.agent import wire
from bench.analysis.journal_blocks import describe, read_idle, read_marker, read_round, read_step
from bench.analysis.journal_shapes import KINDS, shaped
from bench.analysis.throttling import throttle_rise
from bench.analysis.times import load_end_ns
from bench.errors import StoreError
from bench.records.recordings import IdleLine, LoadStep, Marker, PowerTrace, Recording, Round

MOST_PROBLEMS = 20
"""Problems that are told one by one; a disk full of garbage must not fill every trial."""


@dataclass(slots=True)
class _Case:
    """What has been seen of one case so far."""

    solo: dict[str, Any] | None = None
    warmup: dict[str, Any] | None = None
    loads: list[dict[str, Any]] = field(default_factory=list)
    accuracy: list[dict[str, Any]] = field(default_factory=list)
    failure: dict[str, Any] | None = None
    stopping: dict[str, Any] | None = None
    rounds: list[Round] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Job:
    """What has been seen of the job that all cases share."""

    cases: dict[str, _Case]
    lost: list[str]
    idle: list[IdleLine] = field(default_factory=list)
    steps: list[LoadStep] = field(default_factory=list)
    markers: list[Marker] = field(default_factory=list)
    health: list[dict[str, Any]] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    cooldown: dict[str, Any] | None = None
    groups: list[tuple[str, ...]] = field(default_factory=list)
    sensor_lost: str = ""
    finished: bool = False
    throttle: dict[str, int] | None = None
    """Throttle counters as they were last read."""


def recordings(
    records: Sequence[dict[str, Any]], problems: Sequence[str], case_keys: Sequence[str]
) -> dict[str, Recording]:
    """Return a recording for each of ``case_keys``, in that order, also where nothing was done.

    ``records`` and ``problems`` are the result of :func:`bench.agent.wire.decode_records`.
    Whatever a record holds, it costs no more than itself.

    Raises:
        StoreError: a newer version of the agent wrote the journal.
    """
    job = _Job({key: _Case() for key in case_keys}, list(problems))
    for number, record in enumerate(records, 1):
        kind = record.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            job.lost.append(f"journal record {number} is of an unknown kind: {str(kind)[:40]!r}")
            continue
        key = record.get("case")
        case = job.cases.get(key) if isinstance(key, str) else None
        if kind in _OF_A_CASE and case is None:
            job.lost.append(f"journal record {number} names an unknown case")
            continue
        lost = job.lost if case is None else case.lost
        name = f"journal record {number} ({kind})"
        try:
            if case is not None and kind in _OF_A_CASE:
                partly: list[str] = []
                _add_to_case(job, case, kind, record, partly)
                lost += [f"{name} has {problem}" for problem in partly]
            else:
                _add_to_job(job, kind, record)
        except (KeyError, ValueError) as error:
            lost.append(f"{name} is malformed: {describe(error)}")
    _drop_other_channels(job)
    return {key: _recording(job, key, case) for key, case in job.cases.items()}


_OF_A_CASE = ("solo", "warmup", "failure", "round", "step", "accuracy")


def _add_to_case(
    job: _Job, case: _Case, kind: str, record: dict[str, Any], partly: list[str]
) -> None:
    """Add a record; what is lost of it alone is described in ``partly``."""
    if kind == "round":
        case.rounds.append(_round(job, case, record, partly))
    elif kind == "step":
        job.steps.append(read_step(record))
    elif kind == "solo":
        case.solo = shaped(kind, record)
    elif kind == "warmup":
        load = shaped(kind, record)
        case.loads.append(load)
        case.warmup = _warmup(case.warmup, load)
    elif kind == "accuracy":
        case.accuracy.append(shaped(kind, record))
    else:
        case.failure = shaped(kind, record)


def _round(job: _Job, case: _Case, record: dict[str, Any], partly: list[str]) -> Round:
    item = read_round(record, partly)
    # Raw power is kept by the index of its round, whatever the kind.
    place = item.kind == "latency", item.index
    if any((other.kind == "latency", other.index) == place for other in case.rounds):
        raise ValueError(f"there is a round {item.index} already")
    if not item.health or "throttle" not in item.health:
        return item
    rise = throttle_rise(job.throttle, item.health["throttle"])
    job.throttle = item.health["throttle"]
    return replace(item, throttled=rise)


def _add_to_job(job: _Job, kind: str, record: dict[str, Any]) -> None:
    if kind == "idle":
        job.idle.append(read_idle(record))
        return
    if kind == "marker":
        if "problem" in record:
            raise ValueError(str(record["problem"])[:200])
        job.markers.append(read_marker(record))
        return
    known = shaped(kind, record)
    if kind == "start" and known.get("version", 1) > wire.WIRE_VERSION:
        raise StoreError(
            f"the journal has version {known['version']}, this version of bench reads up to "
            f"{wire.WIRE_VERSION}: update bench"
        )
    if kind == "health":
        job.health.append(known)
        job.throttle = known.get("throttle", job.throttle)
    elif kind == "state":
        job.states.append(known)
    elif kind == "cooldown":
        job.cooldown = known
    elif kind == "stopping":
        # A group of cases stops together; its record names them.
        named = [job.cases[key] for key in known["half_widths"] if key in job.cases]
        for case in named or job.cases.values():
            case.stopping = known
    elif kind == "groups":
        job.groups += [tuple(group) for group in known["groups"]]
    elif kind == "sensor":
        job.sensor_lost = known["text"] or "it did not say why"
    elif kind == "end":
        job.finished = known["reason"] == "finished"


def _drop_other_channels(job: _Job) -> None:
    """Leave out power that was not read from the channels that most traces of the job have."""

    def channels(trace: PowerTrace) -> tuple[tuple[str, ...], str]:
        return trace.channels, trace.unit

    def fits(trace: PowerTrace) -> bool:
        return channels(trace) == usual

    rounds = [item for case in job.cases.values() for item in case.rounds]
    traces = [line.trace for line in job.idle if line.trace is not None]
    traces += [step.trace for step in job.steps]
    traces += [item.trace for item in rounds if item.trace is not None]
    if len({channels(trace) for trace in traces}) < 2:
        return
    usual = Counter(map(channels, traces)).most_common(1)[0][0]
    job.idle = [line for line in job.idle if line.trace is None or fits(line.trace)]
    job.steps = [step for step in job.steps if fits(step.trace)]
    for case in job.cases.values():
        case.rounds = [
            item if item.trace is None or fits(item.trace) else replace(item, trace=None)
            for item in case.rounds
        ]
    job.lost.append("power that was read from other channels than most is left out")


def _warmup(before: dict[str, Any] | None, record: dict[str, Any]) -> dict[str, Any]:
    """Return the warm-up of a case; of several (one per fresh load), what speaks most against."""
    known: dict[str, Any] = {
        name: record[name] for name in ("steady", "took_s", "runs") if name in record
    }
    if before is not None:
        known["steady"] = bool(before["steady"]) and bool(record["steady"])
        known["took_s"] = max(before["took_s"], record["took_s"])
    return known


def _recording(job: _Job, key: str, case: _Case) -> Recording:
    return Recording(
        case_key=key,
        solo=case.solo,
        warmup=case.warmup,
        loads=tuple(case.loads),
        accuracy=tuple(case.accuracy),
        failure=case.failure,
        rounds=tuple(sorted(case.rounds, key=lambda item: item.start_ns)),
        idle=_idle_around(key, case.rounds, job.idle),
        health=tuple(job.health),
        finished=job.finished,
        lost=_listed([*job.lost, *case.lost]),
        steps=tuple(job.steps),
        markers=tuple(job.markers),
        states=tuple(job.states),
        stopping=case.stopping,
        cooldown=job.cooldown,
        group=next((group for group in job.groups if key in group), ()),
        sensor_lost=job.sensor_lost,
    )


def _idle_around(
    key: str, rounds: Sequence[Round], idle: Sequence[IdleLine]
) -> tuple[IdleLine, ...]:
    """Return the idle lines from the last one before the rounds to the first one after them."""
    if not rounds:
        return ()
    lines = sorted(
        (line for line in idle if not line.cases or key in line.cases),
        key=lambda line: line.window_ns,
    )
    first_ns = min(item.start_ns for item in rounds)
    last_ns = max(load_end_ns(item) for item in rounds)
    before = [line for line in lines if line.where == "before" and line.window_ns[1] <= first_ns]
    after = [line for line in lines if line.where == "after" and line.window_ns[0] >= last_ns]
    # Each fresh load of the workers has idle lines of its own, in between.
    between = [
        line for line in lines if first_ns <= line.window_ns[0] and line.window_ns[1] <= last_ns
    ]
    return (*before[-1:], *between, *after[:1])


def _listed(problems: Sequence[str]) -> tuple[str, ...]:
    left = len(problems) - MOST_PROBLEMS
    more = (f"and {left} more problems",) if left > 0 else ()
    return (*problems[:MOST_PROBLEMS], *more)
