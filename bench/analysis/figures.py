"""The quantities that trials are compared by, as figures with what is known of their spread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from bench.analysis.budget import SENSOR_PARTS
from bench.records.figures import MemoryStats
from bench.records.power import EnergyStats, PowerCalibration
from bench.records.status import Reason, Source, Status, Verdict
from bench.records.trial import Trial

MEMORY_REPEATABILITY_BYTES = 512 * 1024
"""Half-width of a memory figure that more passes do not narrow: runs of a case whose passes all
agree were seen to differ by up to 0.3 MiB, by what the allocator happens to keep."""

MEMORY_SCATTER = 0.09
"""95 % half-width of a memory figure, relative to the rise, as long as fewer than three passes tell
its own spread: twice 4.5 %, the largest standard deviation that loads of one model were seen to
have (seven cases, eight to ten loads each, ONNX Runtime on x86: 0 to 4.5 %)."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity of a trial.

    ``problem``: what its status says against it, empty when nothing does (a wide interval is no
    problem). ``spread``: 95 % half-width of its logarithm from its rounds, ``None`` when unknown;
    ``systematic``: the same from what rounds do not show. ``rounds``: ``{index: (load, value)}``.
    """

    value: float | None
    problem: str = ""
    unmeasured: bool = False
    spread: float | None = None
    systematic: float = 0.0
    rounds: dict[int, tuple[int, float]] = field(default_factory=dict)
    estimated: bool = False
    scope: str = ""
    gain_error: float | None = None
    calibration: PowerCalibration | None = None


@dataclass(frozen=True, slots=True)
class Quantity:
    """``better`` and ``worse`` are the words for less and more of it.

    ``shifts``: whether what the machine is like during a run shifts it for the whole run, so that
    the intervals of two runs do not tell all of their difference. ``optional``: left out of a
    comparison where neither side has it.
    """

    name: str
    unit: str
    better: str
    worse: str
    figure: Callable[[Trial], Figure]
    shifts: bool = False
    optional: bool = False


def _problem(verdict: Verdict) -> str:
    """Return what a status says against a figure; a wide interval alone says nothing."""
    if verdict.status is Status.VALID:
        return ""
    only_wide = verdict.status is Status.INCONCLUSIVE and verdict.reasons == (Reason.CI_WIDE,)
    if only_wide:
        return ""
    reasons = ", ".join(reason.words for reason in verdict.reasons)
    return f"{verdict.status.value}: {reasons}" if reasons else verdict.status.value


def _latency(trial: Trial) -> Figure:
    verdict, stats = trial.latency_status, trial.latency
    if stats is None:
        return Figure(None, _problem(verdict), verdict.status is Status.UNMEASURED)
    spread = None
    if stats.p50_low_s is not None and stats.p50_high_s is not None:
        spread = float(np.log(stats.p50_high_s / stats.p50_low_s)) / 2
    rounds = {
        item.index: (item.load, item.p50_s) for item in trial.rounds if item.kind == "latency"
    }
    return Figure(stats.p50_s, _problem(verdict), spread=spread, rounds=rounds)


def _energy(trial: Trial) -> Figure:
    rounds_j = {item.index: item.gross_j for item in trial.rounds if item.gross_j is not None}
    return _joules(trial, trial.energy_status, trial.energy, rounds_j)


def _meter_energy(trial: Trial) -> Figure:
    if trial.meter is None:
        return Figure(None, "no external meter was attached", unmeasured=True)
    return _joules(trial, trial.meter.status, trial.meter.energy, trial.meter.rounds_j)


def _joules(
    trial: Trial, verdict: Verdict, stats: EnergyStats | None, rounds_j: Mapping[int, float]
) -> Figure:
    if stats is None:
        return Figure(None, _problem(verdict), verdict.status is Status.UNMEASURED)
    loads = {item.index: item.load for item in trial.rounds if item.kind != "latency"}
    rounds = {
        index: (loads[index], gross_j)
        for index, gross_j in rounds_j.items()
        if gross_j > 0 and index in loads
    }
    parts = stats.uncertainty_parts_j
    sensor_j = np.sqrt(sum(parts.get(name, 0.0) ** 2 for name in (*SENSOR_PARTS, "gaps")))
    statistical_j = parts.get("statistical")
    return Figure(
        stats.gross_j,
        _problem(verdict),
        spread=None if statistical_j is None else statistical_j / stats.gross_j,
        systematic=float(sensor_j) / stats.gross_j,
        rounds=rounds,
        estimated=stats.source is Source.ESTIMATED,
        scope=stats.scope,
        gain_error=stats.gain_error,
        calibration=stats.calibration,
    )


def _memory(
    of: Callable[[MemoryStats], tuple[int, float | None]],
) -> Callable[[Trial], Figure]:
    def figure(trial: Trial) -> Figure:
        verdict, stats = trial.memory_status, trial.memory
        value, half_width = (0, None) if stats is None else of(stats)
        if stats is None or value <= 0:
            return Figure(None, _problem(verdict), verdict.status is Status.UNMEASURED)
        if half_width is None:
            half_width = MEMORY_SCATTER * max(stats.steady_rise_bytes, 0)
        spread = float(np.hypot(half_width, MEMORY_REPEATABILITY_BYTES)) / value
        return Figure(float(value), _problem(verdict), spread=spread)

    return figure


def _size(trial: Trial) -> Figure:
    if trial.artifact is None:
        return Figure(None, "no artifact", unmeasured=True)
    return Figure(float(trial.artifact.file_bytes), spread=0.0)


QUANTITIES: tuple[Quantity, ...] = (
    Quantity("latency", "s", "faster", "slower", _latency, shifts=True),
    Quantity("energy", "J", "lower", "higher", _energy, shifts=True),
    Quantity("meter-energy", "J", "lower", "higher", _meter_energy, shifts=True, optional=True),
    Quantity(
        "memory",
        "B",
        "lower",
        "higher",
        _memory(lambda stats: (stats.steady_rise_bytes, stats.steady_rise_half_width_bytes)),
    ),
    Quantity(
        "peak-memory",
        "B",
        "lower",
        "higher",
        _memory(lambda stats: (stats.peak_bytes, stats.peak_half_width_bytes)),
    ),
    Quantity("size", "B", "lower", "higher", _size),
)
