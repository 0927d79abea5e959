"""What stands behind the figures of a case, in words: intervals, uncertainty, sensor, board."""

from __future__ import annotations

from collections.abc import Iterator

from bench.records.artifact import AccuracyStats, TrainingFacts
from bench.records.facts import LagFacts, TrialFacts
from bench.records.figures import Interval, LatencyStats, SustainStats
from bench.records.power import EnergyStats, PowerCalibration
from bench.records.trial import Trial
from bench.report import format as fmt
from bench.report.energy_parts import PARTS
from bench.report.engine import engine_details
from bench.report.meter import meter_details

Detail = tuple[str, str]
"""A name and a text."""

_LAG_FROM = {
    "step": "from its response to a load step",
    "settings": "from its settings",
    "none": "unfiltered",
}
_STOPPING = {
    "target": "the wanted precision was reached",
    "settled": "more rounds would not have reached the wanted precision",
    "loads": "the fresh loads differ, which more rounds would not have changed",
    "max-rounds": "the largest number of rounds was reached",
    "max-time": "the time was up",
}
_TAILS = {
    "order-statistic": "order statistics",
    "rounds": "order statistics at ranks from the scatter of the rounds, since neighbouring "
    "inferences are correlated",
    "loads": "the percentiles of the fresh loads",
}


def details(trial: Trial) -> list[Detail]:
    """Return everything that is known about how sure a trial's figures are."""
    found: list[Detail] = list(_solo(trial))
    if trial.latency is not None:
        found += _latency(trial.latency)
    if trial.energy is not None:
        found += _energy(trial.energy, trial.facts.get("lag", {}))
        why = trial.facts.get("power_source", {}).get("why")
        found += [("why this power source", str(why))] if why else []
    if trial.artifact is not None and trial.artifact.shares:
        found.append(("weights", "from shared templates, generated before the first inference"))
    if trial.artifact is not None and trial.artifact.training is not None:
        found += _training(trial.artifact.training)
    if trial.accuracy is not None:
        found += _accuracy(trial.accuracy)
    if trial.sustain is not None:
        found += _sustain(trial.sustain)
    found += meter_details(trial)
    found += engine_details(trial)
    found += _board(trial.facts)
    return [(name, fmt.plain(text)) for name, text in found]


def _solo(trial: Trial) -> Iterator[Detail]:
    """What the pass of the case alone showed."""
    if trial.load is not None:
        first = fmt.seconds(trial.load.first_s)
        yield "load time", f"{fmt.seconds(trial.load.load_s)}, then {first} for the first inference"
    if trial.parity is not None:
        outcome = "passed" if trial.parity.passed else "failed"
        error = trial.parity.max_rel_error
        largest = "" if error is None else f" (largest error {error:.1g} of the largest output)"
        yield "parity with the reference", outcome + largest


def _latency(stats: LatencyStats) -> Iterator[Detail]:
    yield "inferences", f"{stats.samples} in {stats.rounds} rounds"
    yield "throughput", f"{fmt.number(stats.throughput_per_s)} inputs per second"
    interval = fmt.median_interval(stats)
    if interval:
        batches = f", from {stats.p50_method}" if stats.p50_method else ""
        yield "p50", f"{fmt.median(stats)} (95 %: {interval}{batches})"
    for name, value_s, ci in (
        ("p90", stats.p90_s, stats.p90_ci),
        ("p95", stats.p95_s, stats.p95_ci),
        ("p99", stats.p99_s, stats.p99_ci),
    ):
        if value_s is None:
            yield name, "too few inferences"
        elif ci is None:
            yield name, f"{fmt.seconds(value_s)} (no interval: too few independent inferences)"
        else:
            yield name, fmt.seconds(value_s) + _interval(value_s, ci)
    if stats.tail_method is not None:
        yield "intervals of percentiles by", _TAILS.get(stats.tail_method, stats.tail_method)
    if stats.autocorrelation is not None and stats.effective_samples is not None:
        yield (
            "independence",
            f"neighbouring inferences correlate by {stats.autocorrelation:.2f}; all together tell "
            f"as much as {stats.effective_samples:.0f} independent ones",
        )
    if stats.queue_mean_s is not None:
        yield "mean time in the queue", fmt.seconds(stats.queue_mean_s)
    if stats.copy_p50_s is not None:
        yield "copies, p50", fmt.seconds(stats.copy_p50_s)
    if stats.compute_p50_s is not None:
        yield "compute, p50", fmt.seconds(stats.compute_p50_s)


def _interval(value_s: float, ci: Interval | None) -> str:
    return "" if ci is None else f" (95 %: {fmt.time_interval(value_s, ci)})"


