"""What speaks against a quantity: reasons with words, from the recording and the figures."""

from __future__ import annotations

import numpy as np

from bench.analysis.board_findings import Finding, board_findings, temperature_rise
from bench.analysis.budget import SENSOR_PARTS
from bench.analysis.energy import EnergyResult
from bench.analysis.sensor import MIN_UPDATES
from bench.analysis.stats import MIN_ROUNDS_FOR_INTERVAL
from bench.analysis.sustain import steady_from, sustained_medians_s
from bench.analysis.trace import BRIDGE_PERIODS
from bench.records.figures import LatencyStats
from bench.records.power import EnergyStats, PowerSource
from bench.records.procedure import Procedure
from bench.records.recordings import Recording
from bench.records.status import Reason, Source

MAX_BACKGROUND = 0.10
"""Share of CPU time of other processes above which a quantity is ``background-load``."""

MAX_ENERGY_UNCERTAINTY = 0.05
"""Relative expanded uncertainty of the energy above which it is inconclusive."""

MAX_GAP_SHARE = 0.01
"""Share of a window without readings above which the energy has ``sensor-gaps``."""

MAX_ALIASING = 0.02
"""How far phases never seen may put mean power off before the energy is flagged."""

_STOPPING_WORDS = {
    "settled": "more rounds within the limits would not have helped",
    "loads": "it differs between fresh loads, which only more of them average out (--loads)",
    "max-rounds": "the largest number of rounds was reached",
    "max-time": "the time was up",
}


def common_findings(recording: Recording) -> list[Finding]:
    """Return what speaks against latency and energy alike."""
    found: list[Finding] = []
    if not recording.finished:
        why = f": {recording.cut_by}" if recording.cut_by else ""
        found.append((Reason.INTERRUPTED, f"the job on the device did not reach its end{why}"))
    if recording.warmup is not None and not recording.warmup.get("steady", True):
        took_s = recording.warmup.get("took_s")
        after = "" if took_s is None else f" after {took_s:.1f} s"
        found.append((Reason.NOT_STEADY, f"latency was still drifting{after} of warm-up"))
    return found


def latency_findings(
    recording: Recording, latency: LatencyStats | None, procedure: Procedure
) -> list[Finding]:
    """Return what speaks against the latency."""
    kind, wanted = wanted_rounds(procedure, "latency")
    found = [*board_findings(recording, [kind]), *_rounds_findings(recording, kind, wanted)]
    found += _sustain_findings(recording, procedure)
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
    # Relative to the middle on the logarithmic scale, as the rule that ends the rounds has it.
    half_width = (latency.p50_high_s - latency.p50_low_s) / 2
    half_width /= float(np.sqrt(latency.p50_high_s * latency.p50_low_s))
    if half_width > procedure.target_ci:
        stopped = _STOPPING_WORDS.get(str((recording.stopping or {}).get("reason")), "")
        found.append(
            (
                Reason.CI_WIDE,
                f"the median is known within ±{half_width:.1%}, wanted ±{procedure.target_ci:.1%}"
                + (f"; {stopped}" if stopped else ""),
            )
        )
    return found


def wanted_rounds(procedure: Procedure, kind: str) -> tuple[str, int]:
    """Return the kind of rounds that a quantity comes from, and the least number of them."""
    if procedure.sustain_s is not None:
        return "sustain", 1
    return kind, procedure.latency_rounds if kind == "latency" else procedure.energy_rounds


