"""From decoded journal records to one :class:`~bench.recordings.Recording` per case.

The format is that of :mod:`bench.agent.wire`. A journal that was cut short, or that holds a record
this code does not understand, still gives everything else: what could not be used is listed in
:attr:`Recording.lost` in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.analysis.journal_blocks import read_idle, read_round, read_step
from bench.analysis.solo import load_stats, memory_stats, parity
from bench.analysis.throttling import throttle_rise
from bench.analysis.times import load_end_ns
from bench.recordings import IdleLine, LoadStep, Recording, Round


@dataclass(slots=True)
class _Case:
    """What has been seen of one case so far."""

    solo: dict[str, Any] | None = None
    warmup: dict[str, Any] | None = None
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
    Records of an unknown kind are ignored (a newer agent may say more). Never raises for what a
    record holds.
    """
    job = _Job({key: _Case() for key in case_keys}, list(problems))
    for number, record in enumerate(records, 1):
        kind = record.get("kind")
        case = job.cases.get(str(record.get("case")))
        try:
            if kind in _OF_A_CASE:
                if case is None:
                    job.lost.append(f"journal record {number} names an unknown case")
                    continue
                _add_to_case(job, case, kind, record)
            else:
                _add_to_job(job, kind, record)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            words = f"journal record {number} ({kind}) is malformed: {_describe(error)}"
            (case.lost if case is not None else job.lost).append(words)
    return {key: _recording(job, key, case) for key, case in job.cases.items()}


_OF_A_CASE = ("solo", "warmup", "failure", "round", "step")


def _add_to_case(job: _Job, case: _Case, kind: str, record: dict[str, Any]) -> None:
    if kind == "round":
        rise = None
        throttle = (record.get("health") or {}).get("throttle")
        if throttle is not None:
            rise = throttle_rise(job.throttle, throttle)
            job.throttle = throttle
        case.rounds.append(read_round(record, rise))
    elif kind == "step":
        job.steps.append(read_step(record))
    elif kind == "solo":
        for check in (memory_stats, load_stats, parity):
            check(record)
        case.solo = record
    elif kind == "warmup":
        case.warmup = _warmup(case.warmup, record)
    else:
        case.failure = record


def _add_to_job(job: _Job, kind: Any, record: dict[str, Any]) -> None:
    if kind == "idle":
        job.idle.append(read_idle(record))
    elif kind == "health":
        job.health.append(record)
        job.throttle = record.get("throttle", job.throttle)
    elif kind == "state":
        job.states.append(record)
    elif kind == "cooldown":
        job.cooldown = record
    elif kind == "stopping":
        # A group of cases stops together; its record names them.
        named = [job.cases[key] for key in record["half_widths"] if key in job.cases]
        for case in named or job.cases.values():
            case.stopping = record
    elif kind == "groups":
        job.groups += [tuple(str(key) for key in group) for group in record["groups"]]
    elif kind == "sensor":
        job.sensor_lost = str(record["text"])
    elif kind == "end":
        job.finished = record["reason"] == "finished"


def _warmup(before: dict[str, Any] | None, record: dict[str, Any]) -> dict[str, Any]:
    """Return the warm-up of a case; of several (one per fresh load), what speaks most against."""
    if before is None:
        return record
    return {
        **record,
        "steady": bool(before["steady"]) and bool(record["steady"]),
        "took_s": max(before["took_s"], record["took_s"]),
    }


def _recording(job: _Job, key: str, case: _Case) -> Recording:
    return Recording(
        case_key=key,
        solo=case.solo,
        warmup=case.warmup,
        failure=case.failure,
        rounds=tuple(sorted(case.rounds, key=lambda item: item.start_ns)),
        idle=_idle_around(key, case.rounds, job.idle),
        health=tuple(job.health),
        finished=job.finished,
        lost=(*job.lost, *case.lost),
        steps=tuple(job.steps),
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


def _describe(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return str(error)
