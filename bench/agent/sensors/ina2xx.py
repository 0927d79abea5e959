"""INA219, INA226, INA238 and their kin through the kernel's hwmon drivers: one supply line a chip.

``in1_input`` is the bus voltage in mV, ``curr1_input`` mA, ``power1_input`` µW (drivers ina2xx and
ina238; ``in0_input`` is the shunt voltage). What a chip is wired to is the board's affair: its
channel is called by its label, else by the chip.
"""

import os
from typing import Any, List

from bench.agent import sysfs

CHIPS = "/sys/class/hwmon/hwmon*"
POWER_STEP = {
    "ina219": (20, 100),
    "ina220": (20, 100),
    "ina226": (25, 400),
    "ina230": (25, 400),
    "ina231": (25, 400),
}
"""``(factor, divisor)``: a step of power is factor · 10⁹ / (µΩ · divisor) µW (``power_lsb_factor``
and ``shunt_div`` of the kernel's ina2xx.c)."""
NAMES = tuple(sorted(POWER_STEP)) + ("ina228", "ina232", "ina234", "ina237", "ina238", "ina260")


def describe(root, options):
    """All chips as channels of one sensor; which of them is the total is board data."""
    chips = _chips(root)
    if not chips:
        return []
    unreadable = {name for name in chips if chips[name].read() is chips[name].read() is None}
    intervals = {chip.update_interval_ms for chip in chips.values()}
    interval_ms = intervals.pop() if len(intervals) == 1 else None
    return [
        {
            "name": "ina2xx",
            "source": "measured",
            "unit": "W",
            "channels": [
                {
                    "name": name,
                    "resolution_w": chips[name].resolution_w,
                    "problem": "cannot be read" if name in unreadable else None,
                }
                for name in sorted(chips)
            ],
            # These chips average whole blocks of conversions; a load step tells what that does.
            "lag_s": None,
            "scope": None,
            "samples": None,
            "update_interval_ms": interval_ms,
            "refresh_s": None if interval_ms is None else interval_ms / 1e3,
            "problem": "no chip can be read" if len(unreadable) == len(chips) else None,
        }
    ]


def open_sensor(root, options, channels):
    """Chips by the names of their channels; raises ValueError when one is not there."""
    chips = _chips(root)
    names = list(channels) or sorted(chips)
    missing = [name for name in names if name not in chips]
    if missing or not names:
        has = ", ".join(sorted(chips)) or "none"
        raise ValueError("no power monitor %s here (has: %s)" % (", ".join(missing), has))
    return Ina2xx(names, [chips[name] for name in names])


class Ina2xx(object):
    """Watts per chip."""

    unit = "W"

    def __init__(self, channels, chips):
        self.channels = channels
        self._chips = chips

    def read(self):
        return [chip.read() for chip in self._chips]


class Chip(object):
    """One chip's folder. Where it shows no power, that is voltage times current."""

    def __init__(self, folder, name):
        self._name = name
        self._folder = folder
        self._power = self._attribute("power1_input")
        self._has_power = os.path.exists(os.path.join(folder, "power1_input"))
        self._voltage = self._attribute("in1_input")
        self._current = self._attribute("curr1_input")
        self.update_interval_ms = sysfs.read_int(os.path.join(folder, "update_interval"))

    def read(self):
        """Watts, or ``None`` when the read failed."""
        if self._has_power:
            power_uw = self._power.read()
            return None if power_uw is None else power_uw / 1e6
        voltage_mv, current_ma = self._voltage.read(), self._current.read()
        if voltage_mv is None or current_ma is None:
            return None
        return voltage_mv * current_ma / 1e6

    @property
    def resolution_w(self):
        """Watts of one step, ``None`` where shunt or chip do not tell."""
        shunt_uohm = sysfs.read_int(os.path.join(self._folder, "shunt_resistor"))
        if not shunt_uohm or shunt_uohm < 0 or not self._has_power or self._name not in POWER_STEP:
            return None
        factor, divisor = POWER_STEP[self._name]
        return factor * 1e3 / (shunt_uohm * divisor)

    def _attribute(self, name):
        return sysfs.Attribute(os.path.join(self._folder, name))


def _chips(root):
    """``{unique name: chip}``."""
    found: List[Any] = []
    for folder in sysfs.find(root, CHIPS):
        name = (sysfs.read_name(os.path.join(folder, "name")) or "").lower()
        if name in NAMES:
            labels = [
                sysfs.read_name(os.path.join(folder, file))
                for file in ("power1_label", "in1_label", "curr1_label", "label")
            ]
            label = next((text for text in labels if text), name)
            found.append((label, _address(folder), Chip(folder, name)))
    labels = [label for label, _, _ in found]
    chips = {}
    for label, address, chip in found:
        name = label if labels.count(label) == 1 else "%s at %s" % (label, address)
        while name in chips:
            name += "'"
        chips[name] = chip
    return chips


def _address(folder):
    """Where the chip is on its bus, such as ``1-0044``; hwmon numbers change."""
    return os.path.basename(os.path.realpath(os.path.join(folder, "device")))
