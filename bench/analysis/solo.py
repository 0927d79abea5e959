"""What the solo pass of a case says: memory, load time, parity.

All functions take the journal's ``solo`` record or ``None``, return ``None`` where it does not say,
and raise ValueError where it says something else than a number.
"""

from __future__ import annotations

from typing import Any

from bench.figures import LoadStats, MemoryStats, Parity


def memory_stats(solo: dict[str, Any] | None) -> MemoryStats | None:
    """Return the worker's memory in bytes."""
    values = _fields(solo, MemoryStats.model_fields)
    return None if values is None else MemoryStats.model_validate(values)


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


def _fields(solo: dict[str, Any] | None, names: dict[str, Any]) -> dict[str, Any] | None:
    values = {name: (solo or {}).get(name) for name in names}
    return None if None in values.values() else values
