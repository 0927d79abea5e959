"""What charts of one or several runs are drawn of."""

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
from bench.report import format as fmt
from bench.report.health import HealthPoint, health_points
from bench.report.rows import Row, common_model, rows_of_runs
from bench.store.raw import LatencySamples, PowerSegment
from bench.store.reader import Run

_Raw = TypeVar("_Raw")


@dataclass(frozen=True)
class Material:
    """What charts are drawn of; raw samples are read when they are needed.

    ``problems``: what could not be read, in words.
    """

    runs: tuple[Run, ...]
    problems: list[str] = field(default_factory=list)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """All cases of all runs."""
        return rows_of_runs(self.runs)

    @cached_property
    def where(self) -> str:
        """The devices and, when there is only one, the model."""
        devices = dict.fromkeys(fmt.plain(row.case.device) for row in self.rows)
        return " · ".join(filter(None, (", ".join(devices), common_model(self.rows))))

    @cached_property
    def samples(self) -> dict[str, LatencySamples]:
        """Every inference by trial id."""
        return self._read(Run.latency)

    @cached_property
    def samples_s(self) -> dict[str, NDArray[np.float64]]:
        """Latencies of the latency rounds by trial id."""
        found = {}
        for trial_id, samples in self.samples.items():
            timed = samples.kind != "energy"
            if timed.any():
                found[trial_id] = samples.duration_ns[timed] * 1e-9
        return found

    @cached_property
    def segments(self) -> dict[str, tuple[PowerSegment, ...]]:
        """Power traces by trial id."""
        return self._read(Run.power)

    @cached_property
    def health(self) -> dict[str, tuple[HealthPoint, ...]]:
        """What boards told of themselves, by device, with the run where there are several."""
        found = {}
        for run in self.runs:
            for job in run.jobs:
                try:
                    records, problems = wire.decode_records(job.journal())
                    seen = recordings(records, problems, list(job.facts.artifacts))
                except StoreError as error:
                    self.problems.append(str(error))
                    continue
                name = job.facts.device
                if len(self.runs) > 1:
                    name += f" ({run.manifest.run_id})"
                if job.facts.attempt:
                    name += f", resumed {job.facts.attempt}"
                points = health_points(list(seen.values()))
                if points:
                    found[name] = points
        return found

    def _read(self, read: Callable[[Run, str], _Raw | None]) -> dict[str, _Raw]:
        by_id = {run.manifest.run_id: run for run in self.runs}
        found = {}
        for row in self.rows:
            if row.trial is None or row.trial.run_id not in by_id:
                continue
            own_id = row.trial.trial_id.removeprefix(f"{row.trial.run_id}/")
            try:
                raw = read(by_id[row.trial.run_id], own_id)
            except StoreError as error:
                self.problems.append(str(error))
                continue
            if raw is not None:
                found[row.trial.trial_id] = raw
        return found
