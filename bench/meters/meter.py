"""What every meter is: something that is open and gives readings as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol


class Reading(NamedTuple):
    """``t_ns``: the meter's own clock, whatever that counts from; ``power_w``: NaN where the read
    failed; ``arrived_ns``: this host's CLOCK_MONOTONIC."""

    t_ns: int
    power_w: float
    arrived_ns: int


@dataclass(frozen=True, slots=True)
class MeterOptions:
    """What meters are told, from devices.yaml; ``None`` where it is not given."""

    command: tuple[str, ...] | None = None
    """Program and arguments."""
    serial: str | None = None
    """Which of several devices: a serial number, or the serial port."""
    voltage_v: float | None = None
    """Supply voltage, for meters that measure current alone."""


class Meter(Protocol):
    """An open meter. Used by one thread."""

    def read(self, wait_s: float) -> Sequence[Reading]:
        """Return the readings since the last call, waiting at most ``wait_s`` for the first one.

        Raises:
            SensorError: the meter is gone, and why; there will be no more readings.
        """

    def close(self) -> None:
        """Let go of the device. May be called after it was lost.

        Raises whatever its driver raises; what can be let go of is by then.
        """


Note = Callable[[str], None]
"""Told in one line what a person should know, from the meter's thread."""


class MeterModule(Protocol):
    """A kind of meter, see :mod:`bench.meters`."""

    NEEDS: tuple[str, ...]
    TAKES: tuple[str, ...]

    def open_meter(self, options: MeterOptions, log: Path, note: Note) -> Meter:
        """Open the meter; what its program says goes to ``log``.

        Raises:
            SensorError: it is not there, or its Python package is not installed.
        """
