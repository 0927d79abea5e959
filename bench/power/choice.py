"""Chooses a device's power source from what its board offers and what its owner asks for.

Left to itself (``auto``) it takes the first of :data:`AUTO_ORDER` that can be read and covers a
total: measured before counted before estimated, the whole board before a part of it, and a direct
reading before one by way of a service. What covers something else than the machine that runs the
model, or only at times, is never chosen by itself (:data:`ONLY_WHEN_NAMED`), nor is a sensor of a
plug-in, whose worth nobody here knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.boards.spec import Board
from bench.config.power_settings import PowerSettings
from bench.errors import ConfigError
from bench.power.totals import RAILS, Sensor, Unfit, step_w, total_of
from bench.records.power import PowerCalibration, PowerSource
from bench.records.status import Reason, Source, Status, Verdict

AUTO_ORDER = {
    "ina3221": "the board's own rails come first",
    "ina2xx": "the board's own rails come first",
    "rpi-pmic": "the rails of the board's power chip are measured",
    "jtop": "the board's own rails, by way of jtop's service",
    "rapl": "a counter of the processor comes before an estimate",
    "estimate": "nothing here can be measured",
}
"""Sensors in the order in which they are tried, and why each is taken."""

ONLY_WHEN_NAMED = {
    "nvml": "it covers the GPU alone",
    "battery": "it works on battery only, and renews its value too seldom",
    "command": "bench cannot know what it measures",
    "replay": "it is no measurement of this load",
}
"""Sensors that are never chosen by themselves, and why not."""


def asked(settings: PowerSettings, sensor: str | None) -> PowerSettings:
    """Return a device's settings with the sensor that a run names (``None``: it names none).

    Raises:
        ConfigError: that sensor needs a setting which the device does not have.
    """
    if sensor is None or sensor == settings.sensor:
        return settings
    # Options are for the plug-in that devices.yaml names.
    changed = settings.model_copy(update={"sensor": sensor, "options": None})
    if changed.lacks:
        raise ConfigError(changed.lacks)
    return changed


def sensor_options(settings: PowerSettings) -> dict[str, dict[str, Any]]:
    """Return what the agent's probe must know to describe the sensors that need options."""
    options: dict[str, dict[str, Any]] = {}
    if settings.estimate is not None:
        options["estimate"] = settings.estimate.model_dump()
    if settings.replay is not None:
        options["replay"] = {"path": settings.replay.path, "loop": settings.replay.loop}
    if settings.command is not None:
        options["command"] = {"argv": list(settings.command.run), "scope": settings.command.scope}
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
        return None, _unmeasured(
            Reason.NOT_ASKED, "no energy asked for (--power none, or power.sensor none)"
        )
    # A total names rails, so that nothing without rails takes its place.
    every = tuple(AUTO_ORDER) if settings.total is None else RAILS
    names = every if settings.sensor == "auto" else (settings.sensor,)
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
        try:
            source = _source(board, sensor, settings, _why(name, settings, found, problems))
        except Unfit as unfit:
            problems.append(f"{name}: {unfit}")
        else:
            return source, Verdict(status=Status.VALID, detail="; ".join(problems))
    return None, _unmeasured(Reason.NO_SENSOR, _why_nothing(board, settings, found, problems))


def period_s(settings: PowerSettings, power: PowerSource | None) -> float:
    """Return the time between two readings: what devices.yaml says, else what suits the sensor."""
    if power is None or power.period_s is None or "period_s" in settings.model_fields_set:
        return settings.period_s
    return max(settings.period_s, power.period_s)


def _unmeasured(reason: Reason, detail: str) -> Verdict:
    return Verdict(status=Status.UNMEASURED, reasons=(reason,), detail=detail)


def _why(
    name: str, settings: PowerSettings, found: Mapping[str, Sensor], problems: Sequence[str]
) -> str:
    """Say why a sensor is taken, and why others were not."""
    if settings.sensor != "auto":
        return f"{name} was asked for by name"
    text = f"auto: {AUTO_ORDER[name]}"
    if problems:
        text += f"; passed over: {'; '.join(problems)}"
    left = [f"{other} ({ONLY_WHEN_NAMED[other]})" for other in found if other in ONLY_WHEN_NAMED]
    return text + (f"; only when named: {', '.join(left)}" if left else "")


