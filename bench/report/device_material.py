"""What the charts of a device are drawn from: its cases and, when they are needed, raw samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.agent import wire
from bench.analysis.journal import recordings
from bench.errors import StoreError
from bench.recordings import Recording
from bench.report.rows import Row
from bench.store.jobs import Job
from bench.store.raw import LatencySamples, PowerSegment
from bench.store.reader import Run

Raw = TypeVar("Raw")


@dataclass(frozen=True)
class DeviceMaterial:
    """The cases of a device; ``where``: its name and, when there is only one, that of the model.

    ``run``: where raw samples are read from; ``None`` for cases of several runs, which have none
    here. What cannot be read is added to ``problems``, in words, and does not end the report.
    """

    where: str
    rows: tuple[Row, ...]
    run: Run | None = None
    problems: list[str] = field(default_factory=list)

    @cached_property
    def samples(self) -> dict[str, LatencySamples]:
        """Every inference by trial id."""
        return self._read(Run.latency)

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
        return self._read(Run.power)

    @cached_property
    def meter(self) -> dict[str, tuple[PowerSegment, ...]]:
        """Power traces of an external meter by trial id."""
        return self._read(Run.meter)

    @cached_property
    def markers(self) -> tuple[tuple[int, NDArray[np.int64]], ...]:
        """Load that was played for an external meter: ``(attempt, edges in ns of the board)``."""
        found = []
        for job in self._jobs():
            if job.facts.meter is not None:
                for recording in self._recorded(job)[:1]:
                    found += [(job.facts.attempt, mark.edges_ns) for mark in recording.markers]
        return tuple(found)

    def _jobs(self) -> list[Job]:
        devices = {row.case.device for row in self.rows}
        jobs = () if self.run is None else self.run.jobs
        return [job for job in jobs if job.facts.device in devices]

    def _recorded(self, job: Job) -> list[Recording]:
        """Return what the journal of a job holds, of all its cases."""
        try:
            records, unread = wire.decode_records(job.journal())
            return list(recordings(records, unread, list(job.facts.artifacts)).values())
        except StoreError as error:
            self.problems.append(f"{job.journal_path}: {error}")
            return []

    def _read(self, read: Callable[[Run, str], Raw | None]) -> dict[str, Raw]:
        found = {}
        for row in self.rows:
            if row.trial is None or self.run is None:
                continue
            try:
                raw = read(self.run, row.trial.trial_id)
            except StoreError as error:
                self.problems.append(str(error))
                continue
            if raw:
                found[row.trial.trial_id] = raw
        return found
