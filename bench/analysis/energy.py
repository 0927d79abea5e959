"""Energy per inference of one input, gross and net, with its uncertainty by parts.

Every part is an expanded (95 %) half-width in joules per inference and they add in quadrature:

``statistical``   t-interval of the mean over the energy rounds (``statistical_net``: of the net
                  energy, which varies less where all power is idle power)
``quantisation``  one step of the sensor, held over the window and at its edges
``lag``           the time constant is taken as known within ``LAG_TOLERANCE``: δτ·|y(t₁) − y(t₀)|
``gaps``          power anywhere in the range of the readings while none arrived
``idle_drift``    (net only) the idle line anywhere between its two measurements

A half-width a that bounds a rectangular distribution has the expanded uncertainty 2·a/√3 (GUM 4.3.7
with coverage factor 2). The sensor's gain error is systematic and is not in here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.analysis.stats import mean_half_width
from bench.analysis.trace import WindowEnergy, total_readings, window_energy
from bench.recordings import IdleLine, Round
from bench.records import EnergyStats, PowerSource, Source

LAG_TOLERANCE = 0.10
"""How well the sensor's time constant is taken to be known (relative, 95 %)."""

_RECTANGULAR = 2 / np.sqrt(3)


@dataclass(frozen=True, slots=True)
class EnergyResult:
    """The figures and what a verdict on them needs.

    ``gap_share``: the worst round's share of its window without readings; ``idle_drift_share``:
    uncertainty of the net energy from idle drift, relative to the net energy; ``unusable``: rounds
    whose gaps were too long to give an energy.
    """

    stats: EnergyStats | None
    gap_share: float
    longest_gap_periods: float
    unusable: int
    stale: bool
    idle_drift_share: float | None


@dataclass(frozen=True, slots=True)
class _RoundEnergy:
    window: WindowEnergy
    inputs: float
    """Inputs processed in the window, fractions at its edges counted by time."""


def inferences_in(item: Round, window_ns: tuple[int, int]) -> float:
    """Return how many inferences of a round fell into a window.

    An inference cut by an edge counts by the share of its time that lies inside.
    """
    ends_ns = item.start_ns + np.concatenate(([0], np.cumsum(item.durations_ns)))
    done = np.interp(window_ns, ends_ns, np.arange(ends_ns.size))
    return float(done[1] - done[0])


def energy_result(
    rounds: Sequence[Round], idle: Sequence[IdleLine], power: PowerSource, batch: int
) -> EnergyResult:
    """Return the energy per inference from the energy rounds among ``rounds``."""
    windows: list[tuple[Round, WindowEnergy]] = []
    for item in rounds:
        if item.kind == "energy" and item.window_ns is not None and item.trace is not None:
            wanted_ns = _loaded_part(item, item.window_ns)
            windows.append((item, window_energy(item.trace, power.total, wanted_ns, power.lag_s)))
    used = [
        _RoundEnergy(window, inferences_in(item, window.window_ns) * batch)
        for item, window in windows
        if window.energy_j is not None
    ]
    used = [item for item in used if item.inputs > 0]
    stats = _stats(used, idle, power) if used else None
    drift = None if stats is None else stats.uncertainty_parts_j.get("idle_drift")
    net_j = None if stats is None else stats.net_j
    shares = [
        window.gap_s / ((item.window_ns[1] - item.window_ns[0]) * 1e-9)
        for item, window in windows
        if item.window_ns is not None
    ]
    return EnergyResult(
        stats=stats,
        gap_share=max(shares, default=0.0),
        longest_gap_periods=max((w.longest_gap_periods for _, w in windows), default=0.0),
        unusable=len(windows) - len(used),
        stale=_is_stale(windows, idle, power),
        idle_drift_share=None if drift is None or not net_j else drift / abs(net_j),
    )


