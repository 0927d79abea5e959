"""Runs as one data set for other programs: a row per trial, or a row per inference.

Files appear whole or not at all. Types are those of the columns, also where a column is empty.
"""

from __future__ import annotations

import contextlib
import json
import stat
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from bench.analysis.column_makers import Kind
from bench.analysis.columns import COLUMNS, row
from bench.errors import ConfigError, StoreError
from bench.spreadsheets import harmless
from bench.store import raw
from bench.store.files import explained, replacing
from bench.store.gathering import Measured, with_samples

FORMATS = ("parquet", "csv", "json")

_TYPES: dict[Kind, Any] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "real": pa.float64(),
    "flag": pa.bool_(),
    "time": pa.timestamp("us", tz="UTC"),
}
TRIAL_SCHEMA = pa.schema([(column.name, _TYPES[column.kind]) for column in COLUMNS])
_REPEATED = (
    "run_id",
    "trial_id",
    "device",
    "model",
    "scheme",
    "weights",
    "runtime",
    "precision",
    "batch",
    "threads",
    "power_mode_asked",
)
"""Columns of a trial that each of its inferences carries."""
SAMPLE_SCHEMA = pa.schema(
    [
        *((name, TRIAL_SCHEMA.field(name).type) for name in _REPEATED),
        ("round", pa.int32()),
        ("kind", pa.string()),
        ("t_ns", pa.int64()),
        ("duration_ns", pa.int64()),
        ("copy_ns", pa.int64()),
        ("compute_ns", pa.int64()),
    ]
)
_ROWS_AT_ONCE = 500_000


def check_target(path: Path) -> None:
    """Make sure that a file can be put there.

    Raises:
        ConfigError: it is a folder or no plain file, or its folder is not there.
    """
    if not path.parent.is_dir():
        raise ConfigError(f"-o {path}: there is no folder {path.parent}; make it first")
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"-o {path}: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "no plain file"
        raise ConfigError(f"-o {path} is {what}; name a file")


def export_trials(measured: Iterable[Measured], style: str, path: Path) -> int:
    """Write a row per trial and return how many there are.

    Raises:
        StoreError: the file cannot be written.
    """
    rows = [row(trial, manifest) for trial, manifest, _ in measured]
    table = pa.Table.from_pylist(rows, schema=TRIAL_SCHEMA)
    with explained("write", path), replacing(path) as file:
        if style == "parquet":
            pq.write_table(table, file, compression="zstd")
        elif style == "csv":
            pyarrow.csv.write_csv(_harmless(table), file)
        else:
            file.write(_as_json(rows))
    return len(rows)


def export_samples(
    measured: Iterable[Measured],
    style: str,
    path: Path,
    damaged: Callable[[str], None],
) -> int:
    """Write a row per inference and return how many there are; memory does not grow with them.

    A file that is gone or cannot be read is told to ``damaged`` in one line and left out.

    Raises:
        StoreError: the file cannot be written.
    """
    rows = 0
    with (
        explained("write", path),
        replacing(path) as file,
        _sample_writer(style, file) as write,
    ):
        waiting: list[Any] = []
        for item, source in with_samples(measured, damaged):
            try:
                found = raw.read_latency(source)
            except StoreError as error:
                damaged(str(error))
                continue
            if found is not None:
                waiting.append(_samples(found, row(item.trial, item.manifest)))
                rows += found.num_rows
            if sum(table.num_rows for table in waiting) >= _ROWS_AT_ONCE:
                write(pa.concat_tables(waiting))
                waiting.clear()
        if waiting:
            write(pa.concat_tables(waiting))
    return rows


def _samples(found: Any, repeated: dict[str, Any]) -> Any:
    """Return the inferences of a trial with the columns that say what they are of."""
    size = found.num_rows
    columns = [
        pa.repeat(pa.scalar(repeated[name], SAMPLE_SCHEMA.field(name).type), size)
        for name in _REPEATED
    ]
    for name in SAMPLE_SCHEMA.names[len(_REPEATED) :]:
        kind = SAMPLE_SCHEMA.field(name).type
        has = name in found.column_names
        columns.append(found[name].cast(kind) if has else pa.nulls(size, kind))
    return pa.table(columns, schema=SAMPLE_SCHEMA)


@contextlib.contextmanager
def _sample_writer(style: str, file: BinaryIO) -> Iterator[Callable[[Any], None]]:
    if style == "parquet":
        with pq.ParquetWriter(file, SAMPLE_SCHEMA, compression="zstd") as writer:
            yield writer.write_table
    else:
        with pyarrow.csv.CSVWriter(file, SAMPLE_SCHEMA) as writer:
            yield lambda table: writer.write_table(_harmless(table))


def _harmless(table: Any) -> Any:
    """Return a table whose texts no spreadsheet takes for a formula: an apostrophe goes before
    those that begin like one."""
    for position, field in enumerate(table.schema):
        if field.type != pa.string():
            continue
        texts = table.column(position).combine_chunks().dictionary_encode()
        if isinstance(texts, pa.ChunkedArray):
            texts = texts.combine_chunks()
        words = texts.dictionary.to_pylist()
        safe = [harmless(word) for word in words]
        if safe != words:
            column = pa.DictionaryArray.from_arrays(texts.indices, pa.array(safe, pa.string()))
            table = table.set_column(position, field, column.cast(pa.string()))
    return table


def _as_json(rows: list[dict[str, Any]]) -> bytes:
    def text(value: datetime) -> str:
        return value.isoformat()

    return json.dumps(rows, ensure_ascii=False, allow_nan=False, indent=1, default=text).encode()
