"""What the solo pass of a case says: memory, load time, parity.

All functions take the journal's ``solo`` record or ``None``, return ``None`` where it does not say,
and raise ValueError where it says something else than a number. Memory is read again in every
later load of the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bench.analysis.batches import mean_half_width
from bench.records.artifact import Parity
from bench.records.figures import LoadStats, MemoryStats

MIN_PASSES = 3
"""Loads from which the spread of a memory figure can be told."""
_IMPORT_FIELDS = ("imported_bytes", "load_rise_bytes")
_LOAD_FIELDS = ("steady_rise_bytes", "peak_bytes")


def memory_stats(
    solo: dict[str, Any] | None, loads: Sequence[dict[str, Any]] = ()
) -> MemoryStats | None:
    """Return the worker's memory in bytes, as the mean over the solo pass and the later ``loads``.

    One load does not tell it: the same model was seen to keep up to 13 % more in one process than
    in another, by where the blocks lie that its loading frees.
    """
    values = _fields(solo, (*_IMPORT_FIELDS, *_LOAD_FIELDS))
    if values is None:
        return None
    said = [values, *(found for load in loads if (found := _fields(load, _LOAD_FIELDS)))]
    for name in _LOAD_FIELDS:
        seen = np.array([float(item[name]) for item in said])
        values[name] = round(float(seen.mean()))
        if seen.size >= MIN_PASSES:
            values[name.replace("_bytes", "_half_width_bytes")] = mean_half_width(seen)
    gpu_rise_bytes = (solo or {}).get("gpu_memory_bytes")
    return MemoryStats.model_validate(
        {**values, "passes": len(said), "gpu_rise_bytes": gpu_rise_bytes}
    )


def load_stats(solo: dict[str, Any] | None) -> LoadStats | None:
    """Return the times to load and to the first inference in seconds."""
    values = _fields(solo, LoadStats.model_fields)
    return None if values is None else LoadStats.model_validate(values)


def parity(solo: dict[str, Any] | None) -> Parity | None:
    """Return the comparison of the outputs with the reference outputs."""
    record = (solo or {}).get("parity")
    if record is None:
        return None
    known = {name: record.get(name) for name in Parity.model_fields}
    return Parity.model_validate({**known, "detail": known["detail"] or ""})


def _fields(solo: dict[str, Any] | None, names: Iterable[str]) -> dict[str, Any] | None:
    values = {name: (solo or {}).get(name) for name in names}
    return None if None in values.values() else values
