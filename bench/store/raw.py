"""Raw samples as Parquet: every inference and every power reading.

``<trial-id>.latency.parquet``: ``round`` int32, ``kind`` ("latency"|"energy"|"sustain"), ``t_ns``
(start of the inference, or its arrival), ``duration_ns``. ``<trial-id>.power.parquet``: ``where``
("round-<index>", "idle-before", "idle-after"), ``t_before_ns``, ``t_after_ns``, and one column per
channel named ``<channel> [W]`` or ``<channel> [J]``; a failed read is NaN. The schema's metadata
holds the key ``bench`` with a JSON object: the rounds of the one, ``unit``, ``channels`` and
``windows_ns`` of the other. All times are nanoseconds of the board's CLOCK_MONOTONIC.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.errors import StoreError
from bench.recordings import PowerTrace, Recording, Round

_METADATA = b"bench"


@dataclass(frozen=True, slots=True)
class LatencySamples:
    """Every inference of a trial in order; the arrays have one entry per inference."""

    round: NDArray[np.int32]
    kind: NDArray[np.str_]
    t_ns: NDArray[np.int64]
    duration_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PowerSegment:
    """One trace: where it was taken (see the module) and the window over which it counts."""

    where: str
    window_ns: tuple[int, int]
    trace: PowerTrace


def latency_path(run: Path, trial_id: str) -> Path:
    """Return where a trial's inferences lie."""
    return run / "raw" / f"{trial_id}.latency.parquet"


def power_path(run: Path, trial_id: str) -> Path:
    """Return where a trial's power readings lie."""
    return run / "raw" / f"{trial_id}.power.parquet"


def encode_latency(rounds: Sequence[Round]) -> bytes:
    """Return the Parquet file of the inferences of all rounds."""
    starts = [_starts_ns(item) for item in rounds]
    sizes = [item.durations_ns.size for item in rounds]
    columns = {
        "round": np.repeat(np.array([item.index for item in rounds], dtype=np.int32), sizes),
        "kind": pa.array(np.repeat([item.kind for item in rounds], sizes), pa.string()),
        "t_ns": np.concatenate(starts).astype(np.int64),
        "duration_ns": np.concatenate([item.durations_ns for item in rounds]),
    }
    facts = [
        {
            "round": item.index,
            "kind": item.kind,
            "start_ns": item.start_ns,
            "window_ns": item.window_ns,
            "background": item.background,
            "load": item.load,
        }
        for item in rounds
    ]
    return _encode(pa.table(columns), {"rounds": facts})


def _starts_ns(item: Round) -> NDArray[np.int64]:
    """Return from when on each duration counts: from the arrival, where there was one."""
    if item.arrivals_ns is not None:
        return item.arrivals_ns
    return item.start_ns + np.cumsum(item.durations_ns) - item.durations_ns


def segments(recording: Recording) -> tuple[PowerSegment, ...]:
    """Return the power traces of a recording, in order of time."""
    found = [
        PowerSegment(f"idle-{line.where}", line.window_ns, line.trace) for line in recording.idle
    ]
    found += [
        PowerSegment(f"round-{item.index}", item.window_ns, item.trace)
        for item in recording.rounds
        if item.trace is not None and item.window_ns is not None
    ]
    return tuple(sorted(found, key=lambda segment: segment.window_ns))


def encode_power(parts: Sequence[PowerSegment]) -> bytes:
    """Return the Parquet file of traces, which must agree in channels and unit.

    Raises:
        StoreError: they do not.
    """
    first = parts[0].trace
    if any(
        (part.trace.channels, part.trace.unit) != (first.channels, first.unit) for part in parts
    ):
        raise StoreError("the power traces of a trial have different channels")
    sizes = [part.trace.t_before_ns.size for part in parts]
    values = np.concatenate([part.trace.values for part in parts])
    columns: dict[str, Any] = {
        "where": pa.array(np.repeat([part.where for part in parts], sizes), pa.string()),
        "t_before_ns": np.concatenate([part.trace.t_before_ns for part in parts]),
        "t_after_ns": np.concatenate([part.trace.t_after_ns for part in parts]),
    }
    for position, channel in enumerate(first.channels):
        columns[f"{channel} [{first.unit}]"] = np.ascontiguousarray(values[:, position])
    facts = {
        "unit": first.unit,
        "channels": first.channels,
        "windows_ns": {part.where: part.window_ns for part in parts},
    }
    return _encode(pa.table(columns), facts)


def decode_latency(path: Path) -> LatencySamples | None:
    """Return the inferences in a file, ``None`` when there is no such file.

    Raises:
        StoreError: the file cannot be read.
    """
    table, _ = _decode(path)
    if table is None:
        return None
    return LatencySamples(
        round=table["round"].to_numpy(),
        kind=np.asarray(table["kind"].to_pylist(), dtype=np.str_),
        t_ns=table["t_ns"].to_numpy(),
        duration_ns=table["duration_ns"].to_numpy(),
    )


def decode_power(path: Path) -> tuple[PowerSegment, ...]:
    """Return the power traces in a file in order of time, none when there is no such file.

    Raises:
        StoreError: the file cannot be read.
    """
    table, facts = _decode(path)
    if table is None:
        return ()
    channels = tuple(facts["channels"])
    where = np.asarray(table["where"].to_pylist(), dtype=np.str_)
    names = [f"{channel} [{facts['unit']}]" for channel in channels]
    values = np.column_stack([table[name].to_numpy() for name in names])
    t_before_ns, t_after_ns = (table[name].to_numpy() for name in ("t_before_ns", "t_after_ns"))
    found = []
    for place, window in facts["windows_ns"].items():
        rows = where == place
        trace = PowerTrace(
            channels, facts["unit"], t_before_ns[rows], t_after_ns[rows], values[rows]
        )
        found.append(PowerSegment(place, (window[0], window[1]), trace))
    return tuple(sorted(found, key=lambda segment: segment.window_ns))


def _encode(table: Any, facts: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    metadata = {_METADATA: json.dumps(facts).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), buffer, compression="zstd")
    return buffer.getvalue()


def _decode(path: Path) -> tuple[Any, dict[str, Any]]:
    try:
        table = pq.read_table(path)
        return table, json.loads(table.schema.metadata[_METADATA])
    except FileNotFoundError:
        return None, {}
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
