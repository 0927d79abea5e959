"""Joulescope JS110 and JS220, through the package ``joulescope`` (extra ``[joulescope]``).

The device itself computes mean power 100 times a second from its two million samples a second; its
sample counter is the clock. No Joulescope was at hand: the names used here are checked against the
package, the rest with a double.
"""

from __future__ import annotations

import queue
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.errors import SensorError
from bench.extras import install_command
from bench.meters.meter import Meter, MeterOptions, Note, Reading

NEEDS: tuple[str, ...] = ()
TAKES: tuple[str, ...] = ("serial",)

RATE_HZ = 100
SILENCE_S = 3.0
"""The package does not tell when the device is unplugged: it falls silent."""


def open_meter(options: MeterOptions, log: Path, note: Note) -> Meter:
    """Open the only Joulescope there is, or the one with the serial number that was named."""
    try:
        import joulescope
    except ImportError as error:
        raise SensorError(
            f"cannot import joulescope ({error}): {install_command('joulescope')}"
        ) from error
    try:
        found = joulescope.scan(config="auto")
    except Exception as error:  # whatever its driver raises
        raise SensorError(f"cannot look for a Joulescope: {error}") from error
    if options.serial is not None:
        found = [device for device in found if options.serial in str(device)]
    if len(found) != 1:
        names = ", ".join(map(str, found)) or "none"
        raise SensorError(f"found {names}: plug in one Joulescope, or name its serial number")
    return _Joulescope(found[0])


class _Joulescope:
    def __init__(self, device: Any) -> None:
        self._device = device
        self._readings: queue.SimpleQueue[Reading] = queue.SimpleQueue()
        self._last_s = time.monotonic()
        try:
            device.open()
            try:
                device.parameter_set("reduction_frequency", RATE_HZ)
                device.statistics_callback_register(self._take, "sensor")
            except BaseException:
                with suppress(Exception):  # what went wrong first says more
                    device.close()
                raise
        except Exception as error:  # whatever its driver raises
            raise SensorError(f"cannot open {device}: {error}") from error

    def read(self, wait_s: float) -> list[Reading]:
        found = []
        try:
            found.append(self._readings.get(timeout=wait_s))
            while True:
                found.append(self._readings.get_nowait())
        except queue.Empty:
            pass
        now_s = time.monotonic()
        if found:
            self._last_s = now_s
        elif now_s - self._last_s > SILENCE_S:
            raise SensorError(
                f"{self._device} gave no reading for {SILENCE_S:g} s: is it plugged in?"
            )
        return found

    def close(self) -> None:
        try:
            self._device.statistics_callback_unregister(self._take, "sensor")
        finally:
            self._device.close()

    def _take(self, statistics: Any) -> None:
        """Called by the package's own thread."""
        start_s, stop_s = statistics["time"]["range"]["value"]
        middle_ns = round((start_s + stop_s) / 2 * 1e9)
        power_w = float(statistics["signals"]["power"]["µ"]["value"])
        self._readings.put(Reading(middle_ns, power_w, time.monotonic_ns()))
