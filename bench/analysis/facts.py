"""What else the board told of a case, for the report: JSON-able facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from bench.analysis.findings import background_share
from bench.analysis.lag import Lag
from bench.analysis.stats import sampler_effect
from bench.records.facts import TrialFacts
from bench.records.power import PowerSource
from bench.records.recordings import Recording, Round

_OF_SOLO = (
    "runtime_version",
    "providers",
    "provider_options",
    "nodes",
    "cuda_graph",
    "engine",
    "import_s",
)


def board_facts(recording: Recording, power: PowerSource | None, lag: Lag | None) -> TrialFacts:
    """Return what else the board told, and how the energy figure was made up.

    ``temperature_c`` and ``frequency_khz`` are ``[lowest, highest]`` over the rounds of the case;
    ``group``: keys of the cases that were loaded side by side with it.
    """
    solo = recording.solo or {}
    facts: dict[str, Any] = {name: solo[name] for name in _OF_SOLO if solo.get(name) is not None}
    if facts.get("engine", {}).get("cuda_graph") is not None:
        facts["cuda_graph"] = facts["engine"]["cuda_graph"]
    for name in ("warmup", "stopping", "cooldown"):
        record = getattr(recording, name)
        if record is not None:
            facts[name] = _without(record, "kind", "case", "t_ns")
    facts["health"] = _by_place(recording.health)
    if recording.states:
        facts["state"] = _by_place(recording.states)
    for name in ("temperature_c", "frequency_khz"):
        ranges = _ranges(recording.rounds, name)
        if ranges:
            facts[name] = ranges
    facts["background"] = {
        kind: background_share(recording, kind) for kind in ("latency", "energy", "sustain")
    }
    facts["sampler_effect"] = sampler_effect(recording.rounds)
    facts["group"] = list(recording.group)
    facts["loads"] = len({item.load for item in recording.rounds})
    if power is not None:
        facts["power_source"] = {
            "sensor": power.sensor,
            "source": power.source.value,
            "scope": power.scope,
            "unit": power.unit,
            "total": list(power.total),
            "resolution_w": power.resolution_w,
            "why": power.why,
        }
    if power is not None and lag is not None:
        facts["lag"] = {
            "settings_s": power.lag_s,
            "fits_s": list(lag.fits),
            "steps": lag.steps,
            "note": lag.note,
        }
    if recording.failure is not None:
        facts["failure"] = {
            name: recording.failure.get(name) for name in ("reason", "text", "detail")
        }
    if recording.lost:
        facts["lost"] = list(recording.lost)
    return cast(TrialFacts, facts)


def _by_place(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {str(record.get("where")): _without(record, "kind", "where") for record in records}


def _without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


def _ranges(rounds: Sequence[Round], name: str) -> dict[str, list[float]]:
    """Return the lowest and highest value after any round, by zone or CPU."""
    seen: dict[str, list[float]] = {}
    for item in rounds:
        for part, value in ((item.health or {}).get(name) or {}).items():
            seen.setdefault(part, []).append(value)
    return {part: [min(values), max(values)] for part, values in seen.items()}
