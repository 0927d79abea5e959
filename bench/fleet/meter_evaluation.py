"""From the meter of a job to what it says of each case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.analysis.calibration import cross_calibration
from bench.analysis.marker_search import Misaligned
from bench.analysis.metered import MeterTrace, metered, place, seen_by, unaligned
from bench.errors import StoreError
from bench.records.case import Case
from bench.records.job import JobFacts
from bench.records.power import Metered, SensorCalibration
from bench.records.procedure import Procedure
from bench.records.recordings import Recording
from bench.records.status import Status
from bench.records.trial import Trial
from bench.store.meters import read_meter


@dataclass(frozen=True, slots=True)
class JobMeter:
    """The meter of a job: on the board's clock, or why it is not."""

    trace: MeterTrace | None
    problem: str
    calibration: SensorCalibration | None = None

    def of(
        self, recording: Recording, case: Case, procedure: Procedure, trial: Trial
    ) -> tuple[Metered, Recording | None]:
        """Return what the meter says of a case, with its readings in place of the sensor's."""
        if self.trace is None:
            return unaligned(self.problem), None
        failed = trial.latency_status if trial.latency_status.status is Status.FAILED else None
        seen = seen_by(recording, self.trace)
        return metered(seen, case, procedure, self.trace, failed, self.calibration), seen


def job_meter(
    run: Path, facts: JobFacts, recorded: Mapping[str, Recording], lag_s: float | None
) -> JobMeter | None:
    """Return the meter of a job, ``None`` where none was attached.

    ``lag_s``: time constant of the board's sensor, as its own figures have it.
    """
    if facts.meter is None:
        return None
    try:
        found = read_meter(run, facts.job_id)
        markers = next(iter(recorded.values())).markers
        trace = place(found.readings, markers, facts.meter, found.lost)
    except (Misaligned, StoreError) as error:
        return JobMeter(None, str(error))
    calibration = cross_calibration(recorded.values(), facts.power, lag_s, trace)
    return JobMeter(trace, "", calibration)
