"""INA3221 power monitors of Jetson boards, in both layouts that NVIDIA's kernels have.

JetPack 4 (iio): ``rail_name_N``, ``in_powerN_input`` in mW and ``in_voltageN_input`` in mV,
N = 0..2; the shunts are in the device tree, by channel of the chip's ``of_node``. JetPack 5 and
mainline (hwmon): ``inN_label``, ``inN_input`` in mV and ``currN_input`` in mA, N = 1..3; there is
no power file, and in4..in7 are shunt voltages, not rails.
"""

import os
from typing import Any, List

from bench.agent import sysfs

IIO_CHIPS = "/sys/bus/i2c/drivers/ina3221x/*-*/iio:device*"
HWMON_CHIPS = "/sys/bus/i2c/drivers/ina3221/*-*/hwmon/hwmon*"

SHUNT_STEP_UV = 40.0
CONVERSION_US = (140, 204, 332, 588, 1100, 2116, 4156, 8244)
"""Data sheet: what one conversion of one quantity can take; a sweep takes two per channel."""
MOST_SAMPLES = 1024
LONGEST_INTERVAL_MS = 60000
"""A little more than averaging the most samples of three channels can take."""


def describe(root, options):
    """All rails of all chips as channels of one sensor; which make up the total is board data."""
    rails = _rails(root)
    if not rails:
        return []
    chips = sorted({rail.chip for rail in rails.values()})
    samples = [sysfs.read_int(os.path.join(chip, "samples")) for chip in chips]
    intervals = [sysfs.read_int(os.path.join(chip, "update_interval")) for chip in chips]
    lags = [
        filter_lag_s(count, interval, len(_hwmon_channels(chip)))
        for chip, count, interval in zip(chips, samples, intervals)
    ]
    # A single failed read is no verdict on a rail, and one bad rail none on the others.
    unreadable = {name for name in rails if rails[name].read() is rails[name].read() is None}
    return [
        {
            "name": "ina3221",
            "source": "measured",
            "unit": "W",
            "channels": [
                {
                    "name": name,
                    "resolution_w": rails[name].resolution_w,
                    "voltage_v": rails[name].voltage_v,
                    "problem": "cannot be read" if name in unreadable else None,
                }
                for name in rails
            ],
            "lag_s": _common(lags),
            "scope": None,
            "samples": _common(samples),
            "update_interval_ms": _common(intervals),
            "problem": "no rail can be read" if len(unreadable) == len(rails) else None,
        }
    ]


def open_sensor(root, options, channels):
    """Rails by name; raises ValueError when one is not there."""
    rails = _rails(root)
    names = list(channels) or list(rails)
    missing = [name for name in names if name not in rails]
    if missing or not names:
        has = ", ".join(rails) or "none"
        raise ValueError("no INA3221 rail %s here (has: %s)" % (", ".join(missing), has))
    return Ina3221(names, [rails[name] for name in names])


class Ina3221(object):
    """Watts per rail."""

    unit = "W"

    def __init__(self, channels, rails):
        self.channels = channels
        self._rails = rails

    def read(self):
        return [rail.read() for rail in self._rails]


class IioRail(object):
    """A rail of the JetPack 4 layout, which tells the shunt in the board's device tree only."""

    def __init__(self, chip, number):
        self.chip = chip
        self._power_mw = sysfs.Attribute(os.path.join(chip, "in_power%d_input" % number))
        self._voltage_mv = os.path.join(chip, "in_voltage%d_input" % number)
        channel = os.path.join(os.path.dirname(chip), "of_node", "channel@%d" % number)
        self._shunt = os.path.join(channel, "ti,shunt-resistor-mohm")

    @property
    def voltage_v(self):
        """Volts at present, ``None`` if they cannot be read."""
        return _volts(sysfs.read_int(self._voltage_mv))

    def read(self):
        """Watts, or ``None`` when the read failed."""
        power_mw = self._power_mw.read()
        return None if power_mw is None else power_mw / 1e3

    @property
    def resolution_w(self):
        """Watts of one step of the current at the present voltage, ``None`` if unknown."""
        shunt_mohm = sysfs.read_cell(self._shunt)
        return _step_w(shunt_mohm and 1000 * shunt_mohm, sysfs.read_int(self._voltage_mv))


