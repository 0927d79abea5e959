"""Percentiles per case over every inference of many runs, computed by DuckDB over the raw files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import duckdb

from bench.errors import StoreError
from bench.records.case import Case
from bench.records.manifest import Manifest
from bench.records.procedure import Scenario
from bench.records.status import Status
from bench.store import raw
from bench.store.documents import first_line
from bench.store.gathering import Measured, with_samples

SHARES = (0.5, 0.9, 0.95, 0.99, 0.999)
FEWEST_BEYOND = 10
"""Inferences that must lie beyond a percentile, or it is not told."""

_QUERY = """
    SELECT count(*), count(duration_ns), min(duration_ns), max(duration_ns), avg(duration_ns),
           quantile_cont(duration_ns, ?)
    FROM read_parquet(?, hive_partitioning = false)
    WHERE kind = 'latency'
"""


@dataclass(frozen=True, slots=True)
class CasePercentiles:
    """All inferences of a case in latency rounds, pooled over ``runs`` runs.

    ``scenario``: in words, since a time in a queue is another quantity. ``percentiles_s``: by share
    (:data:`SHARES`), ``None`` where fewer than :data:`FEWEST_BEYOND` inferences lie beyond it.
    ``not_valid``: trials among them whose latency is not valid. There are no intervals: runs differ
    by more than their samples show.
    """

    case: Case
    scenario: str
    runs: int
    samples: int
    not_valid: int
    mean_s: float
    min_s: float
    max_s: float
    percentiles_s: dict[float, float | None]


@dataclass(frozen=True, slots=True)
class _Part:
    path: Path
    is_valid: bool


class _Figures(NamedTuple):
    """The columns of the query, in its order; all but the counts are ``None`` without samples."""

    samples: int
    filled: int
    min_ns: int
    max_ns: int
    mean_ns: float
    quantiles_ns: list[float]


def case_percentiles(
    measured: Iterable[Measured], damaged: Callable[[str], None]
) -> list[CasePercentiles]:
    """Return the percentiles of each case that has inferences, in the order of ``measured``.

    A file that is gone or cannot be read is told to ``damaged`` in one line and left out.
    """
    by_case: dict[tuple[Case, str], list[_Part]] = {}
    for item, path in with_samples(measured, damaged):
        valid = item.trial.latency_status.status is Status.VALID
        key = item.trial.case, _scenario(item.manifest)
        by_case.setdefault(key, []).append(_Part(path, valid))
    # Nothing is fetched from anywhere, whatever a path looks like.
    options: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(config=options) as database:
        found = [_of_case(database, *key, parts, damaged) for key, parts in by_case.items()]
    return [item for item in found if item is not None]


def _scenario(manifest: Manifest) -> str:
    procedure = manifest.procedure
    if procedure.scenario is Scenario.SERVER:
        return f"{procedure.scenario} {procedure.rate_per_s:g}/s"
    return procedure.scenario.value


def _of_case(
    database: duckdb.DuckDBPyConnection,
    case: Case,
    scenario: str,
    parts: list[_Part],
    damaged: Callable[[str], None],
) -> CasePercentiles | None:
    found: _Figures | None = None
    try:
        found = _figures(database, parts)
    except ValueError:
        parts = [part for part in parts if _is_sound(part.path, damaged)]
        try:
            found = _figures(database, parts) if parts else None
        except ValueError as error:
            damaged(f"{case.device}: {case.key} has no percentiles: {error}")
    if found is None or not found.samples:
        return None
    return CasePercentiles(
        case=case,
        scenario=scenario,
        runs=len(parts),
        samples=found.samples,
        not_valid=sum(not part.is_valid for part in parts),
        mean_s=found.mean_ns * 1e-9,
        min_s=found.min_ns * 1e-9,
        max_s=found.max_ns * 1e-9,
        percentiles_s={
            share: value_ns * 1e-9 if _beyond(found.samples, share) >= FEWEST_BEYOND else None
            for share, value_ns in zip(SHARES, found.quantiles_ns, strict=True)
        },
    )


def _beyond(samples: int, share: float) -> int:
    """Return how many samples lie beyond a percentile."""
    return int(round(samples * (1 - share), 6))


def _figures(database: duckdb.DuckDBPyConnection, parts: list[_Part]) -> _Figures:
    """Return what the query finds in all files together.

    Raises:
        ValueError: a file is damaged or holds something else; one line says what.
    """
    paths = [_literally(part.path) for part in parts]
    try:
        row = database.execute(_QUERY, [list(SHARES), paths]).fetchone()
    except duckdb.Error as error:
        raise ValueError(first_line(error)) from error
    assert row is not None
    found = _Figures(*row)
    if found.filled < found.samples or (found.samples and found.min_ns <= 0):
        raise ValueError("an inference has no time")
    return found


def _literally(path: Path) -> str:
    """Return a path in which DuckDB finds no pattern."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path.absolute()))


def _is_sound(path: Path, damaged: Callable[[str], None]) -> bool:
    try:
        raw.read_latency(path)
    except StoreError as error:
        damaged(str(error))
        return False
    return True
