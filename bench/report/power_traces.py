"""Power traces as they are drawn: corrected, thinned, one panel per case and one for idle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.analysis.trace import power_readings
from bench.figures import PowerCalibration
from bench.records import Trial
from bench.report.rows import Row
from bench.status import Source
from bench.store.raw import PowerSegment

IDLE_COLOUR = "#555555"
_IDLE = "idle before (solid) and after (dotted)"
_MOST_POINTS = 1500
"""Readings drawn per trace at most; longer traces are thinned."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Readings of one window. ``part``: where it was taken (``round-3``, ``idle-before``);
    ``at_s``: since the window opened, which is ``window_s`` long; ``line``: how to draw it."""

    row: Row
    part: str
    at_s: NDArray[np.float64]
    power_w: NDArray[np.float64]
    window_s: float
    colour: str
    line: str

    @property
    def is_round(self) -> bool:
        """Whether the case was running."""
        return _is_round(self.part)

    @property
    def source(self) -> Mapping[str, Any]:
        """Source, scope and sensor: known also where no energy came of the readings."""
        return self.row.trial.facts["power_source"] if self.row.trial else {}

    @property
    def is_estimated(self) -> bool:
        """Whether nothing was measured."""
        return self.row.trial is not None and _is_estimated(self.row.trial)


def power_traces(
    rows: Sequence[Row], segments: Mapping[str, Sequence[PowerSegment]]
) -> dict[str, list[Trace]]:
    """Return what is drawn of the power traces, by the title of its panel.

    ``segments``: power traces by trial id. Idle power comes first, of the first case of each device
    and run: all cases share it. Readings of a calibrated sensor are corrected.
    """
    measured = [
        (row, row.trial, segments[row.trial.trial_id])
        for row in rows
        if row.trial
        and "power_source" in row.trial.facts
        and any(_is_round(part.where) for part in segments.get(row.trial.trial_id, ()))
    ]
    # One calibration for all cases of a device in a run.
    calibrations = {
        _place(trial): trial.energy.calibration for _, trial, _ in measured if trial.energy
    }
    idle: dict[str, list[Trace]] = {}
    found: dict[str, list[Trace]] = {}
    places = list(dict.fromkeys(_place(trial) for _, trial, _ in measured))
    for row, trial, parts in measured:
        place = _place(trial)
        traces = [_trace(row, trial, part, calibrations.get(place)) for part in parts]
        mark = " (est.)" if _is_estimated(trial) else ""
        title = f"{row.short}{mark}"
        found.setdefault(title, []).extend(trace for trace in traces if trace.is_round)
        title = _IDLE if len(places) == 1 else f"{trial.case.device} ({trial.run_id}): {_IDLE}"
        idle.setdefault(f"{title}{mark}", [trace for trace in traces if not trace.is_round])
    return idle | found


def _place(trial: Trial) -> tuple[str, str]:
    return trial.run_id, trial.case.device


def _is_estimated(trial: Trial) -> bool:
    return trial.facts["power_source"].get("source") == Source.ESTIMATED.value


def _is_round(where: str) -> bool:
    return where.startswith("round-")


def _trace(
    row: Row, trial: Trial, part: PowerSegment, calibration: PowerCalibration | None
) -> Trace:
    t_ns, power_w = power_readings(part.trace, trial.facts["power_source"]["total"])
    if calibration is not None:
        power_w = calibration.power_w(power_w)
    start_ns, end_ns = part.window_ns
    stride = -(-t_ns.size // _MOST_POINTS) or 1
    running = _is_round(part.where)
    return Trace(
        row=row,
        part=part.where,
        at_s=np.asarray((t_ns[::stride] - start_ns) * 1e-9, dtype=np.float64),
        power_w=power_w[::stride],
        window_s=(end_ns - start_ns) * 1e-9,
        colour=row.colour if running else IDLE_COLOUR,
        line="-" if running or part.where.startswith("idle-before") else ":",
    )