def idle_power_w(idle: Sequence[IdleLine], power: PowerSource) -> list[tuple[int, float]]:
    """Return ``(middle of the window in ns, mean power)`` of the idle lines that can be used."""
    points = []
    for line in idle:
        window = window_energy(line.trace, power.total, line.window_ns, power.lag_s)
        if window.energy_j is not None:
            points.append((sum(line.window_ns) // 2, window.energy_j / window.span_s))
    return sorted(points)


def _loaded_part(item: Round, window_ns: tuple[int, int]) -> tuple[int, int]:
    """Return the part of a window in which inferences ran."""
    load_end_ns = item.start_ns + int(item.durations_ns.sum())
    start_ns = max(window_ns[0], item.start_ns)
    return start_ns, max(start_ns + 1, min(window_ns[1], load_end_ns))


def _stats(
    used: Sequence[_RoundEnergy], idle: Sequence[IdleLine], power: PowerSource
) -> EnergyStats:
    inputs = np.array([item.inputs for item in used])
    span_s = np.array([item.window.span_s for item in used])
    energy_j = np.array([item.window.energy_j for item in used], dtype=np.float64)
    plain_j = np.array([item.window.uncorrected_j for item in used], dtype=np.float64)
    gross_j = energy_j / inputs
    parts = _uncertainty_parts_j(used, inputs, gross_j, power)
    gross_half = _quadrature(parts)

    net_j = idle_w = net_half = None
    points = idle_power_w(idle, power)
    if points:
        middle_ns = [sum(item.window.window_ns) / 2 for item in used]
        line_w = np.interp(middle_ns, [at_ns for at_ns, _ in points], [w for _, w in points])
        idle_w = float(line_w.mean())
        nets_j = gross_j - line_w * span_s / inputs
        net_j = float(nets_j.mean())
    if len(points) == 2:
        drift_w = abs(points[1][1] - points[0][1]) / 2
        drift_j = float(_RECTANGULAR * drift_w * (span_s / inputs).mean())
        parts["idle_drift"] = drift_j
        if len(used) > 1:
            parts["statistical_net"] = mean_half_width(nets_j)
            net_half = _quadrature({k: v for k, v in parts.items() if k != "statistical"})

    return EnergyStats(
        gross_j=float(gross_j.mean()),
        net_j=net_j,
        # One round has no spread, so its uncertainty is unknown, not small.
        uncertainty_j=gross_half if len(used) > 1 else None,
        net_uncertainty_j=net_half,
        uncertainty_parts_j=parts,
        uncorrected_j=float((plain_j / inputs).mean()),
        power_w=float((energy_j / span_s).mean()),
        idle_w=idle_w,
        source=power.source,
        scope=power.scope,
        sensor=power.sensor,
        note=power.note,
        lag_s=power.lag_s,
        gain_error=power.gain_error,
        rounds=len(used),
        window_s=float(span_s.mean()),
    )


def _quadrature(parts: dict[str, float]) -> float:
    return float(np.sqrt(sum(part**2 for part in parts.values())))


def _uncertainty_parts_j(
    used: Sequence[_RoundEnergy],
    inputs: NDArray[np.float64],
    gross_j: NDArray[np.float64],
    power: PowerSource,
) -> dict[str, float]:
    """Return the parts of the gross energy's uncertainty, joules per inference."""
    parts: dict[str, float] = {}
    if len(used) > 1:
        parts["statistical"] = mean_half_width(gross_j)
    windows = [item.window for item in used]
    half_step_w = (power.resolution_w or 0.0) / 2
    lag_s = power.lag_s or 0.0
    # What is unknown has no part, rather than one of 0.
    counted = power.unit == "J"

    def part(half_widths_j: list[float]) -> float:
        return float(_RECTANGULAR * (np.array(half_widths_j) / inputs).mean())

    # A reading rounded one way all along shifts the whole window; its two edges are rounded
    # separately, and both edges of a counter by up to one increment.
    if counted or power.resolution_w is not None:
        parts["quantisation"] = part(
            [
                float(
                    np.hypot(
                        half_step_w * window.span_s,
                        np.sqrt(2) * (half_step_w * lag_s + window.step_j / 2),
                    )
                )
                for window in windows
            ]
        )
    # The tolerance of τ is already a 95 % figure. Counters have neither edge change nor gaps.
    shift_j = np.array([LAG_TOLERANCE * lag_s * abs(w.edge_change_w) for w in windows])
    if counted or power.lag_s is not None:
        parts["lag"] = float((shift_j / inputs).mean())
    parts["gaps"] = part([w.gap_s * w.spread_w / 2 for w in windows])
    return parts


def _is_stale(
    windows: Sequence[tuple[Round, WindowEnergy]], idle: Sequence[IdleLine], power: PowerSource
) -> bool:
    """Whether the sensor held old readings instead of following the load.

    Either the reading is the same in every round and at idle, or it changed in jumps fewer than
    three times per window (refreshed slower than a third of it). A well filtered sensor at a
    constant load may legitimately repeat one value, so small and rare changes are no sign.
    An estimate has no sensor (and a replayed trace, which counts as one, may be constant).
    """
    usable = [window for _, window in windows if window.energy_j is not None]
    if not usable or power.source is Source.ESTIMATED:
        return False
    changes = sum(window.changes for window in usable) / len(usable)
    if power.unit == "J":
        return changes < 3
    traces = [item.trace for item, _ in windows if item.trace is not None]
    traces += [line.trace for line in idle]
    seen = np.concatenate([total_readings(trace, power.total)[1] for trace in traces])
    if np.unique(seen[np.isfinite(seen)]).size <= 1:
        return True
    mean_w = float(np.mean([(w.energy_j or 0.0) / w.span_s for w in usable]))
    matters_w = max(1.5 * (power.resolution_w or 0.0), 0.02 * abs(mean_w))
    return 0 < changes < 3 and max(w.largest_jump_w for w in usable) > matters_w
