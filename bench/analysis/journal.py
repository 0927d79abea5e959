"""From decoded journal records to one :class:`~bench.recordings.Recording` per case.

The format is that of :mod:`bench.agent.wire`. A journal that was cut short, or that holds a record
this code does not understand, still gives everything else: what could not be used is listed in
:attr:`Recording.lost` in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.analysis.solo import load_stats, memory_stats, parity
from bench.recordings import IdleLine, PowerTrace, Recording, Round


@dataclass(slots=True)
class _Gathered:
    """What has been seen of one case so far."""

    solo: dict[str, Any] | None = None
    warmup: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None
    rounds: list[Round] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def recordings(
    records: Sequence[dict[str, Any]], problems: Sequence[str], case_keys: Sequence[str]
) -> dict[str, Recording]:
    """Return a recording for each of ``case_keys``, in that order, also where nothing was done.

    ``records`` and ``problems`` are the result of :func:`bench.agent.wire.decode_records`.
    Records of an unknown kind are ignored (a newer agent may say more). Never raises for what a
    record holds.
    """
    gathered = {key: _Gathered() for key in case_keys}
    idle: list[IdleLine] = []
    health: list[dict[str, Any]] = []
    lost = list(problems)
    finished, sensor_lost = False, ""
    for number, record in enumerate(records, 1):
        kind = record.get("kind")
        case = gathered.get(str(record.get("case")))
        try:
            if kind == "idle":
                idle.append(_idle_line(record))
            elif kind == "health":
                health.append(record)
            elif kind == "sensor":
                sensor_lost = str(record["text"])
            elif kind == "end":
                finished = record["reason"] == "finished"
            elif kind in ("solo", "warmup", "failure", "round"):
                if case is None:
                    lost.append(f"journal record {number} names an unknown case")
                    continue
                _add(case, kind, record)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            words = f"journal record {number} ({kind}) is malformed: {_describe(error)}"
            (case.lost if case is not None else lost).append(words)
    return {
        key: Recording(
            case_key=key,
            solo=case.solo,
            warmup=case.warmup,
            failure=case.failure,
            rounds=tuple(sorted(case.rounds, key=lambda item: item.start_ns)),
            idle=_idle_around(case.rounds, idle),
            health=tuple(health),
            finished=finished,
            lost=(*lost, *case.lost),
            sensor_lost=sensor_lost,
        )
        for key, case in gathered.items()
    }


def _add(case: _Gathered, kind: str, record: dict[str, Any]) -> None:
    if kind == "round":
        case.rounds.append(_round(record))
    elif kind == "solo":
        for check in (memory_stats, load_stats, parity):
            check(record)
        case.solo = record
    elif kind == "warmup":
        case.warmup = record
    else:
        case.failure = record


def _round(record: dict[str, Any]) -> Round:
    durations_ns = np.asarray(record["durations_ns"], dtype=np.int64)
    if durations_ns.ndim != 1 or durations_ns.size == 0 or durations_ns.min() <= 0:
        raise ValueError("durations_ns holds no positive times")
    kind = record["type"]
    if kind not in ("latency", "energy"):
        raise ValueError(f"unknown type {kind!r}")
    window = record.get("window_ns")
    trace = record.get("trace")
    background = record.get("background")
    return Round(
        index=int(record["index"]),
        kind=kind,
        start_ns=int(record["start_ns"]),
        durations_ns=durations_ns,
        window_ns=None if window is None else _window(window),
        trace=None if trace is None else _trace(trace),
        background=None if background is None else float(background),
    )


def _idle_line(record: dict[str, Any]) -> IdleLine:
    if record["where"] not in ("before", "after"):
        raise ValueError(f"unknown place {record['where']!r}")
    return IdleLine(record["where"], _window(record["window_ns"]), _trace(record["trace"]))


def _window(pair: Any) -> tuple[int, int]:
    start_ns, end_ns = (int(edge) for edge in pair)
    if end_ns <= start_ns:
        raise ValueError("window_ns ends before it starts")
    return start_ns, end_ns


def _trace(document: dict[str, Any]) -> PowerTrace:
    channels = tuple(str(name) for name in document["channels"])
    if document["unit"] not in ("W", "J"):
        raise ValueError(f"unknown unit {document['unit']!r}")
    t_before_ns = np.asarray(document["t_before_ns"], dtype=np.int64)
    t_after_ns = np.asarray(document["t_after_ns"], dtype=np.int64)
    # numpy turns null (a failed read) into NaN.
    values = np.asarray(document["values"], dtype=np.float64).reshape(-1, len(channels))
    if not t_before_ns.shape == t_after_ns.shape == (len(values),):
        raise ValueError("the columns of the trace differ in length")
    return PowerTrace(channels, document["unit"], t_before_ns, t_after_ns, values)


def _idle_around(rounds: Sequence[Round], idle: Sequence[IdleLine]) -> tuple[IdleLine, ...]:
    """Return the last idle line before and the first after the rounds (of those there are)."""
    if not rounds:
        return ()
    first_ns = min(item.start_ns for item in rounds)
    last_ns = max(item.start_ns + int(item.durations_ns.sum()) for item in rounds)
    before = [line for line in idle if line.where == "before" and line.window_ns[1] <= first_ns]
    after = [line for line in idle if line.where == "after" and line.window_ns[0] >= last_ns]
    nearest: list[IdleLine] = []
    if before:
        nearest.append(max(before, key=lambda line: line.window_ns[1]))
    if after:
        nearest.append(min(after, key=lambda line: line.window_ns[0]))
    return tuple(nearest)


def _describe(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return str(error)
