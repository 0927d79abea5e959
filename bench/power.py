"""Chooses a device's power source from what its board offers and what its owner asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.boards.spec import Board
from bench.config import PowerSettings
from bench.records import PowerSource
from bench.status import Reason, Source, Status, Verdict

# Measured before counted before estimated; a replayed trace, the counter of a GPU alone, and the
# sensors of plug-ins, whose worth nobody here knows, are used only when they are asked for.
_AUTO_ORDER = ("ina3221", "rapl", "estimate")

Sensor = Mapping[str, Any]


def sensor_options(settings: PowerSettings) -> dict[str, dict[str, Any]]:
    """Return what the agent's probe must know to describe the sensors that need options."""
    options: dict[str, dict[str, Any]] = {}
    if settings.estimate is not None:
        options["estimate"] = settings.estimate.model_dump()
    if settings.replay is not None:
        options["replay"] = {"path": settings.replay.path, "loop": settings.replay.loop}
    if settings.options is not None:
        options[settings.sensor] = settings.options
    return options


def choose_power(
    board: Board, sensors: Sequence[Sensor], settings: PowerSettings, *, estimates: bool
) -> tuple[PowerSource | None, Verdict]:
    """Return the power source, or ``None``; the verdict says in words why it is what it is.

    Args:
        board: facts that say which rails make up the total.
        sensors: the probe's ``sensors``: each with name, source, unit, channels, problem.
        settings: ``power`` of the device in devices.yaml.
        estimates: whether an estimate may take the place of a measurement.
    """
    if settings.sensor == "none":
        return None, _unmeasured(Reason.DECLINED, "power.sensor is 'none' in devices.yaml")
    names = _AUTO_ORDER if settings.sensor == "auto" else (settings.sensor,)
    found = {str(sensor["name"]): sensor for sensor in sensors}
    problems: list[str] = []
    for name in names:
        sensor = found.get(name)
        if sensor is None:
            continue
        if sensor["source"] == Source.ESTIMATED and not estimates:
            # A replayed trace is no measurement of this load either.
            problems.append(f"estimates declined ({name})")
            return None, _unmeasured(Reason.DECLINED, "; ".join(problems))
        source, problem = _source(board, sensor, settings)
        if source is not None:
            return source, Verdict(status=Status.VALID, detail="; ".join(problems))
        problems.append(f"{name}: {problem}")
    if settings.sensor == "auto" and settings.estimate is None:
        problems.append(
            "no power sensor found; state a model in devices.yaml (power.estimate) to estimate"
        )
    if not problems:
        problems.append(f"{settings.sensor}: not found on the board")
    if board.note:
        problems.insert(0, board.note)
    return None, _unmeasured(Reason.NO_SENSOR, "; ".join(problems))


def _unmeasured(reason: Reason, detail: str) -> Verdict:
    return Verdict(status=Status.UNMEASURED, reasons=(reason,), detail=detail)


def _source(
    board: Board, sensor: Sensor, settings: PowerSettings
) -> tuple[PowerSource | None, str]:
    if sensor.get("problem"):
        return None, str(sensor["problem"])
    channels = {str(channel["name"]): channel for channel in sensor["channels"]}
    total, problem = _total(board, str(sensor["name"]), channels, settings)
    if problem:
        return None, problem
    steps = [channels[name].get("resolution_w") for name in total]
    known = [step for step in steps if step is not None]
    rails = sensor["name"] == "ina3221"
    return (
        PowerSource(
            sensor=str(sensor["name"]),
            source=Source(sensor["source"]),
            scope=settings.scope or _scope(board, sensor, settings),
            total=total,
            channels=total,
            unit=sensor["unit"],
            lag_s=sensor.get("lag_s"),
            # Independent rounding of each rail: the steps of a sum add in the worst case.
            resolution_w=sum(known) if len(known) == len(steps) else None,
            gain_error=board.gain_error if rails else None,
            note=_note(sensor, settings),
            options=sensor_options(settings).get(str(sensor["name"]), {}),
        ),
        "",
    )


def _total(
    board: Board, name: str, channels: Mapping[str, Sensor], settings: PowerSettings
) -> tuple[tuple[str, ...], str]:
    if name == "ina3221":
        wanted = settings.total or board.total
        if not wanted:
            rails = ", ".join(channels)
            return (), f"it is not known which of {rails} is the total; name it as power.total"
    else:
        # `power.total` names rails; the other sources have no choice of channels.
        wanted = tuple(channels)
    for rail in wanted:
        if rail not in channels:
            return (), f"rail {rail} of the total is not there (found: {', '.join(channels)})"
        if channels[rail].get("problem"):
            return (), f"rail {rail} of the total {channels[rail]['problem']}"
    return wanted, ""


def _scope(board: Board, sensor: Sensor, settings: PowerSettings) -> str:
    if sensor["name"] == "ina3221":
        return board.scope if settings.total is None else "rails named in devices.yaml"
    if sensor["name"] == "replay" and settings.replay is not None:
        return settings.replay.scope
    return str(sensor.get("scope") or "unknown")


def _note(sensor: Sensor, settings: PowerSettings) -> str:
    if sensor["name"] == "estimate" and settings.estimate is not None:
        model = settings.estimate
        return (
            f"estimated from CPU use: {model.idle_w:g} W idle and {model.busy_w:g} W with all "
            "CPUs busy are assumptions of devices.yaml; ± says how well it repeats, no more"
        )
    if sensor["name"] == "replay":
        return "replayed from a recorded trace; this board was not measured"
    return ""
