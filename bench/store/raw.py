"""Raw samples as Parquet: every inference and every power reading.

``<trial-id>.latency.parquet``: ``round`` int32, ``kind`` ("latency"|"energy"|"sustain"), ``t_ns``
(start of the inference, or its arrival), ``duration_ns``; where the runtime tells them apart also
``copy_ns`` and ``compute_ns`` (empty for rounds that lack them). ``<trial-id>.power.parquet``:
``where`` ("round-<index>", "idle-before", with several fresh loads also "idle-before-2" and so on,
"idle-after"), ``t_before_ns``, ``t_after_ns``, and one column per channel named ``<channel> [W]``
or ``<channel> [J]``; a failed read is NaN. The schema's metadata holds the key ``bench`` with a
JSON object: the rounds of the one, ``unit``, ``channels`` and ``windows_ns`` of the other. All
times are nanoseconds of the board's CLOCK_MONOTONIC. ``<trial-id>.meter.parquet`` is the same of an
external meter (channel ``meter``), moved onto the board's clock.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field

from bench.errors import StoreError
from bench.json_text import parse_object
from bench.records.base import Record
from bench.records.bounded import Nanoseconds
from bench.records.recordings import IdleLine, PowerTrace, Recording, Round
from bench.store.documents import first_line

_METADATA = b"bench"
_LATENCY_COLUMNS = {
    "round": pa.int32(),
    "kind": pa.string(),
    "t_ns": pa.int64(),
    "duration_ns": pa.int64(),
}
_PART_COLUMNS = ("copy_ns", "compute_ns")
"""Columns that only some runtimes have."""
_TIME_COLUMNS = {"where": pa.string(), "t_before_ns": pa.int64(), "t_after_ns": pa.int64()}


class _PowerFacts(Record):
    """The metadata of power traces."""

    unit: Literal["W", "J"]
    channels: Annotated[tuple[str, ...], Field(min_length=1)]
    windows_ns: dict[str, tuple[Nanoseconds, Nanoseconds]]


@dataclass(frozen=True, slots=True)
class LatencySamples:
    """Every inference of a trial in order; the arrays have one entry per inference.

    ``copy_ns`` and ``compute_ns`` are NaN where the runtime did not tell, ``None`` where it never
    did.
    """

    round: NDArray[np.int32]
    kind: NDArray[np.str_]
    t_ns: NDArray[np.int64]
    duration_ns: NDArray[np.int64]
    copy_ns: NDArray[np.float64] | None = None
    compute_ns: NDArray[np.float64] | None = None


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


def meter_path(run: Path, trial_id: str) -> Path:
    """Return where a trial's readings of an external meter lie, on the board's clock."""
    return run / "raw" / f"{trial_id}.meter.parquet"


def encode_latency(rounds: Sequence[Round]) -> bytes:
    """Return the Parquet file of the inferences of all rounds."""
    starts = [_starts_ns(item) for item in rounds]
    sizes = [item.durations_ns.size for item in rounds]
    columns = {
        "round": np.repeat(np.array([item.index for item in rounds], dtype=np.int32), sizes),
        "kind": pa.array(np.repeat([item.kind for item in rounds], sizes), pa.string()),
        "t_ns": np.concatenate(starts).astype(np.int64),
        "duration_ns": np.concatenate([item.durations_ns for item in rounds]),
        **_parts(rounds),
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


def _parts(rounds: Sequence[Round]) -> dict[str, Any]:
    """Return the columns of what parts of the inferences took, as far as any round has them."""
    columns = {}
    for name in _PART_COLUMNS:
        found = [getattr(item, name) for item in rounds]
        if any(part_ns is not None for part_ns in found):
            columns[name] = pa.concat_arrays(
                [
                    pa.nulls(item.durations_ns.size, pa.int64())
                    if part_ns is None
                    else pa.array(part_ns, pa.int64())
                    for item, part_ns in zip(rounds, found, strict=True)
                ]
            )
    return columns


def _starts_ns(item: Round) -> NDArray[np.int64]:
    """Return from when on each duration counts: from the arrival, where there was one."""
    if item.arrivals_ns is not None:
        return item.arrivals_ns
    return item.start_ns + np.cumsum(item.durations_ns) - item.durations_ns


def segments(recording: Recording) -> tuple[PowerSegment, ...]:
    """Return the power traces of a recording, in order of time, each with a name of its own."""
    found = _idle_segments(recording.idle)
    found += [
        PowerSegment(f"round-{item.index}", item.window_ns, item.trace)
        for item in recording.rounds
        if item.trace is not None and item.window_ns is not None
    ]
    return tuple(sorted(found, key=lambda segment: segment.window_ns))


def _idle_segments(idle: Sequence[IdleLine]) -> list[PowerSegment]:
    """Each fresh load of the workers has an idle line before its rounds."""
    seen: Counter[str] = Counter()
    found = []
    for line in sorted(idle, key=lambda line: line.window_ns):
        if line.trace is None:
            continue
        seen[line.where] += 1
        again = f"-{seen[line.where]}" if seen[line.where] > 1 else ""
        found.append(PowerSegment(f"idle-{line.where}{again}", line.window_ns, line.trace))
    return found


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


def read_latency(path: Path) -> Any:
    """Return the inferences in a file as a table, ``None`` when there is no such file.

    Raises:
        StoreError: the file cannot be read, or holds something else.
    """
    table = _decode(path)
    if table is None:
        return None
    with _told(path):
        parts = {name: pa.int64() for name in _PART_COLUMNS if name in table.column_names}
        found = _columns(table, _LATENCY_COLUMNS)
        if found.num_rows and pc.min(found["duration_ns"]).as_py() <= 0:
            raise ValueError("an inference took no time")
        for name, kind in parts.items():
            found = found.append_column(name, table[name].cast(kind))
        return found


def decode_latency(path: Path) -> LatencySamples | None:
    """Return the inferences in a file, ``None`` when there is no such file.

    Raises:
        StoreError: the file cannot be read, or holds something else.
    """
    table = read_latency(path)
    if table is None:
        return None
    with _told(path):
        parts = {
            name: table[name].cast(pa.float64()).to_numpy()
            for name in _PART_COLUMNS
            if name in table.column_names
        }
    return LatencySamples(
        round=table["round"].to_numpy(),
        kind=np.asarray(table["kind"].to_pylist(), dtype=np.str_),
        t_ns=table["t_ns"].to_numpy(),
        duration_ns=table["duration_ns"].to_numpy(),
        **parts,
    )


def decode_power(path: Path) -> tuple[PowerSegment, ...]:
    """Return the power traces in a file in order of time, none when there is no such file.

    Raises:
        StoreError: the file cannot be read, or holds something else.
    """
    table = _decode(path)
    if table is None:
        return ()
    with _told(path):
        facts = _PowerFacts.model_validate(parse_object(table.schema.metadata[_METADATA]))
        names = [f"{channel} [{facts.unit}]" for channel in facts.channels]
        table = _columns(table, {**_TIME_COLUMNS, **dict.fromkeys(names, pa.float64())})
        where = np.asarray(table["where"].to_pylist(), dtype=np.str_)
        values = np.column_stack([table[name].to_numpy() for name in names])
        t_before_ns, t_after_ns = (table[name].to_numpy() for name in ("t_before_ns", "t_after_ns"))
        found = []
        for place, window_ns in facts.windows_ns.items():
            rows = where == place
            trace = PowerTrace(
                facts.channels, facts.unit, t_before_ns[rows], t_after_ns[rows], values[rows]
            )
            found.append(PowerSegment(place, window_ns, trace))
        return tuple(sorted(found, key=lambda segment: segment.window_ns))


def _encode(table: Any, facts: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    metadata = {_METADATA: json.dumps(facts).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), buffer, compression="zstd")
    return buffer.getvalue()


def _decode(path: Path) -> Any:
    """Return the table in a file, ``None`` when there is no such file."""
    if not path.exists():
        return None
    with _told(path):
        return pq.read_table(path)


def _columns(table: Any, types: dict[str, Any]) -> Any:
    """Return the named columns in the types that they are written in; none has an empty cell."""
    chosen = table.select(list(types)).cast(pa.schema(list(types.items())))
    if any(column.null_count for column in chosen.columns):
        raise ValueError("a cell is empty")
    return chosen


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn whatever is wrong with a file that is read inside into one line.

    Raises:
        StoreError: with that line.
    """
    try:
        yield
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {first_line(error)}") from error
