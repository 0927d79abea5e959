"""Single journal records with raw samples: rounds, idle lines, load steps, load markers.

A record that is not what it should be raises ValueError (KeyError for a missing field). What comes
through is what the analysis may rely on: whole nanoseconds of a running clock, times that rise,
windows that overlap the load, no block longer than ten days, so that seconds since its start keep
their nanoseconds in a float.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.analysis.journal_shapes import round_health
from bench.analysis.times import load_end_ns
from bench.records.bounded import LATEST_NS
from bench.records.recordings import IdleLine, LoadStep, Marker, PowerTrace, Round

ROUND_KINDS = ("latency", "energy", "sustain")

LONGEST_NS = 10 * 86_400 * 1_000_000_000

MAX_CHANNELS = 256
MAX_NAME = 200

_LARGEST_READING = 1e12
"""Watts or joules (a year of 30 kW) that cannot be: such a reading counts as failed."""

Window = tuple[int, int]


def read_round(record: dict[str, Any], problems: list[str]) -> Round:
    """Return a ``round``; what it can do without (health, background, copies and computation, the
    power of a sustained load) and is not as it should be is left out and described in
    ``problems``."""
    kind = record["type"]
    if kind not in ROUND_KINDS:
        raise ValueError("it has an unknown type")
    start_ns = _integer(record["start_ns"], "start_ns", LATEST_NS)
    durations_ns = _durations_ns(record["durations_ns"])
    item = Round(
        index=_integer(record["index"], "index", 1 << 30),
        kind=kind,
        start_ns=start_ns,
        durations_ns=durations_ns,
        load=_integer(record.get("load") or 0, "load", 1 << 30),
        arrivals_ns=_arrivals_ns(record.get("arrivals_ns"), start_ns, durations_ns),
    )
    fields: dict[str, Any] = {}
    try:
        fields["window_ns"], fields["trace"] = _power(record, (start_ns, load_end_ns(item)))
    except (KeyError, ValueError) as error:
        if kind == "energy":
            raise
        problems.append(f"no power: {describe(error)}")
    part = functools.partial(_part_ns, whole_ns=durations_ns)
    readers: dict[str, Callable[[Any], Any]] = {
        "background": _share,
        "health": round_health,
        "copy_ns": part,
        "compute_ns": part,
    }
    for name, read in readers.items():
        try:
            fields[name] = read(record.get(name))
        except ValueError as error:
            problems.append(f"no {name}: {error}")
    return Round(
        index=item.index,
        kind=kind,
        start_ns=start_ns,
        durations_ns=durations_ns,
        load=item.load,
        arrivals_ns=item.arrivals_ns,
        **fields,
    )


def read_idle(record: dict[str, Any]) -> IdleLine:
    """Return an ``idle`` line."""
    if record["where"] not in ("before", "after"):
        raise ValueError("it is neither before nor after")
    cases = record.get("cases") or []
    if not isinstance(cases, list) or not all(isinstance(key, str) for key in cases):
        raise ValueError("cases is no list of names")
    window = _window(record["window_ns"])
    trace = None if record["trace"] is None else _trace(record["trace"], window)
    return IdleLine(record["where"], window, trace, tuple(cases))


def read_marker(record: dict[str, Any]) -> Marker:
    """Return a ``marker``: a group of load markers that was played."""
    if record["where"] not in ("before", "after"):
        raise ValueError("it is neither before nor after")
    window = _window(record["window_ns"])
    edges_ns = _integers(record["edges_ns"], "edges_ns")
    if edges_ns.size < 2 or edges_ns.size % 2 or (np.diff(edges_ns) <= 0).any():
        raise ValueError("edges_ns is no load that sets in and ends")
    if edges_ns[0] < window[0] or edges_ns[-1] > window[1]:
        raise ValueError("edges_ns lie outside window_ns")
    return Marker(record["where"], edges_ns, window)


def read_step(record: dict[str, Any]) -> LoadStep:
    """Return a ``step`` of load."""
    window = _window(record["window_ns"])
    onset_ns = _integer(record["onset_ns"], "onset_ns", LATEST_NS)
    if not window[0] <= onset_ns <= window[1]:
        raise ValueError("onset_ns lies outside window_ns")
    return LoadStep(onset_ns, window, _trace(record["trace"], window))


def describe(error: Exception) -> str:
    """Return what is wrong with a record, in words."""
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)


def _power(record: dict[str, Any], load_ns: Window) -> tuple[Window | None, PowerTrace | None]:
    """Return window and trace of a round whose inferences ran over ``load_ns``."""
    window = None if record.get("window_ns") is None else _window(record["window_ns"])
    if window is not None and not _overlap(window, load_ns):
        raise ValueError("window_ns lies outside the round")
    if record.get("trace") is None:
        return window, None
    return window, _trace(record["trace"], window or load_ns)


def _durations_ns(values: Any) -> NDArray[np.int64]:
    durations_ns = _integers(values, "durations_ns")
    if durations_ns.size == 0 or durations_ns.min() <= 0:
        raise ValueError("durations_ns holds no positive times")
    if durations_ns.sum(dtype=np.float64) > LONGEST_NS:
        raise ValueError("durations_ns add up to more than ten days")
    return durations_ns


def _part_ns(values: Any, whole_ns: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return what some part of each inference took."""
    if values is None:
        return None
    part_ns = _integers(values, "the list")
    if part_ns.shape != whole_ns.shape:
        raise ValueError("it has not one time per inference")
    if part_ns.sum(dtype=np.float64) > LONGEST_NS:
        raise ValueError("it adds up to more than ten days")
    return part_ns


