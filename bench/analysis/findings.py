"""What speaks against a quantity: reasons with words, from the recording and the figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.analysis.energy import EnergyResult
from bench.analysis.stats import MIN_ROUNDS_FOR_INTERVAL
from bench.analysis.trace import BRIDGE_PERIODS
from bench.recordings import Recording
from bench.records import EnergyStats, LatencyStats, PowerSource, Procedure, Reason, Source

MAX_BACKGROUND = 0.10
"""Share of CPU time of other processes above which a quantity is ``background-load``."""

MAX_ENERGY_UNCERTAINTY = 0.05
"""Relative expanded uncertainty of the energy above which it is inconclusive."""

MAX_GAP_SHARE = 0.01
"""Share of a window without readings above which the energy has ``sensor-gaps``."""

Finding = tuple[Reason, str]
"""A reason and what it is in this case, in words."""


def common_findings(recording: Recording) -> list[Finding]:
    """Return what speaks against latency and energy alike."""
    found: list[Finding] = []
    if not recording.finished:
        found.append((Reason.INTERRUPTED, "the job on the device did not reach its end"))
    if recording.warmup is not None and not recording.warmup.get("steady", True):
        took_s = recording.warmup.get("took_s")
        after = "" if took_s is None else f" after {took_s:.1f} s"
        found.append((Reason.NOT_STEADY, f"latency was still drifting{after} of warm-up"))
    changed = _clock_changes(recording.health)
    if changed:
        found.append((Reason.CLOCK_CHANGED, f"changed between start and end: {changed}"))
    return found


def _clock_changes(health: Sequence[dict[str, Any]]) -> str:
    """Return which CPUs have another governor or frequency limit at the end than at the start."""
    ends = {record.get("where"): record for record in health}
    before, after = ends.get("before", {}), ends.get("after", {})
    changes = []
    for key in ("governor", "frequency_min_khz", "frequency_max_khz"):
        old, new = before.get(key) or {}, after.get(key) or {}
        for cpu in sorted(old.keys() & new.keys()):
            if old[cpu] != new[cpu]:
                changes.append(f"{cpu} {key} {old[cpu]} -> {new[cpu]}")
    return ", ".join(changes)


def latency_findings(
    recording: Recording, latency: LatencyStats | None, procedure: Procedure
) -> list[Finding]:
    """Return what speaks against the latency."""
    found = _rounds_findings(recording, "latency", procedure.latency_rounds)
    if latency is None:
        return found
    if latency.p50_low_s is None or latency.p50_high_s is None:
        found.append(
            (
                Reason.CI_WIDE,
                f"{latency.rounds} latency rounds are too few for an interval of the median "
                f"(it takes {MIN_ROUNDS_FOR_INTERVAL})",
            )
        )
        return found
    half_width = (latency.p50_high_s - latency.p50_low_s) / 2 / latency.p50_s
    if half_width > procedure.target_ci:
        found.append(
            (
                Reason.CI_WIDE,
                f"the median is known within ±{half_width:.1%}, wanted ±{procedure.target_ci:.1%}",
            )
        )
    return found


def _rounds_findings(recording: Recording, kind: str, wanted: int) -> list[Finding]:
    found: list[Finding] = []
    rounds = [item for item in recording.rounds if item.kind == kind]
    if len(rounds) < wanted:
        found.append((Reason.INTERRUPTED, f"{len(rounds)} of {wanted} {kind} rounds were done"))
    background = background_share(recording, kind)
    if background is not None and background > MAX_BACKGROUND:
        found.append(
            (
                Reason.BACKGROUND_LOAD,
                f"other processes took {background:.0%} of the CPU time in the {kind} rounds",
            )
        )
    return found


def background_share(recording: Recording, kind: str) -> float | None:
    """Return the median share of CPU time that other processes took in the rounds of a kind."""
    shares = [
        item.background
        for item in recording.rounds
        if item.kind == kind and item.background is not None
    ]
    return float(np.median(shares)) if shares else None


def energy_findings(
    recording: Recording, result: EnergyResult, power: PowerSource, procedure: Procedure
) -> list[Finding]:
    """Return what speaks against the energy."""
    found = _rounds_findings(recording, "energy", procedure.energy_rounds)
    if recording.sensor_lost:
        found = [item for item in found if item[0] is not Reason.INTERRUPTED]
        found.append((Reason.SENSOR_GAPS, f"the power sensor was lost: {recording.sensor_lost}"))
    done = sum(item.kind == "energy" for item in recording.rounds)
    if done and (
        result.stats is None
        or result.unusable
        or result.gap_share > MAX_GAP_SHARE
        or result.longest_gap_periods > BRIDGE_PERIODS
    ):
        words = f"{result.gap_share:.1%} of a window without readings from {power.sensor}"
        if result.unusable:
            words += f"; {result.unusable} of {done} energy rounds could not be used"
        found.append((Reason.SENSOR_GAPS, words))
    if result.stale:
        found.append(
            (Reason.SENSOR_STALE, f"the readings of {power.sensor} do not follow the load")
        )
    if result.stats is None:
        return found
    if power.lag_s is None:
        found.append(
            (
                Reason.LAG_UNKNOWN,
                f"the time constant of {power.sensor} is unknown, so its lag is not corrected",
            )
        )
    found += _uncertainty_findings(result.stats)
    drift = result.idle_drift_share
    if drift is not None and drift > MAX_ENERGY_UNCERTAINTY:
        # An estimate made from CPU time can only drift when other processes use the CPU.
        modelled = power.source is Source.ESTIMATED and power.sensor == "estimate"
        reason = Reason.BACKGROUND_LOAD if modelled else Reason.IDLE_DRIFT
        found.append((reason, f"idle power drifted: net energy is uncertain by ±{drift:.1%}"))
    return found


def _uncertainty_findings(stats: EnergyStats) -> list[Finding]:
    """Blame a total uncertainty above the limit on its largest part."""
    parts, size = stats.uncertainty_parts_j, abs(stats.gross_j)
    limit = f"limit ±{MAX_ENERGY_UNCERTAINTY:.0%}"
    statistical = parts.get("statistical")
    if statistical is None:
        words = "one energy round does not show how much energy varies"
        return [(Reason.CI_WIDE, words)]
    sensor = float(np.hypot(parts.get("lag", 0.0), parts.get("quantisation", 0.0)))
    gaps = parts.get("gaps", 0.0)
    total = float(np.sqrt(statistical**2 + sensor**2 + gaps**2))
    if total <= MAX_ENERGY_UNCERTAINTY * size:
        return []
    share = f"±{total / size:.1%}" if size else "fully"
    largest = max(statistical, sensor, gaps)
    if largest == sensor:
        words = (
            f"the energy is uncertain by {share}, {limit}: the sensor is too slow or coarse for "
            f"a window of {stats.window_s:.1f} s"
        )
        return [(Reason.WINDOW_SHORT, words)]
    if largest == gaps:
        return [(Reason.SENSOR_GAPS, f"the energy is uncertain by {share}, {limit}: gaps")]
    few = " (few rounds make this interval wide)" if stats.rounds < 5 else ""
    words = f"the {stats.rounds} energy rounds agree only within {share}{few}, {limit}"
    return [(Reason.CI_WIDE, words)]
