"""Whether a board's power sensors can be read, and whether what they say makes sense."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.onboarding.checks import Check, Facts, does_not_apply, failed, passed
from bench.records.power import PowerSource
from bench.records.status import Source, Verdict

LEAST_RISE = 0.02
"""What all CPUs busy must add to the power at rest, relative."""
MOST_W = 1000.0
"""No board draws more."""
NOT_THE_CPU = ("nvml",)
"""Sensors that see a GPU alone: a load on the CPUs says nothing about them."""


def sensor_checks(
    facts: Facts,
    deep: Facts | None,
    power: PowerSource | None,
    verdict: Verdict,
    *,
    is_named: bool,
) -> Iterator[Check]:
    """Yield a check of each sensor, of the source of energy, and of its plausibility.

    ``deep`` is ``None`` where the board could not be examined further. ``is_named``: devices.yaml
    names the sensor, without which nothing is measured then.
    """
    loads = {} if deep is None else {load["sensor"]: load for load in deep["loads"]}
    for sensor in facts["sensors"]:
        name = f"sensor {sensor['name']}"
        if sensor["problem"] and power is not None and _is_better(power, sensor["name"]):
            yield does_not_apply(name, f"not needed beside {power.sensor}: {sensor['problem']}")
        elif sensor["problem"]:
            yield failed(name, sensor["problem"], "do what it says, or force another: power.sensor")
        else:
            yield _readable(name, sensor, loads.get(sensor["name"]))
    if power is None and is_named:
        fix = "correct `power.sensor` or `power.total` in devices.yaml, or leave it to `auto`"
        yield failed("energy", verdict.detail, fix, prevents=True)
        return
    if power is None:
        yield does_not_apply("energy", f"none: {verdict.detail}")
        return
    total = " + ".join(power.total)
    yield passed("energy", f"{power.sensor}: {total} ({power.scope}, {power.source})")
    if power.source is Source.ESTIMATED:
        yield does_not_apply("power is plausible", "it is estimated, not measured")
    elif deep is not None:
        yield _plausible(power, loads.get(power.sensor), deep)


def _is_better(power: PowerSource, name: str) -> bool:
    """Whether energy is measured by something else than a sensor anyway."""
    return power.source is not Source.ESTIMATED and power.sensor != name


def _readable(name: str, sensor: Mapping[str, Any], load: Facts | None) -> Check:
    bad = [channel["name"] for channel in sensor["channels"] if channel.get("problem")]
    parts = [", ".join(channel["name"] for channel in sensor["channels"]), sensor["source"]]
    if sensor.get("scope"):
        parts.append(f"scope {sensor['scope']}")
    if sensor["read_s"] is not None:
        parts.append(f"a read takes {sensor['read_s'] * 1e3:.2g} ms")
    if sensor["lag_s"] is not None:
        parts.append(f"filter {sensor['lag_s']:.2g} s")
    if load is not None and load["change_s"] is not None:
        parts.append(f"refreshes every {load['change_s'] * 1e3:.0f} ms")
    found = "; ".join(parts)
    if load is not None and load["problem"]:
        return failed(name, load["problem"], "look at `dmesg` on the board")
    if bad:
        return failed(name, f"{found}; cannot be read: {', '.join(bad)}", "look at `dmesg` there")
    if load is not None and load["failed_reads"]:
        fix = "reads that fail become gaps; look at `dmesg` on the board"
        return failed(name, f"{found}; {load['failed_reads']} of {load['reads']} reads failed", fix)
    return passed(name, found)


def _plausible(power: PowerSource, load: Facts | None, deep: Facts) -> Check:
    name = "power is plausible"
    rails = {} if load is None else {rail["name"]: rail for rail in load["channels"]}
    idle = _sum(rails, power.total, "idle_w")
    busy = _sum(rails, power.total, "busy_w")
    if idle is None or busy is None:
        return failed(name, "the total could not be read", "see the sensor above")
    found = f"{idle:.2f} W at rest, {busy:.2f} W with all CPUs busy"
    if not 0 < idle < MOST_W or not 0 < busy < MOST_W:
        fix = "no board draws that: check which rails are the total (power.total) and their shunts"
        return failed(name, found, fix)
    if power.sensor in NOT_THE_CPU:
        return passed(name, f"{found} (it sees the GPU alone)")
    if load is not None and load["change_s"] is None:
        fix = f"it never changed in {deep['busy_s']:g} s of load: is the driver stuck?"
        return failed(name, found, fix)
    if busy < idle * (1 + LEAST_RISE):
        fix = "it does not rise under load: check which rails are the total (power.total)"
        return failed(name, found, fix)
    return passed(name, found)


def _sum(rails: Mapping[str, Facts], total: Sequence[str], key: str) -> float | None:
    values = [rails[name][key] if name in rails else None for name in total]
    known = [float(value) for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