def _arrivals_ns(
    values: Any, start_ns: int, durations_ns: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    if values is None:
        return None
    arrivals_ns = _integers(values, "arrivals_ns")
    if arrivals_ns.shape != durations_ns.shape or (np.diff(arrivals_ns) < 0).any():
        raise ValueError("arrivals_ns does not rise, or not one per inference")
    if max(abs(arrivals_ns[0] - start_ns), arrivals_ns[-1] - arrivals_ns[0]) > LONGEST_NS:
        raise ValueError("arrivals_ns are days away from the round")
    if (np.diff(arrivals_ns + durations_ns) < 0).any():
        raise ValueError("an inference ended before the one that was served before it")
    return arrivals_ns


def _share(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError("it is no share between 0 and 1")
    return float(value)


def _integer(value: Any, name: str, largest: int) -> int:
    if type(value) is not int or not 0 <= value <= largest:
        raise ValueError(f"{name} is no whole number from 0 to {largest}")
    return value


def _integers(values: Any, name: str) -> NDArray[np.int64]:
    """Return a list of nanoseconds as an array (1-d)."""
    if not isinstance(values, list):
        raise ValueError(f"{name} is no list")
    # Nothing is converted: "12" and 1.5 are no nanoseconds, and null is not 0.
    if not all(type(value) is int and 0 <= value <= LATEST_NS for value in values):
        raise ValueError(f"{name} holds something else than whole nanoseconds")
    return np.asarray(values, dtype=np.int64)


def _window(pair: Any) -> Window:
    edges_ns = _integers(pair, "window_ns")
    if edges_ns.size != 2:
        raise ValueError("window_ns has not two edges")
    start_ns, end_ns = (int(edge) for edge in edges_ns)
    if end_ns <= start_ns:
        raise ValueError("window_ns ends before it starts")
    if end_ns - start_ns > LONGEST_NS:
        raise ValueError("window_ns is longer than ten days")
    return start_ns, end_ns


def _overlap(one: Window, two: Window) -> bool:
    return one[0] < two[1] and two[0] < one[1]


def _trace(document: Any, window: Window) -> PowerTrace:
    """Return a trace that was taken over ``window``."""
    if not isinstance(document, dict):
        raise ValueError("trace is no object")
    channels = document["channels"]
    if not isinstance(channels, list) or not 0 < len(channels) <= MAX_CHANNELS:
        raise ValueError("the trace has no channels, or too many")
    if not all(isinstance(name, str) and len(name) <= MAX_NAME for name in channels):
        raise ValueError("the trace has a channel without a proper name")
    if len(set(channels)) < len(channels):
        raise ValueError("the trace has two channels of one name")
    if document["unit"] not in ("W", "J"):
        raise ValueError("the trace has an unknown unit")
    t_before_ns = _integers(document["t_before_ns"], "t_before_ns")
    t_after_ns = _integers(document["t_after_ns"], "t_after_ns")
    values = _readings(document["values"], len(channels))
    if not t_before_ns.shape == t_after_ns.shape == (len(values),):
        raise ValueError("the columns of the trace differ in length")
    if len(values) == 0:
        raise ValueError("the trace holds no readings")
    rises = (np.diff(t_before_ns) > 0).all() and (t_before_ns[1:] >= t_after_ns[:-1]).all()
    if not rises or (t_after_ns < t_before_ns).any():
        raise ValueError("the trace goes back in time")
    first_ns, last_ns = min(window[0], int(t_before_ns[0])), max(window[1], int(t_after_ns[-1]))
    if last_ns - first_ns > LONGEST_NS:
        raise ValueError("the trace lies days away from its window")
    return PowerTrace(tuple(channels), document["unit"], t_before_ns, t_after_ns, values)


def _readings(rows: Any, channels: int) -> NDArray[np.float64]:
    """Return readings of shape (samples, channels); a failed read (null) is NaN."""
    if not isinstance(rows, list | tuple) or not all(
        isinstance(row, list) and len(row) == channels for row in rows
    ):
        raise ValueError("the rows of the trace differ from its channels")
    if not all(type(value) in (int, float, type(None)) for row in rows for value in row):
        raise ValueError("the trace holds something else than numbers")
    try:
        values = np.asarray(rows, dtype=np.float64).reshape(-1, channels)
    except OverflowError:
        raise ValueError("the trace holds a number that is too large") from None
    values[~(np.abs(values) <= _LARGEST_READING)] = np.nan
    return values
