"""RAPL energy counters (Intel and AMD): packages, and DRAM where it is counted apart.

``psys`` covers the packages and ``core``/``uncore`` are parts of them, so they are left out.
"""

import os

from bench.agent import sysfs

ZONES = "/sys/class/powercap/intel-rapl:*"
REFRESH_S = 0.001
"""About once a millisecond (Intel's developer manual, volume 3B, RAPL interfaces)."""


def describe(root, options):
    """All packages (and DRAM) as channels of one counter; empty without RAPL."""
    zones = _zones(root)
    if not zones:
        return []
    has_dram = any(name.endswith(" dram") for name in zones)
    problem = None
    for folder in zones.values():
        counter = os.path.join(folder, "energy_uj")
        if sysfs.read_int(counter) is None:
            problem = "cannot read %s; only root may by default: sudo chmod a+r %s" % (
                counter,
                os.path.join(os.path.dirname(folder), "intel-rapl:*", "energy_uj"),
            )
    return [
        {
            "name": "rapl",
            "source": "counter",
            "unit": "J",
            "channels": [{"name": name, "resolution_w": None} for name in sorted(zones)],
            "lag_s": 0.0,
            "scope": "CPU package and DRAM" if has_dram else "CPU package",
            "samples": None,
            "update_interval_ms": None,
            "refresh_s": REFRESH_S,
            "problem": problem,
        }
    ]


def open_sensor(root, options, channels):
    """Counters of the named channels; raises OSError when one cannot be read."""
    zones = _zones(root)
    names = list(channels) or sorted(zones)
    missing = [name for name in names if name not in zones]
    if missing or not names:
        raise ValueError("no RAPL channel %s here" % (", ".join(missing) or "at all"))
    return Rapl(names, [Counter(zones[name]) for name in names])


class Rapl(object):
    """Joules since the opening, per channel."""

    unit = "J"

    def __init__(self, channels, counters):
        self.channels = channels
        self._counters = counters

    def read(self):
        return [counter.read() for counter in self._counters]


class Counter(object):
    """One zone's counter, unwrapped.

    The step is always taken from the last *good* read, so a wrap that falls on a failed read is
    counted once and a failed read is a gap, never a zero. A counter wraps after 262 kJ and more:
    twice between two reads cannot happen at the rates used here.
    """

    def __init__(self, folder):
        self._path = os.path.join(folder, "energy_uj")
        self._range_uj = sysfs.read_int(os.path.join(folder, "max_energy_range_uj"))
        if not self._range_uj or self._range_uj < 0:
            raise OSError("%s/max_energy_range_uj cannot be read: no wrap handling" % folder)
        try:
            self._fd = os.open(self._path, os.O_RDONLY)
        except OSError as error:
            raise OSError("cannot read %s: %s" % (self._path, error.strerror))
        self._last_uj = self._now_uj()
        if self._last_uj is None:
            os.close(self._fd)
            raise OSError("cannot read %s: it does not count" % self._path)
        self._total_uj = 0

    def read(self):
        """Joules since the opening, or ``None`` when this read failed."""
        now_uj = self._now_uj()
        if now_uj is None:
            return None
        step_uj = now_uj - self._last_uj
        if step_uj < 0:
            step_uj += self._range_uj
        self._last_uj = now_uj
        self._total_uj += step_uj
        return self._total_uj / 1e6

    def _now_uj(self):
        """The counter, ``None`` when it cannot be read or holds what it cannot count to."""
        try:
            now_uj = sysfs.to_int(os.pread(self._fd, 32, 0))
        except OSError:
            return None
        return now_uj if now_uj is not None and 0 <= now_uj <= self._range_uj else None


def _zones(root):
    """``{channel name: folder}`` of the zones that may be added up."""
    zones = {}
    packages = {}
    for folder in sysfs.find(root, ZONES):
        name = sysfs.read_name(os.path.join(folder, "name")) or ""
        if name.startswith("package"):
            packages[os.path.basename(folder)] = name
            zones[name] = folder
    for folder in sysfs.find(root, ZONES):
        if sysfs.read_name(os.path.join(folder, "name")) == "dram":
            parent = os.path.basename(folder).rpartition(":")[0]
            if parent in packages:
                zones["%s dram" % packages[parent]] = folder
    return zones
