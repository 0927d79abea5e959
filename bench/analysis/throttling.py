"""What throttled a board, from its counters and alerts.

``oc*`` counters (over-current and under-voltage events of NVIDIA's SOC_THERM) only rise, and so do
flags that stay up ``since boot`` (a Raspberry Pi's firmware): two readings are subtracted.
Everything else is a state that is above 0 while it throttles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.records.recordings import Recording

CAUSES = {
    "oc1": "under-voltage",
    "oc2": "average current too high",
    "oc3": "instantaneous current too high",
}
"""What the events of a counter mean (Jetson Linux developer guide, SOC_THERM OC alarms)."""


def throttle_rise(before: Mapping[str, int] | None, after: Mapping[str, int]) -> dict[str, int]:
    """Return ``{counter: events}`` of what throttled between two readings; empty: nothing did."""
    found = {}
    for name, value in after.items():
        counts = name.startswith("oc") or name.endswith(" since boot")
        if counts and before is None:
            continue  # Events since boot say nothing of this job.
        rise = value - (before or {}).get(name, value) if counts else value
        if rise > 0:
            found[name] = rise
    return found


def cause(counter: str) -> str:
    """Return in words why a counter or alert throttles."""
    if counter in CAUSES:
        return f"{CAUSES[counter]} ({counter})"
    if counter.endswith("-throttle-alert"):
        return f"too hot ({counter})"
    return counter


def throttled(recording: Recording, kinds: Sequence[str]) -> str:
    """Return in words what throttled the rounds of these kinds, empty when nothing did.

    Where rounds were not looked at one by one, everything between the health before and after the
    job counts.
    """
    rounds = [item for item in recording.rounds if item.kind in kinds]
    if any(item.throttled is not None for item in rounds):
        hit: dict[str, int] = {}
        for item in rounds:
            for name in item.throttled or {}:
                hit[name] = hit.get(name, 0) + 1
        return ", ".join(
            f"{cause(name)} in {count} of {len(rounds)} rounds" for name, count in hit.items()
        )
    ends: dict[str, Any] = {str(r.get("where")): r.get("throttle") for r in recording.health}
    rise = throttle_rise(ends.get("before"), ends.get("after") or {})
    return ", ".join(f"{cause(name)} during the job" for name in rise)
