"""How the fuzz tests of the everyday suite run, and how they change documents."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, settings

from bench.records.power import PowerSource
from bench.records.status import Source

POWER = PowerSource(
    sensor="ina3221",
    source=Source.MEASURED,
    scope="module",
    total=("VDD_IN",),
    channels=("VDD_IN", "VDD_CPU"),
    unit="W",
    lag_s=0.05,
    resolution_w=0.04,
    gain_error=0.05,
)
"""What the recorded journal was measured with."""


def fuzz(examples: int) -> settings:
    """Settings for ``examples`` inputs that are the same everywhere, so that a failure is one of
    the change at hand; machines are slow and busy, so nothing is said about time."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.function_scoped_fixture,
        ],
    )


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths (keys and indices) of all values inside nested JSON, the outermost left out."""
    found = [path] if path else []
    if isinstance(value, dict):
        inner = list(value.items())
    else:
        inner = list(enumerate(value)) if isinstance(value, list) else []
    for key, part in inner:
        found += places(part, (*path, key))
    return found


def with_value(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of nested JSON with another value at a place."""
    changed = copy.deepcopy(document)
    parent = changed
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    return changed
