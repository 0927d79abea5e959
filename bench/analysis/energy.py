"""Energy per inference of one input, gross and net, from the windows of the energy rounds.

How certain it is: :mod:`bench.analysis.budget`. Whether the sensor can be trusted:
:mod:`bench.analysis.sensor`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.analysis.aliasing import aliasing_share, locked_harmonics
from bench.analysis.budget import Budget, uncertainty_budget
from bench.analysis.correction import corrected_fit, corrected_window
from bench.analysis.lag import Lag, choose_lag
from bench.analysis.phase_fit import PhaseFit, fit_phases
from bench.analysis.phases import Phases, phases_in
from bench.analysis.refresh import hold_s, read_time_s, refresh_s, step_w
from bench.analysis.sensor import is_stale, is_too_slow, nonsense_readings
from bench.analysis.times import inferences_in, load_end_ns
from bench.analysis.trace import WindowEnergy, window_energy
from bench.records.power import EnergyStats, PowerSource
from bench.records.recordings import IdleLine, LoadStep, PowerTrace, Round
from bench.records.status import Source

ENERGY_KINDS = ("energy", "sustain")


@dataclass(frozen=True, slots=True)
class EnergyResult:
    """The figures and what a verdict on them needs.

    ``gross_j``: joules per inference of one input by the index of the round. ``gap_share``: the
    worst round's share of its window without readings; ``idle_drift_share``: uncertainty of the
    net energy from idle drift, relative to the net energy; ``unusable``: rounds whose gaps were
    too long to give an energy; ``nonsense``: readings that no board can have; ``stale``: the
    reading never changes; ``too_slow``: it changes too rarely for the windows; ``aliasing_share``:
    how far mean power could be off because readings never show some phases of the inferences;
    ``below_offset``: the calibration's offset is more than what the sensor shows.
    """

    stats: EnergyStats | None
    gross_j: dict[int, float]
    lag: Lag
    gap_share: float
    longest_gap_periods: float
    unusable: int
    nonsense: int
    stale: bool
    too_slow: bool
    aliasing_share: float
    idle_drift_share: float | None
    below_offset: bool = False


@dataclass(frozen=True, slots=True)
class _Used:
    """A round with an energy; ``inputs`` were processed in its window."""

    round: Round
    window: WindowEnergy
    inputs: float


def energy_result(
    rounds: Sequence[Round],
    idle: Sequence[IdleLine],
    power: PowerSource,
    batch: int,
    steps: Sequence[LoadStep] = (),
    lag: Lag | None = None,
) -> EnergyResult:
    """Return the energy per inference from the energy rounds among ``rounds``.

    ``steps``: what is known of the sensor's response to a load step. ``lag``: its time constant
    where that is known from elsewhere; how well readings are dated is part of its uncertainty.
    """
    taken = [item for item in rounds if item.kind in ENERGY_KINDS and item.trace is not None]
    taken = [item for item in taken if item.window_ns is not None]
    steady = [line.trace for line in idle if line.trace is not None]
    steady += [step.trace for step in steps]
    held_s = hold_s(steady, power.total)
    lag = lag or choose_lag(steps, power, held_s)
    windows = [_window(item, power, lag.lag_s, held_s) for item in taken]
    used = [
        _Used(item, window, inferences_in(item, window.window_ns) * batch)
        for item, window in zip(taken, windows, strict=True)
        if window.energy_j is not None
    ]
    used = [item for item in used if item.inputs > 0]
    phases = _phases(used, power, held_s)
    fit = None
    # A held value is dated by the reading that shows it first, which is too coarse for a phase.
    if phases and held_s == 0:
        fit = fit_phases(phases, lag.lag_s or 0.0, locked_harmonics(phases))
    if fit is not None:
        used = _without_uneven_phases(used, fit)
    traces = [item.trace for item in taken if item.trace is not None]
    # A sensor that shows 0 W all along, or less on average, has measured nothing.
    shown_j = _sum_j(used)
    dead = shown_j <= 0
    resolution_w = _resolution_w(power, [*steady, *traces])
    unseen_share = aliasing_share(phases, lag.lag_s or 0.0)
    calibration = power.calibration
    if calibration is not None:
        used = [replace(u, window=corrected_window(u.window, calibration)) for u in used]
        fit = None if fit is None else corrected_fit(fit, calibration)
        resolution_w = None if resolution_w is None else resolution_w / calibration.gain
    left_j = _sum_j(used)
    stats = drift_share = None
    if used and not dead and left_j > 0:
        stats = _stats(used, idle, power, lag, held_s, traces, resolution_w, fit)
        if calibration is not None:
            # The same swing is another share of another mean.
            unseen_share *= shown_j / (calibration.gain * left_j)
        drift_j = stats.uncertainty_parts_j.get("idle_drift")
        drift_share = drift_j / abs(stats.net_j) if drift_j is not None and stats.net_j else None
    return EnergyResult(
        stats=stats,
        gross_j={} if stats is None else _by_index(used),
        lag=lag,
        gap_share=max(map(_gap_share, taken, windows), default=0.0),
        longest_gap_periods=max((window.longest_gap_periods for window in windows), default=0.0),
        unusable=len(windows) - len(used),
        nonsense=nonsense_readings(traces, power),
        stale=is_stale(windows, traces, steady, power) or (bool(used) and dead),
        too_slow=is_too_slow(windows, power, held_s),
        aliasing_share=unseen_share,
        idle_drift_share=drift_share,
        below_offset=bool(used) and not dead and left_j <= 0,
    )


def idle_power_w(
    idle: Sequence[IdleLine], power: PowerSource, lag_s: float | None, held_s: float = 0.0
) -> list[tuple[int, float]]:
    """Return ``(middle of the window in ns, mean power)`` of the idle lines that can be used; the
    power is corrected by the sensor's calibration."""
    points = []
    for line in idle:
        if line.trace is None:
            continue
        window = window_energy(line.trace, power.total, line.window_ns, lag_s, held_s)
        if window.energy_j is None:
            continue
        mean_w = window.energy_j / window.span_s
        if power.calibration is not None:
            mean_w = power.calibration.power_w(mean_w)
        points.append((sum(line.window_ns) // 2, mean_w))
    return sorted(points)


def _sum_j(used: Sequence[_Used]) -> float:
    """Return the joules per inference of all rounds together."""
    return sum((item.window.energy_j or 0.0) / item.inputs for item in used)


def _window(item: Round, power: PowerSource, lag_s: float | None, held_s: float) -> WindowEnergy:
    """Return the energy of the part of a round's window in which inferences ran."""
    assert item.window_ns is not None and item.trace is not None
    start_ns = max(item.window_ns[0], item.start_ns)
    stop_ns = max(start_ns + 1, min(item.window_ns[1], load_end_ns(item)))
    return window_energy(item.trace, power.total, (start_ns, stop_ns), lag_s, held_s)


def _resolution_w(power: PowerSource, traces: Sequence[PowerTrace]) -> float | None:
    """Return one step of a power reading; 0 where there is none, ``None`` when it is not known."""
    if power.unit == "J" or power.source is Source.ESTIMATED:
        return 0.0
    return power.resolution_w or step_w(traces, power.total)


def _phases(used: Sequence[_Used], power: PowerSource, held_s: float) -> list[Phases]:
    """Return the phases of the rounds that have any: all of them, or none (a counter)."""
    found = [phases_in(item.round, item.window, power.total, held_s) for item in used]
    return [phases for phases in found if phases is not None]


def _without_uneven_phases(used: Sequence[_Used], fit: PhaseFit) -> list[_Used]:
    """Return the rounds with the energy that evenly met phases would have given."""
    corrected = []
    for item, integral_j, edge_j in zip(used, fit.integral_j, fit.edge_j, strict=True):
        window = replace(
            item.window,
            energy_j=(item.window.energy_j or 0.0) - float(integral_j + edge_j),
            uncorrected_j=(item.window.uncorrected_j or 0.0) - float(integral_j),
        )
        corrected.append(replace(item, window=window))
    return corrected


def _gap_share(item: Round, window: WindowEnergy) -> float:
    assert item.window_ns is not None
    return window.gap_s / ((item.window_ns[1] - item.window_ns[0]) * 1e-9)


def _by_index(used: Sequence[_Used]) -> dict[int, float]:
    return {item.round.index: (item.window.energy_j or 0.0) / item.inputs for item in used}


def _stats(
    used: Sequence[_Used],
    idle: Sequence[IdleLine],
    power: PowerSource,
    lag: Lag,
    held_s: float,
    traces: Sequence[PowerTrace],
    resolution_w: float | None,
    fit: PhaseFit | None,
) -> EnergyStats:
    inputs = np.array([item.inputs for item in used])
    span_s = np.array([item.window.span_s for item in used])
    energy_j = np.array([item.window.energy_j for item in used], dtype=np.float64)
    plain_j = np.array([item.window.uncorrected_j for item in used], dtype=np.float64)
    gross_j = energy_j / inputs
    net_j = idle_w = None
    nets_j = drift_w = None
    points = idle_power_w(idle, power, lag.lag_s, held_s)
    if points:
        middle_ns = [sum(item.window.window_ns) / 2 for item in used]
        line_w = np.interp(middle_ns, [at_ns for at_ns, _ in points], [w for _, w in points])
        idle_w = float(line_w.mean())
        nets_j = gross_j - line_w * span_s / inputs
        net_j = float(nets_j.mean())
        if len(points) > 1:
            drift_w = float(np.ptp([watts for _, watts in points])) / 2
    budget: Budget = uncertainty_budget(
        [item.window for item in used],
        inputs,
        np.array([item.round.load for item in used]),
        gross_j,
        nets_j,
        drift_w,
        resolution_w,
        lag,
        fit,
    )
    power_w = float((energy_j / span_s).mean())
    calibration = power.calibration
    return EnergyStats(
        gross_j=float(gross_j.mean()),
        net_j=net_j,
        uncertainty_j=budget.gross_j,
        net_uncertainty_j=budget.net_j,
        uncertainty_parts_j=budget.parts_j,
        uncorrected_j=float((plain_j / inputs).mean()),
        power_w=power_w,
        idle_w=idle_w,
        source=power.source,
        scope=power.scope,
        sensor=power.sensor,
        note=power.note,
        lag_s=lag.lag_s,
        lag_from=lag.origin,
        lag_uncertainty_s=lag.uncertainty_s,
        refresh_s=refresh_s(traces, power.total),
        read_s=read_time_s(traces),
        gain_error=power.gain_error if calibration is None else calibration.error_at(power_w),
        rounds=len(used),
        window_s=float(span_s.mean()),
        calibration=calibration,
    )
