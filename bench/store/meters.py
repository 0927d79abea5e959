"""What a meter on the host recorded during a job, see :mod:`bench.meters.recorder`."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from bench.errors import StoreError
from bench.records.recordings import MeterReadings
from bench.store.documents import first_line
from bench.store.files import safe_name

_COLUMNS = {"t_ns": pa.int64(), "power_w": pa.float64(), "arrived_ns": pa.int64()}

_LATEST_NS = 1 << 62
"""So that differences fit into 64 bits as well."""


@dataclass(frozen=True, slots=True)
class MeterRecording:
    """``readings`` on the meter's clock; ``lost``: why it gave no more, empty if it held out."""

    readings: MeterReadings
    lost: str


def meter_path(run: Path, job_id: str) -> Path:
    """Return where the readings of a job's meter lie."""
    return run / "meters" / f"{safe_name(job_id)}.csv"


def meter_log_path(run: Path, job_id: str) -> Path:
    """Return where what happened to a job's meter is written."""
    return run / "meters" / f"{safe_name(job_id)}.log"


def read_meter(run: Path, job_id: str) -> MeterRecording:
    """Return what a meter recorded; a last line that was cut short is left out.

    Readings whose clock does not go on are left out: the clock was set back.

    Raises:
        StoreError: the file is missing or holds something else.
    """
    path = meter_path(run, job_id)
    try:
        data = path.read_bytes()
        data = data[: data.rfind(b"\n") + 1]
        options = pyarrow.csv.ConvertOptions(column_types=_COLUMNS)
        table = pyarrow.csv.read_csv(io.BytesIO(data), convert_options=options).select(
            list(_COLUMNS)
        )
        t_ns = table["t_ns"].to_numpy()
        if t_ns.size and not 0 <= t_ns.min() <= t_ns.max() <= _LATEST_NS:
            raise ValueError("it holds a time that cannot be")
        power_w = table["power_w"].to_numpy(zero_copy_only=False).astype(np.float64)
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {first_line(error)}") from error
    so_far_ns = np.maximum.accumulate(t_ns) if t_ns.size else t_ns
    rises = np.concatenate(([True], t_ns[1:] > so_far_ns[:-1]))[: t_ns.size]
    return MeterRecording(
        MeterReadings(t_ns[rises], power_w[rises]), _lost(meter_log_path(run, job_id))
    )


def _lost(path: Path) -> str:
    """Return the last thing that ended a meter, in words; a damaged line says nothing."""
    found = ""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            event = json.loads(line)
            if event["lost"]:
                found = str(event["text"])
        except (ValueError, KeyError, TypeError):
            continue
    return found