def _sustain_findings(recording: Recording, procedure: Procedure) -> list[Finding]:
    """Return that a sustained load was still changing, or not sustained to its end."""
    medians = sustained_medians_s(recording)
    if procedure.sustain_s is None or medians.size == 0:
        return []
    found: list[Finding] = []
    if steady_from(medians) is None:
        words = f"latency was still changing at the end of {procedure.sustain_s:.0f} s of load"
        found.append((Reason.NOT_STEADY, words))
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
    kind, wanted = wanted_rounds(procedure, "energy")
    found = [*board_findings(recording, [kind]), *_rounds_findings(recording, kind, wanted)]
    found += _sustain_findings(recording, procedure)
    found += temperature_rise(recording)
    if recording.sensor_lost:
        found = [item for item in found if item[0] is not Reason.INTERRUPTED]
        found.append((Reason.SENSOR_GAPS, f"the power sensor was lost: {recording.sensor_lost}"))
    done = sum(item.kind == kind and item.trace is not None for item in recording.rounds)
    if result.below_offset:
        words = (
            f"the readings of {power.sensor} lie below the offset of its calibration: calibrate it "
            "again, or take the calibration out (bench devices calibrate NAME --remove)"
        )
        found.append((Reason.MISCALIBRATED, words))
    if done and (
        (result.stats is None and not (result.stale or result.below_offset))
        or result.unusable
        or result.gap_share > MAX_GAP_SHARE
        or result.longest_gap_periods > BRIDGE_PERIODS
    ):
        words = f"{result.gap_share:.1%} of a window without readings from {power.sensor}"
        if result.unusable:
            words += f"; {result.unusable} of {done} energy rounds could not be used"
        if result.nonsense:
            words += f"; {result.nonsense} readings were negative, absurd or a sudden 0 W"
        found.append((Reason.SENSOR_GAPS, words))
    if result.stale:
        found.append(
            (
                Reason.SENSOR_STALE,
                f"the readings of {power.sensor} do not follow the load: they stay the same",
            )
        )
    if result.stats is None:
        return found
    if result.too_slow:
        found.append((Reason.WINDOW_SHORT, _too_slow_words(result.stats)))
    if result.lag.lag_s is None:
        found.append(
            (
                Reason.LAG_UNKNOWN,
                f"the time constant of {power.sensor} is unknown, so its lag is not corrected "
                f"({result.lag.note})",
            )
        )
    found += _uncertainty_findings(result.stats)
    found += _aliasing_findings(result)
    drift = result.idle_drift_share
    if drift is not None and drift > MAX_ENERGY_UNCERTAINTY:
        # An estimate made from CPU time can only drift when other processes use the CPU.
        modelled = power.source is Source.ESTIMATED and power.sensor == "estimate"
        reason = Reason.BACKGROUND_LOAD if modelled else Reason.IDLE_DRIFT
        found.append(
            (reason, f"idle power drifted: net energy is uncertain by ±{drift:.1%} by that alone")
        )
    return found


def _too_slow_words(stats: EnergyStats) -> str:
    refresh = "" if stats.refresh_s is None else f" every {stats.refresh_s:.2g} s on average"
    return (
        f"the reading of {stats.sensor} changes{refresh}: fewer than {MIN_UPDATES} times in a "
        f"window of {stats.window_s:.1f} s; take a longer one (--window)"
    )


def _aliasing_findings(result: EnergyResult) -> list[Finding]:
    """Return that readings never show some part of the inferences."""
    stats = result.stats
    if stats is None or result.aliasing_share <= MAX_ALIASING:
        return []
    words = (
        f"readings of {stats.sensor} meet the inferences at always the same phases: if power "
        f"swings in between, the energy may be off by {result.aliasing_share:.0%}; change the "
        "sampling period (power.period_s in devices.yaml)"
    )
    return [(Reason.ALIASING, words)]


def _uncertainty_findings(stats: EnergyStats) -> list[Finding]:
    """Blame a total uncertainty above the limit on its largest part."""
    parts, size = stats.uncertainty_parts_j, abs(stats.gross_j)
    limit = f"limit ±{MAX_ENERGY_UNCERTAINTY:.0%}"
    statistical = parts.get("statistical")
    if statistical is None:
        words = "one energy round does not show how much energy varies"
        return [(Reason.CI_WIDE, words)]
    if "quantisation" not in parts:
        words = (
            f"the uncertainty of the energy is unknown: neither the settings of {stats.sensor} nor "
            "its readings show how fine its steps are"
        )
        return [(Reason.CI_WIDE, words)]
    sensor = float(np.linalg.norm([parts.get(name, 0.0) for name in SENSOR_PARTS]))
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
