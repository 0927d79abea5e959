"""Which channels of a sensor make up a device's total, and how fine their steps are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.boards.spec import Board, Rail
from bench.config.power_settings import PowerSettings

RAILS = ("ina3221", "ina2xx", "jtop")
"""Sensors whose channels are the board's rails."""
_JTOP3_INPUT = "input rail"
"""How the agent calls the one rail, with IN in its name, whose name jtop 3 swallows."""
_INA3221_STEP_V = 40e-6

Sensor = Mapping[str, Any]
"""What the probe says of a sensor or a channel."""


@dataclass(frozen=True, slots=True)
class Total:
    """Channels whose sum is the figure, and the rails of the board's data that they are."""

    channels: tuple[str, ...]
    rails: tuple[Rail | None, ...]


class Unfit(Exception):
    """A sensor that is there, but cannot give the total; the message says why."""


def total_of(
    board: Board, name: str, channels: Mapping[str, Sensor], settings: PowerSettings
) -> Total:
    """Return what makes up the total of a sensor's channels.

    Raises:
        Unfit: it cannot give a total; the message says why.
    """
    if name not in RAILS:
        # `power.total` names rails; the other sources have no choice of channels.
        return _readable(Total(tuple(channels), (None,) * len(channels)), channels)
    if settings.total:
        _require_apart(board, settings.total)
        rails = tuple(board.rail(rail) for rail in settings.total)
        return _readable(Total(settings.total, rails), channels)
    if not board.total:
        there = ", ".join(channels)
        raise Unfit(f"it is not known which of {there} is the total; name it as power.total")
    wanted = [rail for rail in board.rails if rail.name in board.total]
    others = {rail.sensor for rail in wanted} - {name}
    if name != "jtop" and others:
        raise Unfit(f"the total of a {board.title} is measured by {', '.join(sorted(others))}")
    picked = tuple(_channel(rail, board, name, channels) for rail in wanted)
    return _readable(Total(picked, tuple(wanted)), channels)


def step_w(sensor: str, channel: Sensor, rail: Rail | None) -> float | None:
    """Return one step of a channel: as the board tells it, else from the board's known shunt."""
    told: float | None = channel.get("resolution_w")
    volts = channel.get("voltage_v")
    if told is not None or sensor != "ina3221" or rail is None or rail.shunt_mohm is None:
        return told
    return None if not volts else _INA3221_STEP_V / (rail.shunt_mohm * 1e-3) * float(volts)


def _require_apart(board: Board, total: Sequence[str]) -> None:
    """Raise Unfit if rails that are named as the total feed each other, or are named twice."""
    for name in total:
        if total.count(name) > 1:
            raise Unfit(f"power.total names {name} twice")
        above = board.rail(name)
        while above is not None and above.fed_by is not None:
            if above.fed_by in total:
                raise Unfit(
                    f"power.total counts {name} twice, since {above.fed_by} feeds it; take one out"
                )
            above = board.rail(above.fed_by)


def _channel(rail: Rail, board: Board, sensor: str, channels: Mapping[str, Sensor]) -> str:
    """Return the channel that a rail is; its own name where there is none, for the message."""
    names = [rail.name]
    if rail.chip is not None:
        names.append(rail.chip)
    if sensor == "jtop":
        names.append(rail.name.replace("VDD_", "").replace("POM_", "").replace("_", " "))
        inputs = [other.name for other in board.rails if "IN" in other.name]
        if inputs == [rail.name]:
            names.append(_JTOP3_INPUT)
    return next((name for name in names if name in channels), rail.name)


def _readable(total: Total, channels: Mapping[str, Sensor]) -> Total:
    for rail in total.channels:
        if rail not in channels:
            there = ", ".join(channels) or "none"
            raise Unfit(f"rail {rail} of the total is not there (found: {there})")
        if channels[rail].get("problem"):
            raise Unfit(f"rail {rail} of the total {channels[rail]['problem']}")
    return total