class HwmonRail(object):
    """A rail of the JetPack 5 layout: power is voltage times current."""

    def __init__(self, chip, number):
        self.chip = chip
        self._voltage_mv = sysfs.Attribute(os.path.join(chip, "in%d_input" % number))
        self._current_ma = sysfs.Attribute(os.path.join(chip, "curr%d_input" % number))
        self._shunt = os.path.join(chip, "shunt%d_resistor" % number)

    @property
    def voltage_v(self):
        """Volts at present, ``None`` if they cannot be read."""
        return _volts(self._voltage_mv.read())

    def read(self):
        """Watts, or ``None`` when either read failed."""
        voltage_mv = self._voltage_mv.read()
        current_ma = self._current_ma.read()
        if voltage_mv is None or current_ma is None:
            return None
        return voltage_mv * current_ma / 1e6

    @property
    def resolution_w(self):
        """Watts of one step of the current at the present voltage, ``None`` if unknown."""
        return _step_w(sysfs.read_int(self._shunt), self._voltage_mv.read())


def filter_lag_s(samples, update_interval_ms, channels):
    """Best guess of the time constant of the chip's averaging, ``None`` if it cannot be told.

    The time constant is ``samples`` times the duration of one sweep over the channels. Drivers
    differ in whether ``update_interval`` is one sweep or all of them: a value is taken for what
    the chip can really do, and nothing is claimed when both are possible. A single sweep in
    whole milliseconds is coarse (0.84 ms reads 1), so it is replaced by the nearest one that
    the chip has with equal conversion times for voltage and current.
    """
    if not samples or not update_interval_ms or not channels:
        return None
    if not 0 < samples <= MOST_SAMPLES or not 0 < update_interval_ms <= LONGEST_INTERVAL_MS:
        return None  # The driver talks nonsense.
    shortest_ms = 2 * channels * CONVERSION_US[0] / 1e3
    longest_ms = 2 * channels * CONVERSION_US[-1] / 1e3
    if samples == 1:
        return update_interval_ms / 1e3
    may_be_sweep = round(shortest_ms) <= update_interval_ms <= round(longest_ms)
    may_be_all = shortest_ms * 0.99 <= (update_interval_ms + 0.5) / samples
    if may_be_all and not may_be_sweep:
        return update_interval_ms / 1e3
    if may_be_sweep and not may_be_all:
        sweeps_ms = [2 * channels * us / 1e3 for us in CONVERSION_US]
        near = [ms for ms in sweeps_ms if round(ms) == update_interval_ms]
        sweep_ms = min(near, key=lambda ms: abs(ms - update_interval_ms)) if near else None
        return samples * (sweep_ms or update_interval_ms) / 1e3
    return None


def _volts(voltage_mv):
    return None if voltage_mv is None or voltage_mv < 0 else voltage_mv / 1e3


def _step_w(shunt_uohm, voltage_mv):
    """Watts of one step across a shunt, ``None`` when shunt or voltage is not known."""
    if not shunt_uohm or shunt_uohm < 0 or not voltage_mv or voltage_mv < 0:
        return None
    return SHUNT_STEP_UV / shunt_uohm * voltage_mv / 1e3


def _rails(root):
    """``{unique name: rail}`` of everything that is connected, chip by chip."""
    found: List[Any] = []
    for chip in sysfs.find(root, IIO_CHIPS):
        for number in range(3):
            if os.path.exists(os.path.join(chip, "in_power%d_input" % number)):
                label = sysfs.read_name(os.path.join(chip, "rail_name_%d" % number))
                found.append((label, os.path.dirname(chip), number, IioRail(chip, number)))
    for chip in sysfs.find(root, HWMON_CHIPS):
        for number in _hwmon_channels(chip):
            label = sysfs.read_name(os.path.join(chip, "in%d_label" % number))
            device = os.path.dirname(os.path.dirname(chip))
            found.append((label, device, number, HwmonRail(chip, number)))
    labels = [label for label, _, _, _ in found]
    rails = {}
    for label, device, number, rail in found:
        if label == "NC":
            continue  # NVIDIA's device trees mark unconnected channels so
        name = label or "ch%d" % number
        if not label or labels.count(label) > 1:
            name = "chip-%s %s" % (_address(device), name)
        if name in rails:  # another bus has a chip of the same address
            name = "%s (%s)" % (name, os.path.basename(device))
        rails[name] = rail
    return rails


def _hwmon_channels(chip):
    """Numbers of the channels that the chip converts (in4..in7 are no channels)."""
    return [
        number
        for number in range(1, 4)
        if os.path.exists(os.path.join(chip, "curr%d_input" % number))
        and sysfs.read_int(os.path.join(chip, "in%d_enable" % number)) != 0
    ]


def _address(device):
    """``0x40`` of an i2c device folder ``1-0040``."""
    return "0x%s" % os.path.basename(device).rpartition("-")[2].lstrip("0")


def _common(values):
    """The one value of all chips, ``None`` when they differ."""
    return values[0] if len(set(values)) == 1 else None
