"""Nordic's Power Profiler Kit II as an ampere meter, through ``ppk2-api`` (extra ``[ppk2]``).

It measures current up to 1 A, 100 000 times a second; power is that times the supply voltage that
devices.yaml states. Means over a millisecond are kept. The count of samples is the clock. No PPK2
was at hand: the names used here are checked against the package, the rest with a double.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from bench.errors import SensorError
from bench.extras import install_command
from bench.meters.meter import Meter, MeterOptions, Note, Reading

NEEDS: tuple[str, ...] = ("voltage_v",)
TAKES: tuple[str, ...] = ("serial",)

SAMPLE_NS = 10_000
PER_READING = 100
POLL_S = 0.02
SILENCE_S = 3.0
LOST_S = 0.05
"""By so much less than the time that has passed samples may count up: more is samples lost on the
way, and the count is moved on by what is missing."""


def open_meter(options: MeterOptions, log: Path, note: Note) -> Meter:
    """Open the only PPK2 there is, or the one at the serial port that was named."""
    assert options.voltage_v is not None
    try:
        from ppk2_api.ppk2_api import PPK2_API
    except ImportError as error:
        raise SensorError(f"cannot import ppk2_api ({error}): {install_command('ppk2')}") from error
    try:
        ports = [options.serial] if options.serial is not None else PPK2_API.list_devices()
        if len(ports) != 1:
            names = ", ".join(map(str, ports)) or "none"
            raise SensorError(f"found {names}: plug in one PPK2, or name its port as 'serial'")
        device = PPK2_API(ports[0], timeout=1, write_timeout=1)
        try:
            if not device.get_modifiers():
                raise SensorError(f"{ports[0]} does not answer as a PPK2")
            device.use_ampere_meter()
            device.set_source_voltage(round(options.voltage_v * 1000))
            device.toggle_DUT_power("ON")
            device.start_measuring()
        except BaseException:
            device.ser.close()
            raise
    except SensorError:
        raise
    except Exception as error:  # whatever its driver and the serial port raise
        raise SensorError(f"cannot open the PPK2: {error}") from error
    return _Ppk2(device, options.voltage_v, note)


class _Ppk2:
    """An open PPK2; ``device`` is a ``PPK2_API`` that measures."""

    def __init__(self, device: Any, voltage_v: float, note: Note) -> None:
        self._device, self._voltage_v, self._note = device, voltage_v, note
        self._rest_ua: list[float] = []
        self._count = 0
        self._began_s: float | None = None
        self._last_s = time.monotonic()

    def read(self, wait_s: float) -> list[Reading]:
        time.sleep(min(wait_s, POLL_S))
        try:
            data = self._device.get_data()
            # Fewer bytes than a sample's four confuse the package's own bookkeeping.
            currents_ua = self._device.get_samples(data)[0] if len(data) >= 4 else []
        except Exception as error:  # whatever the serial port raises
            raise SensorError(f"the PPK2 is gone: {error}") from error
        now_s = time.monotonic()
        if not currents_ua:
            if now_s - self._last_s > SILENCE_S:
                raise SensorError(f"the PPK2 gave no reading for {SILENCE_S:g} s")
            return []
        self._last_s = now_s
        self._mend_count(now_s, len(currents_ua))
        self._rest_ua += currents_ua
        found = []
        while len(self._rest_ua) >= PER_READING:
            part, self._rest_ua = self._rest_ua[:PER_READING], self._rest_ua[PER_READING:]
            middle_ns = (self._count + PER_READING // 2) * SAMPLE_NS
            power_w = sum(part) / PER_READING * 1e-6 * self._voltage_v
            self._count += PER_READING
            found.append(Reading(middle_ns, power_w, round(now_s * 1e9)))
        return found

    def close(self) -> None:
        try:
            self._device.stop_measuring()
        finally:
            self._device.ser.close()

    def _mend_count(self, now_s: float, fresh: int) -> None:
        """Move the count on by samples that never arrived."""
        counted_s = (self._count + len(self._rest_ua) + fresh) * SAMPLE_NS * 1e-9
        if self._began_s is None:
            self._began_s = now_s - counted_s
            return
        missing_s = now_s - self._began_s - counted_s
        if missing_s > LOST_S:
            self._note(f"the PPK2 lost {missing_s:.2f} s of samples: a gap")
            self._rest_ua = []
            self._count += round(missing_s / (SAMPLE_NS * 1e-9))
        elif missing_s < 0:
            # Some chunk came sooner after its samples than the first one did.
            self._began_s += missing_s
