"""Power traces as all charts of power draw them: corrected, each at its time, idle power once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.analysis.trace import power_readings
from bench.records.power import PowerCalibration
from bench.records.status import Source
from bench.records.trial import Trial
from bench.report.rows import Row
from bench.report.thinning import thinned
from bench.store.raw import PowerSegment

IDLE_COLOUR = "#555555"
MOST_POINTS = 1500
"""Readings of a trace in a panel at most."""
_IDLE = "idle before (solid) and after (dotted)"


@dataclass(frozen=True, slots=True)
class Trace:
    """Readings about one window, NaN where one failed.

    ``part``: where it was taken (``round-3``, ``idle-before``), for idle power of the first ``row``
    that it is of. ``at_s``: since the window opened, at ``opened_s`` of the board's clock, for
    ``window_s``. ``metered``: read by an external meter, else by the board's ``source``.
    """

    row: Row
    part: str
    at_s: NDArray[np.float64]
    power_w: NDArray[np.float64]
    opened_s: float
    window_s: float
    metered: bool = False

    @property
    def trial(self) -> Trial:
        """The trial it belongs to."""
        assert self.row.trial is not None
        return self.row.trial

    @property
    def is_round(self) -> bool:
        """Whether the case was running."""
        return _is_round(self.part)

    @property
    def source(self) -> Mapping[str, Any]:
        """Source, scope and sensor: known also where no energy came of the readings."""
        return self.trial.facts["power_source"]

    @property
    def is_estimated(self) -> bool:
        """Whether nothing was measured."""
        return not self.metered and self.source.get("source") == Source.ESTIMATED.value

    @property
    def colour(self) -> str:
        """The colour of its line."""
        return self.row.colour if self.is_round else IDLE_COLOUR

    def in_panel(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return times and powers as a panel of its own draws them: at most :data:`MOST_POINTS`."""
        return thinned(self.at_s, self.power_w, MOST_POINTS // 2)


def power_traces(
    rows: Sequence[Row], segments: Mapping[str, Sequence[PowerSegment]]
) -> tuple[Trace, ...]:
    """Return the readings of the boards' sensors, of rows with any energy round, in their order.

    ``segments``: power traces by trial id. Idle power is shared by all cases of a job and there
    once. Readings of a calibrated sensor are corrected.
    """
    measured = [
        (row, row.trial, segments[row.trial.trial_id])
        for row in rows
        if row.trial
        and "power_source" in row.trial.facts
        and any(_is_round(part.where) for part in segments.get(row.trial.trial_id, ()))
    ]
    # One for all cases of a job; a case may have readings and yet no energy.
    calibrations = {
        _job(trial): trial.energy.calibration for _, trial, _ in measured if trial.energy
    }
    found, seen = [], set()
    for row, trial, parts in measured:
        calibration = calibrations.get(_job(trial))
        for part in parts:
            if not _is_round(part.where):
                line = (*_job(trial), part.window_ns)
                if line in seen:
                    continue
                seen.add(line)
            found.append(_trace(row, part, trial.facts["power_source"]["total"], calibration))
    return tuple(found)


def meter_traces(
    rows: Sequence[Row], segments: Mapping[str, Sequence[PowerSegment]]
) -> tuple[Trace, ...]:
    """Return the readings of an external meter, which nothing corrects."""
    return tuple(
        _trace(row, part, part.trace.channels, None, metered=True)
        for row in rows
        if row.trial and "power_source" in row.trial.facts
        for part in segments.get(row.trial.trial_id, ())
    )


def by_panel(traces: Sequence[Trace]) -> dict[str, list[Trace]]:
    """Return traces by the title of their panel: idle power first, then a panel per case."""
    idle: dict[str, list[Trace]] = {}
    found: dict[str, list[Trace]] = {}
    places = {(trace.trial.run_id, trace.trial.case.device) for trace in traces}
    for trace in traces:
        mark = " (est.)" if trace.is_estimated else ""
        if trace.is_round:
            found.setdefault(f"{trace.row.short}{mark}", []).append(trace)
            continue
        trial = trace.trial
        title = _IDLE if len(places) == 1 else f"{trial.case.device} ({trial.run_id}): {_IDLE}"
        idle.setdefault(f"{title}{mark}", []).append(trace)
    return idle | found


def top_w(traces: Sequence[Trace]) -> float:
    """Return where an axis of power ends: no line may lie on its edge."""
    return 1.08 * (max(float(np.nanmax(trace.power_w, initial=0.0)) for trace in traces) or 1.0)


def _job(trial: Trial) -> tuple[str, str, int]:
    return trial.run_id, trial.case.device, trial.attempt


def _is_round(where: str) -> bool:
    return where.startswith("round-")


def _trace(
    row: Row,
    part: PowerSegment,
    total: Sequence[str],
    calibration: PowerCalibration | None,
    *,
    metered: bool = False,
) -> Trace:
    t_ns, power_w = power_readings(part.trace, total)
    if calibration is not None:
        power_w = calibration.power_w(power_w)
    start_ns, end_ns = part.window_ns
    return Trace(
        row=row,
        part=part.where,
        at_s=np.asarray((t_ns - start_ns) * 1e-9, dtype=np.float64),
        power_w=power_w,
        opened_s=start_ns * 1e-9,
        window_s=(end_ns - start_ns) * 1e-9,
        metered=metered,
    )
