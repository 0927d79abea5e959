"""The raw samples of a device's cases, read for charts; what cannot be read is a named problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.agent import wire
from bench.analysis.journal import recordings
from bench.errors import StoreError
from bench.report.rows import Row
from bench.store.raw import PowerSegment
from bench.store.reader import Run

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Material:
    """What the charts of a device are drawn from.

    By trial id: ``samples_s``, the durations of all inferences in latency rounds; ``segments`` and
    ``meter``, the power traces of the board's sensor and of an external meter. ``markers``: load
    that was played for the meter, as ``(attempt, edges in ns of the board's clock)``. ``where``:
    the device and, when there is only one, the model.
    """

    where: str
    rows: tuple[Row, ...]
    samples_s: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    segments: dict[str, tuple[PowerSegment, ...]] = field(default_factory=dict)
    meter: dict[str, tuple[PowerSegment, ...]] = field(default_factory=dict)
    markers: tuple[tuple[int, NDArray[np.int64]], ...] = ()


def read_material(run: Run, where: str, rows: tuple[Row, ...], problems: list[str]) -> Material:
    """Read the raw samples of these rows; what cannot be read is added to ``problems``."""
    found = Material(where, rows, markers=_markers(run, rows, problems))
    for trial_id in [row.trial.trial_id for row in rows if row.trial is not None]:
        samples = _tried(run.latency, trial_id, problems)
        if samples is not None:
            timed = samples.kind != "energy"
            if timed.any():
                found.samples_s[trial_id] = samples.duration_ns[timed] * 1e-9
        found.segments[trial_id] = _tried(run.power, trial_id, problems) or ()
        found.meter[trial_id] = _tried(run.meter, trial_id, problems) or ()
    return found


def _tried(read: Callable[[str], Found], trial_id: str, problems: list[str]) -> Found | None:
    """What cannot be read is a problem to name, not the end of the report."""
    try:
        return read(trial_id)
    except StoreError as error:
        problems.append(str(error))
        return None


def _markers(
    run: Run, rows: tuple[Row, ...], problems: list[str]
) -> tuple[tuple[int, NDArray[np.int64]], ...]:
    """Return the load markers of a device's jobs; only one with a meter has any."""
    devices = {row.case.device for row in rows}
    found = []
    for job in run.jobs:
        if job.facts.meter is None or job.facts.device not in devices:
            continue
        try:
            records, unread = wire.decode_records(job.journal())
            recorded = recordings(records, unread, list(job.facts.artifacts))
        except StoreError as error:
            problems.append(f"{job.journal_path}: {error}")
            continue
        one = next(iter(recorded.values()), None)
        markers = () if one is None else one.markers
        found += [(job.facts.attempt, marker.edges_ns) for marker in markers]
    return tuple(found)
