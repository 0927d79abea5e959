"""Numbers and statuses as text for people. What was not measured is an em dash, never 0."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.records.artifact import AccuracyStats
from bench.records.figures import Interval, LatencyStats
from bench.records.power import EnergyStats
from bench.records.status import Source, Status, Verdict
from bench.records.trial import Trial

NONE = "—"

_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_JOULES = ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ"))
_WATTS = ((1.0, "W"), (1e-3, "mW"), (1e-6, "µW"))
_BYTES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


def unit_for(value: float, units: Sequence[tuple[float, str]]) -> tuple[float, str]:
    """Return the ``(size, name)`` of the largest unit that makes ``value`` at least 1."""
    for size, name in units:
        if abs(value) >= size:
            return size, name
    return units[0] if value == 0 else units[-1]


def seconds_unit(value_s: float) -> tuple[float, str]:
    """Return the unit for a time."""
    return unit_for(value_s, _SECONDS)


def joules_unit(value_j: float) -> tuple[float, str]:
    """Return the unit for an energy."""
    return unit_for(value_j, _JOULES)


def number(value: float, digits: int = 3) -> str:
    """Return ``value`` with at least ``digits`` significant digits, without exponent."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, decimals)}f}".replace("-", "\N{MINUS SIGN}")


def accuracy(stats: AccuracyStats | None, between: str = " ") -> str:
    """Return a top-1 share such as ``85.0 % (84.3–85.7)``."""
    if stats is None or stats.top1 is None:
        return NONE
    text = f"{100 * stats.top1:.1f} %"
    if stats.top1_low is None or stats.top1_high is None:
        return text
    return f"{text}{between}({100 * stats.top1_low:.1f}–{100 * stats.top1_high:.1f})"


def seconds(value_s: float | None, digits: int = 3) -> str:
    """Return a time such as ``3.21 ms``."""
    return _quantity(value_s, _SECONDS, digits)


def joules(value_j: float | None, digits: int = 3) -> str:
    """Return an energy such as ``12.3 mJ``."""
    return _quantity(value_j, _JOULES, digits)


def watts(value_w: float | None, digits: int = 3) -> str:
    """Return a power such as ``4.56 W``."""
    return _quantity(value_w, _WATTS, digits)


def size(value_bytes: int | None) -> str:
    """Return a size such as ``9.12 MiB``."""
    return _quantity(value_bytes, _BYTES, 3)


def median(stats: LatencyStats | None) -> str:
    """Return the median latency such as ``3.214 ms``."""
    return seconds(None if stats is None else stats.p50_s, 4)


def median_interval(stats: LatencyStats | None) -> str:
    """Return the median's 95 % interval in the unit of the median, ``3.201–3.230``, or nothing."""
    if stats is None or stats.p50_low_s is None or stats.p50_high_s is None:
        return ""
    unit, _ = seconds_unit(stats.p50_s)
    return f"{number(stats.p50_low_s / unit, 4)}–{number(stats.p50_high_s / unit, 4)}"


def time_interval(value_s: float, interval: Interval) -> str:
    """Return a percentile's 95 % interval in the unit of the percentile: ``3.20–3.31``."""
    unit, _ = seconds_unit(value_s)
    return f"{number(interval.low / unit)}–{number(interval.high / unit)}"


def estimated(text: str, source: Source) -> str:
    """Mark a figure that was not measured with ``est.``."""
    return f"est. {text}" if source is Source.ESTIMATED and text != NONE else text


def energy(stats: EnergyStats | None) -> str:
    """Return the gross energy per inference with its uncertainty: ``12.3 mJ ± 0.4``."""
    if stats is None:
        return NONE
    return estimated(_with_half_width(stats.gross_j, stats.uncertainty_j), stats.source)


def net_energy(stats: EnergyStats | None) -> str:
    """Return the energy per inference above the idle line with its uncertainty."""
    if stats is None or stats.net_j is None:
        return NONE
    return estimated(_with_half_width(stats.net_j, stats.net_uncertainty_j), stats.source)


def power(stats: EnergyStats | None) -> str:
    """Return the mean power in the energy windows."""
    return NONE if stats is None else estimated(watts(stats.power_w), stats.source)


def source(stats: EnergyStats | None) -> str:
    """Return where an energy comes from and what it covers: ``measured · module · ina3221``, and
    whether its sensor is calibrated."""
    if stats is None:
        return NONE
    words = [stats.source.value, stats.scope]
    if not stats.source.value.startswith(stats.sensor):
        words.append(stats.sensor)
    if stats.calibration is not None:
        words.append("calibrated")
    return " · ".join(words)


def status(trial: Trial) -> str:
    """Return a short status: ``valid``, ``failed: crash``, ``latency: interrupted; ...``."""
    verdicts = {
        "latency": trial.latency_status,
        "energy": trial.energy_status,
        "memory": trial.memory_status,
    }
    for final in (Status.FAILED, Status.SKIPPED):
        judged = [v for v in verdicts.values() if v.status is final]
        if judged:
            return verdict(judged[0])
    groups: dict[str, list[str]] = {}
    for quantity, judgement in verdicts.items():
        if judgement.status is not Status.VALID:
            groups.setdefault(reason_words(judgement), []).append(quantity)
    return "; ".join(f"{', '.join(who)}: {why}" for why, who in groups.items()) or "valid"


def verdict(judged: Verdict) -> str:
    """Return a verdict in short words, nothing for ``valid``: ``failed: crash``, ``wide interval``.

    What is inconclusive has a number that stands beside these words, so they are the reasons alone.
    """
    if judged.status is Status.VALID:
        return ""
    words = reason_words(judged)
    return words if judged.status is Status.INCONCLUSIVE else f"{judged.status.value}: {words}"


def judgement(judged: Verdict) -> str:
    """Return a verdict in words: ``inconclusive: window short``; nothing for valid."""
    if judged.status is Status.VALID:
        return ""
    word = status_word(judged.status)
    return f"{word}: {reason_words(judged)}" if judged.reasons else word


def status_word(found: Status) -> str:
    """Return a status for people."""
    return "not measured" if found is Status.UNMEASURED else found.value


def reason_words(judged: Verdict) -> str:
    """Return the reasons of a verdict in words, or its status when there are none."""
    return ", ".join(reason.words for reason in judged.reasons) or judged.status.value


def worst_status(trial: Trial) -> Status:
    """Return the status that decides how a trial is marked."""
    order = (Status.FAILED, Status.SKIPPED, Status.INCONCLUSIVE, Status.UNMEASURED)
    found = {verdict.status for verdict in trial.verdicts}
    return next((status for status in order if status in found), Status.VALID)


def plain(text: str) -> str:
    """Return text for one line of a chart: control characters and line breaks are made visible."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def _quantity(value: float | None, units: Sequence[tuple[float, str]], digits: int) -> str:
    if value is None:
        return NONE
    unit, name = unit_for(value, units)
    return f"{number(value / unit, digits)} {name}"


def _with_half_width(value_j: float, half_width_j: float | None) -> str:
    unit, name = joules_unit(max(abs(value_j), half_width_j or 0.0))
    if not half_width_j:
        text = number(value_j / unit)
        return f"{text} {name}" if half_width_j is None else f"{text} ± 0 {name}"
    half = number(half_width_j / unit, 2)
    decimals = len(half.partition(".")[2])
    text = f"{value_j / unit:.{decimals}f}".replace("-", "\N{MINUS SIGN}")
    return f"{text} ± {half} {name}"
