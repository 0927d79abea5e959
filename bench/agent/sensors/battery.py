"""What a machine draws from its batteries (/sys/class/power_supply), while it runs on them.

``voltage_now`` is in µV, ``current_now`` in µA (its sign differs between drivers), ``power_now`` in
µW. On mains the current charges a battery, or is 0: that is no power of the machine's, so it is a
problem before and a gap during a measurement. Gauges renew their values seldom, every few seconds
or once a minute.
"""

import os

from bench.agent import sysfs

SUPPLIES = "/sys/class/power_supply/*"
PERIOD_S = 0.1


def describe(root, options):
    """All batteries that feed the machine as channels of one sensor; empty without one."""
    batteries = _batteries(root)
    if not batteries:
        return []
    return [
        {
            "name": "battery",
            "source": "measured",
            "unit": "W",
            "channels": [{"name": name, "resolution_w": None} for name in sorted(batteries)],
            "lag_s": None,
            "scope": "whole machine (what its batteries give)",
            "samples": None,
            "update_interval_ms": None,
            "period_s": PERIOD_S,
            "note": "a battery's gauge renews its value every few seconds or once a minute, so "
            "that only long windows mean anything (--window)",
            "problem": next(
                filter(None, (batteries[name].problem() for name in sorted(batteries))), None
            ),
        }
    ]


def open_sensor(root, options, channels):
    """Batteries by name; raises ValueError when one is not there."""
    batteries = _batteries(root)
    names = list(channels) or sorted(batteries)
    missing = [name for name in names if name not in batteries]
    if missing or not names:
        raise ValueError("no battery %s here" % (", ".join(missing) or "at all"))
    return Batteries(names, [batteries[name] for name in names])


class Batteries(object):
    """Watts per battery."""

    unit = "W"

    def __init__(self, channels, batteries):
        self.channels = channels
        self._batteries = batteries

    def read(self):
        return [battery.read() for battery in self._batteries]


class Battery(object):
    """One battery's folder."""

    def __init__(self, folder):
        self._folder = folder

    def problem(self):
        """Why it cannot tell what the machine draws, or ``None``."""
        name = os.path.basename(self._folder)
        status = self._status()
        if status != "Discharging":
            return "%s is not discharging (%s): unplug the charger" % (name, status or "no status")
        return None if self.read() is not None else "%s tells no current and no power" % name

    def read(self):
        """Watts, ``None`` when the read failed or it does not discharge."""
        if self._status() != "Discharging":
            return None
        power_uw = self._number("power_now")
        if power_uw is not None:
            return abs(power_uw) / 1e6
        voltage_uv, current_ua = self._number("voltage_now"), self._number("current_now")
        if voltage_uv is None or current_ua is None:
            return None
        return abs(voltage_uv * current_ua) / 1e12

    def _status(self):
        return sysfs.read_name(os.path.join(self._folder, "status"))

    def _number(self, name):
        return sysfs.read_int(os.path.join(self._folder, name))


def _batteries(root):
    """``{name: battery}``; those of mice and other devices feed no machine."""
    return {
        os.path.basename(folder): Battery(folder)
        for folder in sysfs.find(root, SUPPLIES)
        if sysfs.read_name(os.path.join(folder, "type")) == "Battery"
        and sysfs.read_name(os.path.join(folder, "scope")) != "Device"
        and sysfs.read_name(os.path.join(folder, "present")) != "0"
    }
