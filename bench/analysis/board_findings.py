"""What the board did to the measurement: throttling, clocks, mode, temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.analysis.sustain import hottest_c
from bench.analysis.throttling import throttled
from bench.records.recordings import Recording, Round
from bench.records.status import Reason

MAX_RISE_K = 10.0
"""How much hotter a board may become from its first to its last rounds: leakage, and power with
it, rises with temperature by about 1 % in 10 K. Latency depends on temperature only through clocks
and throttling, which are watched by themselves, so that this speaks against energy alone."""

MIN_CLOCK_SHARE = 0.98
"""A pinned clock that is found below this share of its pin was not kept."""

_LIMITS = ("governor", "frequency_min_khz", "frequency_max_khz")

Finding = tuple[Reason, str]
"""A reason and what it is in this case, in words."""


def board_findings(recording: Recording, kinds: Sequence[str]) -> list[Finding]:
    """Return what the board did during the rounds of these kinds."""
    found: list[Finding] = []
    cause = throttled(recording, kinds)
    if cause:
        found.append((Reason.THROTTLED, f"the board throttled: {cause}"))
    before, after = _ends(recording)
    changed = _limit_changes(before, after)
    if changed:
        found.append((Reason.CLOCK_CHANGED, f"changed between start and end: {changed}"))
    fallen = _fallen_clocks(before, [item for item in recording.rounds if item.kind in kinds])
    if fallen:
        found.append((Reason.CLOCK_CHANGED, fallen))
    modes = before.get("power_mode"), after.get("power_mode")
    if None not in modes and modes[0] != modes[1]:
        words = f"the power mode changed from {modes[0]} to {modes[1]}"
        found.append((Reason.MODE_CHANGED, words))
    elif after.get("problem") and not changed:
        words = f"the board did not keep the state asked for: {after['problem']}"
        found.append((Reason.CLOCK_CHANGED, words))
    cooldown = recording.cooldown or {}
    if not cooldown.get("reached", True) and cooldown.get("temperature_c") is not None:
        words = (
            f"the board did not cool down to {cooldown.get('wanted_c')} °C: it had "
            f"{cooldown['temperature_c']} °C after {cooldown.get('took_s') or 0:.0f} s"
        )
        found.append((Reason.TEMPERATURE, words))
    return found


def temperature_rise(recording: Recording) -> list[Finding]:
    """Return what warming up during the energy rounds says against the energy."""
    hottest = hottest_c([item for item in recording.rounds if item.kind == "energy"])
    if len(hottest) < 2:
        return []
    few = max(1, len(hottest) // 5)
    first_c, last_c = float(np.mean(hottest[:few])), float(np.mean(hottest[-few:]))
    if last_c - first_c <= MAX_RISE_K:
        return []
    words = f"the board warmed up from {first_c:.0f} to {last_c:.0f} °C during the energy rounds"
    return [(Reason.TEMPERATURE, words)]


def _ends(recording: Recording) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the board's settings when measuring began and after the last round.

    Where a job changed the board's state, the health record before it may be older than that.
    """
    health = {str(record.get("where")): record for record in recording.health}
    states = {str(record.get("where")): record for record in recording.states}
    before = states.get("set") or states.get("before") or health.get("before") or {}
    return before, states.get("after") or health.get("after") or {}


def _limit_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return which CPUs have another governor or frequency limit at the end than at the start."""
    changes = []
    for key in _LIMITS:
        old, new = before.get(key) or {}, after.get(key) or {}
        for cpu in sorted(old.keys() & new.keys()):
            if old[cpu] != new[cpu]:
                changes.append(f"{cpu} {key} {old[cpu]} -> {new[cpu]}")
    return ", ".join(changes)


def _pins_khz(state: Mapping[str, Any]) -> dict[str, float]:
    """Return the clock of each CPU whose limits leave it only one."""
    lows, highs = state.get("frequency_min_khz") or {}, state.get("frequency_max_khz") or {}
    return {cpu: float(lows[cpu]) for cpu in lows if lows[cpu] == highs.get(cpu)}


def _fallen_clocks(before: Mapping[str, Any], rounds: Sequence[Round]) -> str:
    """Return the lowest clock seen after a round where clocks were pinned higher."""
    pins = _pins_khz(before)
    worst = (1.0, "")
    for item in rounds:
        for cpu, khz in ((item.health or {}).get("frequency_khz") or {}).items():
            if cpu in pins and pins[cpu] > 0:
                worst = min(worst, (khz / pins[cpu], cpu))
    share, cpu = worst
    if share >= MIN_CLOCK_SHARE:
        return ""
    return f"{cpu} ran at {share:.0%} of the {pins[cpu] / 1e3:.0f} MHz that it was pinned to"
