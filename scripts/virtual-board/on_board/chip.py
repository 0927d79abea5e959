"""The registers of the virtual INA3221, written behind the back of the driver that reads them."""

from __future__ import annotations

import ctypes
import fcntl
import os
from pathlib import Path

# linux/i2c-dev.h, linux/i2c.h
I2C_SLAVE_FORCE = 0x0706
I2C_SMBUS = 0x0720
I2C_SMBUS_WRITE = 0
I2C_SMBUS_WORD_DATA = 3

ADDRESS = 0x40
CHANNELS = 3
BUS_STEP_MV = 8
SHUNT_STEP_UV = 40
LARGEST = 4095
SUPPLY_MV = 5000

# Data sheet: what the chip can average over, and how long one conversion takes.
SAMPLES = (1, 4, 16, 64, 128, 256, 512, 1024)
CONVERSION_US = (140, 204, 332, 588, 1100, 2116, 4156, 8244)

DRIVER = Path("/sys/bus/i2c/drivers/ina3221")
ADAPTERS = Path("/sys/class/i2c-dev")


class _Data(ctypes.Union):
    _fields_ = (("word", ctypes.c_uint16), ("block", ctypes.c_uint8 * 34))


class _Transfer(ctypes.Structure):
    _fields_ = (
        ("direction", ctypes.c_uint8),
        ("command", ctypes.c_uint8),
        ("size", ctypes.c_uint32),
        ("data", ctypes.POINTER(_Data)),
    )


class Chip:
    """Three rails at a constant voltage; a rail's power is set by its current."""

    def __init__(self) -> None:
        """Raises OSError or StopIteration where there is no such chip."""
        self._hwmon = next(DRIVER.glob("*-0040/hwmon/hwmon*"))
        shunts = [self._hwmon / f"shunt{number + 1}_resistor" for number in range(CHANNELS)]
        amperes = [SHUNT_STEP_UV / int(path.read_text(encoding="ascii")) for path in shunts]
        self._step_w = [current_a * SUPPLY_MV / 1e3 for current_a in amperes]
        self._fd = os.open(f"/dev/i2c-{_adapter()}", os.O_RDWR)
        fcntl.ioctl(self._fd, I2C_SLAVE_FORCE, ADDRESS)
        self._written: dict[int, int] = {}
        for channel in range(CHANNELS):
            self._write(2 * channel + 2, round(SUPPLY_MV / BUS_STEP_MV))

    def show(self, channel: int, watts: float) -> float:
        """Let a rail (0 to 2) show the nearest power that it can, and return that."""
        steps = max(-LARGEST, min(LARGEST, round(watts / self._step_w[channel])))
        self._write(2 * channel + 1, steps)
        return steps * self._step_w[channel]

    def set_filter(self, tau_s: float) -> None:
        """Give the chip the settings under which a real one has the time constant ``tau_s``."""
        samples, sweep_us = min(
            ((samples, 2 * CHANNELS * each) for samples in SAMPLES for each in CONVERSION_US),
            key=lambda pair: abs(pair[0] * pair[1] / 1e6 - tau_s),
        )
        for name, value in (("samples", samples), ("update_interval", round(sweep_us / 1e3))):
            (self._hwmon / name).write_text(str(value), encoding="ascii")

    def _write(self, register: int, steps: int) -> None:
        """Write a register whose value starts at its fourth bit; the bus swaps the bytes."""
        value = (steps << 3) & 0xFFFF
        if self._written.get(register) == value:
            return
        data = _Data(word=(value & 0xFF) << 8 | value >> 8)
        transfer = _Transfer(I2C_SMBUS_WRITE, register, I2C_SMBUS_WORD_DATA, ctypes.pointer(data))
        fcntl.ioctl(self._fd, I2C_SMBUS, transfer)
        self._written[register] = value


def _adapter() -> int:
    for folder in ADAPTERS.iterdir():
        if (folder / "name").read_text(encoding="ascii").startswith("SMBus stub"):
            return int(folder.name.removeprefix("i2c-"))
    raise OSError("there is no i2c-stub adapter")
