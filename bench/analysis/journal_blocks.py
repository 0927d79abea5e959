"""Single journal records with raw samples: rounds, idle lines, load steps.

Each function raises KeyError, TypeError or ValueError when a record is not what it should be.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.recordings import IdleLine, LoadStep, PowerTrace, Round

ROUND_KINDS = ("latency", "energy", "sustain")


def read_round(record: dict[str, Any], throttled: dict[str, int] | None) -> Round:
    """Return a ``round``; ``throttled``: what throttled the board since the reading before it."""
    durations_ns = np.asarray(record["durations_ns"], dtype=np.int64)
    if durations_ns.ndim != 1 or durations_ns.size == 0 or durations_ns.min() <= 0:
        raise ValueError("durations_ns holds no positive times")
    kind = record["type"]
    if kind not in ROUND_KINDS:
        raise ValueError(f"unknown type {kind!r}")
    window, trace = record.get("window_ns"), record.get("trace")
    background = record.get("background")
    return Round(
        index=int(record["index"]),
        kind=kind,
        start_ns=int(record["start_ns"]),
        durations_ns=durations_ns,
        window_ns=None if window is None else _window(window),
        trace=None if trace is None else _trace(trace),
        background=None if background is None else float(background),
        load=int(record.get("load") or 0),
        arrivals_ns=_arrivals_ns(record.get("arrivals_ns"), durations_ns.size),
        health=record.get("health"),
        throttled=throttled,
    )


def read_idle(record: dict[str, Any]) -> IdleLine:
    """Return an ``idle`` line."""
    if record["where"] not in ("before", "after"):
        raise ValueError(f"unknown place {record['where']!r}")
    cases = tuple(str(key) for key in record.get("cases") or ())
    return IdleLine(record["where"], _window(record["window_ns"]), _trace(record["trace"]), cases)


def read_step(record: dict[str, Any]) -> LoadStep:
    """Return a ``step`` of load."""
    return LoadStep(int(record["onset_ns"]), _window(record["window_ns"]), _trace(record["trace"]))


def _arrivals_ns(values: Any, count: int) -> NDArray[np.int64] | None:
    if values is None:
        return None
    arrivals_ns = np.asarray(values, dtype=np.int64)
    if arrivals_ns.shape != (count,) or (np.diff(arrivals_ns) < 0).any():
        raise ValueError("arrivals_ns does not rise, or not one per inference")
    return arrivals_ns


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