def _energy(stats: EnergyStats, lag: LagFacts) -> Iterator[Detail]:
    yield "energy windows", f"{stats.rounds} of {stats.window_s:.2f} s"
    for name, part_j in stats.uncertainty_parts_j.items():
        if part_j > 0:
            share = f" ({part_j / stats.gross_j:.2%} of gross)" if stats.gross_j else ""
            words = PARTS[name][0] if name in PARTS else name
            yield f"uncertainty: {words}", f"±{fmt.joules(part_j, 2)}{share}"
    if stats.calibration is not None:
        yield from _calibration(stats, stats.calibration)
    elif stats.gain_error is not None:
        yield "gain error of the sensor", f"within {stats.gain_error:.0%}, not in the uncertainty"
    if stats.lag_s is None:
        yield "time constant of the sensor", "unknown: its lag is not corrected"
    else:
        origin = _LAG_FROM.get(stats.lag_from or "", "")
        known = f" ± {fmt.seconds(stats.lag_uncertainty_s, 2)}" if stats.lag_uncertainty_s else ""
        value = "0 s" if stats.lag_s == 0 else fmt.seconds(stats.lag_s)
        yield "time constant of the sensor", f"{value}{known} {origin}".strip()
    if lag.get("note"):
        yield "on the time constant", lag["note"]
    if stats.lag_s:
        yield "without lag correction", fmt.joules(stats.uncorrected_j)
    if stats.refresh_s is not None:
        yield "the reading changes", f"every {fmt.seconds(stats.refresh_s)} on average"
    if stats.read_s is not None:
        yield "one reading takes", fmt.seconds(stats.read_s)
    yield "idle power", fmt.watts(stats.idle_w)


def _calibration(stats: EnergyStats, found: PowerCalibration) -> Iterator[Detail]:
    """What has corrected the figures, and how well it is known at their power."""
    yield (
        "the sensor is",
        f"{found.words}: its readings are {found.offset_w:.3g} W + {found.gain:.4g} · power; "
        "figures and charts are corrected, raw readings are not",
    )
    if stats.gain_error is not None:
        own = "with the meter's own error"
        if found.meter_gain_error is None:
            own = "without the meter's own error, which is not stated"
        yield (
            "error of the calibration",
            f"within {100 * stats.gain_error:.2g} % at {fmt.power(stats)}, {own}; not in the "
            "uncertainty",
        )
    if not found.low_w <= stats.power_w <= found.high_w:
        yield (
            "beyond the calibration",
            f"it was made from {fmt.watts(found.low_w)} to {fmt.watts(found.high_w)}",
        )


def _training(training: TrainingFacts) -> Iterator[Detail]:
    parts = [f"seed {training.seed}"]
    if training.epochs is not None:
        parts.append(f"{training.epochs} epochs")
    if training.test_top1 is not None:
        on = "" if training.test_images is None else f" of {training.test_images} test images"
        parts.append(f"{100 * training.test_top1:.2f} % top-1{on}")
    data = "" if training.data is None else f" on {training.data}"
    yield f"trained{data}", ", ".join(parts)


def _accuracy(stats: AccuracyStats) -> Iterator[Detail]:
    counted = f"{stats.dataset.images} images of {stats.dataset.name}"
    if stats.problem:
        yield "accuracy", f"none on {counted}: {stats.problem}"
        return
    yield "top-1 on the board", f"{fmt.accuracy(stats)}, {counted}"
    if stats.top5 is not None:
        yield "top-5 on the board", f"{100 * stats.top5:.1f} %"


def _sustain(stats: SustainStats) -> Iterator[Detail]:
    yield "at the start of the load, p50", fmt.seconds(stats.first_p50_s, 4)
    if stats.steady_p50_s is None:
        yield "under sustained load", "latency was still changing at the end"
        return
    power = "" if stats.steady_power_w is None else f" at {fmt.watts(stats.steady_power_w)}"
    yield (
        "under sustained load, p50",
        f"{fmt.seconds(stats.steady_p50_s, 4)}{power}, steady from {stats.steady_from_s:.0f} s on",
    )


def _board(facts: TrialFacts) -> Iterator[Detail]:
    warmup = facts.get("warmup", {})
    if "took_s" in warmup:
        state = "steady" if warmup.get("steady") else "not steady"
        yield "warm-up", f"{warmup['took_s']:.1f} s, {state} after {warmup.get('runs', '?')} runs"
    stopping = facts.get("stopping", {})
    if "reason" in stopping:
        words = _STOPPING.get(stopping["reason"], stopping["reason"])
        yield "latency rounds ended", f"after {stopping.get('rounds', '?')}: {words}"
    if facts.get("loads", 0) > 1:
        yield "fresh loads", str(facts["loads"])
    effect = facts.get("sampler_effect")
    if effect is not None:
        yield "p50 with the power sampler running", f"{effect - 1:+.2%}"
    for kind, share in facts.get("background", {}).items():
        if share is not None:
            yield f"other processes, {kind} rounds", f"{share:.1%} of the CPU time"
    for zone, (low, high) in facts.get("temperature_c", {}).items():
        yield f"temperature {zone}", f"{low:.1f}–{high:.1f} °C"
    for cpu, (low, high) in facts.get("frequency_khz", {}).items():
        yield f"clock {cpu}", f"{low / 1e3:.0f}–{high / 1e3:.0f} MHz"
    cooldown = facts.get("cooldown", {})
    if cooldown.get("took_s") is not None:
        reached = "reached" if cooldown.get("reached") else "not reached"
        yield "cool-down", f"{cooldown['took_s']:.0f} s, {cooldown.get('wanted_c')} °C {reached}"
    group = facts.get("group", [])
    if group:
        yield "loaded side by side", f"{len(group)} cases"
