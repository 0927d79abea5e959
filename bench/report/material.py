"""What charts and the page are drawn of: cases and, when they are needed, raw samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.agent import wire
from bench.analysis.journal import recordings
from bench.errors import StoreError
from bench.records.recordings import Recording
from bench.records.trial import Trial
from bench.report import format as fmt
from bench.report.health import HealthPoint, health_points
from bench.report.power_traces import Trace, meter_traces, power_traces
from bench.report.rows import Row, common_model, rows_of_runs
from bench.store.jobs import Job
from bench.store.raw import LatencySamples, PowerSegment
from bench.store.reader import Run

_Raw = TypeVar("_Raw")

_MOST_IDS = 5
"""Trials that are named in one line; more are counted."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What the journal of a job has beside raw samples; ``name``: the device's, in charts.

    ``edges_ns``: of each load that was played for an external meter.
    """

    name: str
    attempt: int
    health: tuple[HealthPoint, ...]
    edges_ns: tuple[NDArray[np.int64], ...]


@dataclass(frozen=True)
class Material:
    """The cases of one chart or more; raw samples are read when they are asked for.

    ``where``: what they have in common, in words. ``runs``: where raw samples are read from;
    without any there are none. What cannot be read is added to ``problems``, in words.
    """

    where: str
    rows: tuple[Row, ...]
    runs: tuple[Run, ...] = ()
    problems: list[str] = field(default_factory=list)

    @cached_property
    def samples(self) -> dict[str, LatencySamples]:
        """Every inference by trial id."""
        return self._read(Run.latency, "inferences", lambda trial: trial.latency)

    @cached_property
    def samples_s(self) -> dict[str, NDArray[np.float64]]:
        """Durations of the inferences outside of energy rounds, by trial id."""
        found = {}
        for trial_id, samples in self.samples.items():
            timed = samples.kind != "energy"
            if timed.any():
                found[trial_id] = samples.duration_ns[timed] * 1e-9
        return found

    @cached_property
    def segments(self) -> dict[str, tuple[PowerSegment, ...]]:
        """Power traces of the board's sensor by trial id."""
        return self._read(Run.power, "power readings", lambda trial: trial.energy)

    @cached_property
    def meter(self) -> dict[str, tuple[PowerSegment, ...]]:
        """Power traces of an external meter by trial id."""
        return self._read(
            Run.meter, "readings by the meter", lambda trial: trial.meter and trial.meter.energy
        )

    @cached_property
    def power(self) -> tuple[Trace, ...]:
        """Power by the boards' sensors, as charts draw it."""
        return power_traces(self.rows, self.segments)

    @cached_property
    def metered(self) -> tuple[Trace, ...]:
        """Power by an external meter, as charts draw it."""
        return meter_traces(self.rows, self.meter)

    @cached_property
    def markers(self) -> tuple[tuple[int, NDArray[np.int64]], ...]:
        """Load that was played for an external meter: ``(attempt, edges in ns of the board)``."""
        return tuple((told.attempt, edges_ns) for told in self._told for edges_ns in told.edges_ns)

    @cached_property
    def health(self) -> dict[str, tuple[HealthPoint, ...]]:
        """What boards told of themselves, by device, with the run where there are several."""
        return {told.name: told.health for told in self._told if told.health}

    @cached_property
    def _told(self) -> tuple[_Told, ...]:
        """What journals have beside the samples that lie in files of their own; of large journals
        that is little, and decoding them takes long."""
        devices = {row.case.device for row in self.rows}
        found = []
        for run in self.runs:
            for job in run.jobs:
                if job.facts.device not in devices:
                    continue
                name = job.facts.device
                if len(self.runs) > 1:
                    name += f" ({run.manifest.run_id})"
                if job.facts.attempt:
                    name += f", resumed {job.facts.attempt}"
                recorded = self._recorded(job)
                metered = recorded[:1] if job.facts.meter is not None else ()
                edges_ns = tuple(mark.edges_ns for item in metered for mark in item.markers)
                found.append(_Told(name, job.facts.attempt, health_points(recorded), edges_ns))
        return tuple(found)

    def _recorded(self, job: Job) -> list[Recording]:
        """Return what the journal of a job holds, of all its cases."""
        try:
            records, unread = wire.decode_records(job.journal())
            return list(recordings(records, unread, list(job.facts.artifacts)).values())
        except StoreError as error:
            self.problems.append(f"{job.journal_path}: {error}")
            return []

    def _read(
        self,
        read: Callable[[Run, str], _Raw | None],
        name: str,
        figure: Callable[[Trial], object],
    ) -> dict[str, _Raw]:
        """Return raw samples by trial id. ``figure``: what cannot be without any; where it is, they
        are gone."""
        by_id = {run.manifest.run_id: run for run in self.runs}
        found = {}
        gone: dict[str, list[str]] = {}
        for row in self.rows:
            if row.trial is None or row.trial.run_id not in by_id:
                continue
            own_id = row.trial.trial_id.removeprefix(f"{row.trial.run_id}/")
            try:
                raw = read(by_id[row.trial.run_id], own_id)
            except StoreError as error:
                self.problems.append(str(error))
                continue
            if raw:
                found[row.trial.trial_id] = raw
            elif figure(row.trial):
                gone.setdefault(row.trial.run_id, []).append(own_id)
        for run_id, ids in gone.items():
            those = ", ".join(ids) if len(ids) <= _MOST_IDS else f"{len(ids)} trials"
            self.problems.append(
                f"the {name} of {those} are gone from {by_id[run_id].path.name}/raw: charts of "
                "them are left out, figures stay"
            )
        return found


def material_of(runs: Sequence[Run]) -> Material:
    """Return all cases of all runs."""
    rows = rows_of_runs(runs)
    return Material(title_of((row.case.device for row in rows), rows), rows, tuple(runs))


def title_of(devices: Iterable[str], rows: Sequence[Row]) -> str:
    """Return the devices and, when there is only one, the model."""
    names = ", ".join(dict.fromkeys(map(fmt.plain, devices)))
    return " · ".join(filter(None, (names, common_model(rows))))