def _why_nothing(
    board: Board,
    settings: PowerSettings,
    found: Mapping[str, Sensor],
    problems: Sequence[str],
) -> str:
    said = list(problems)
    if settings.sensor == "auto" and settings.total is not None:
        said = said or [f"no sensor has the rails of power.total: {', '.join(settings.total)}"]
    elif settings.sensor == "auto":
        left = [name for name in found if name in ONLY_WHEN_NAMED]
        said += [f"{name} is there, but only used when named" for name in left]
        if settings.estimate is None:
            said.append(
                "no power sensor found; state a model in devices.yaml (power.estimate) to estimate"
            )
    if not said:
        said.append(f"{settings.sensor}: not found on the board")
    return "; ".join([board.note, *said] if board.note else said)


def _source(board: Board, sensor: Sensor, settings: PowerSettings, why: str) -> PowerSource:
    """Return a sensor as the source.

    Raises:
        Unfit: it cannot be read, or has no channels that are the total.
    """
    name = str(sensor["name"])
    if sensor.get("problem"):
        raise Unfit(str(sensor["problem"]))
    channels = {str(channel["name"]): channel for channel in sensor["channels"]}
    total = total_of(board, name, channels, settings)
    steps = [
        step_w(name, channels[channel], rail)
        for channel, rail in zip(total.channels, total.rails, strict=True)
    ]
    known = [step for step in steps if step is not None]
    gain_error = sensor.get("gain_error")
    if gain_error is None and name in RAILS:
        gain_error = board.gain_error
    source = PowerSource(
        sensor=name,
        source=Source(sensor["source"]),
        scope=settings.scope or _scope(board, sensor, settings),
        total=total.channels,
        channels=total.channels,
        unit=sensor["unit"],
        lag_s=sensor.get("lag_s"),
        # Independent rounding of each rail: the steps of a sum add in the worst case.
        resolution_w=sum(known) if len(known) == len(steps) else None,
        gain_error=gain_error,
        note=_note(board, sensor, settings),
        options=sensor_options(settings).get(name, {}),
        refresh_s=sensor.get("refresh_s"),
        period_s=sensor.get("period_s"),
        why=why,
    )
    return _calibrated(source, settings.calibration)


def _calibrated(source: PowerSource, calibration: PowerCalibration | None) -> PowerSource:
    """Return a source with the calibration that was made for it; else it says why it has none."""
    if calibration is None:
        return source
    made_for = f"{calibration.sensor} ({', '.join(calibration.total)})"
    here = f"{source.sensor} ({', '.join(source.total)})"
    if source.source is Source.ESTIMATED:
        said = f"power.calibration of {made_for} is not applied: {source.sensor} is no sensor"
    elif (calibration.sensor, sorted(calibration.total)) != (source.sensor, sorted(source.total)):
        said = f"power.calibration is not applied: it was made for {made_for}, not for {here}"
    else:
        said = calibration.words
        if calibration.meter_gain_error is None:
            said += ", whose own gain error is not stated"
        source = source.model_copy(update={"calibration": calibration})
    return source.model_copy(update={"note": "; ".join(filter(None, (source.note, said)))})


def _scope(board: Board, sensor: Sensor, settings: PowerSettings) -> str:
    name = sensor["name"]
    if name in RAILS:
        return board.scope if settings.total is None else "rails named in devices.yaml"
    if name == "replay" and settings.replay is not None:
        return settings.replay.scope
    return str(sensor.get("scope") or "unknown")


def _note(board: Board, sensor: Sensor, settings: PowerSettings) -> str:
    name = sensor["name"]
    if name == "estimate" and settings.estimate is not None:
        model = settings.estimate
        return (
            f"estimated from CPU use: {model.idle_w:g} W idle and {model.busy_w:g} W with all "
            "CPUs busy are assumptions of devices.yaml; ± says how well it repeats, no more"
        )
    if name == "replay":
        return "replayed from a recorded trace; this board was not measured"
    said = [str(sensor.get("note") or "")]
    if name in RAILS and settings.total is None:
        said.append(board.note)
    return "; ".join(filter(None, said))
