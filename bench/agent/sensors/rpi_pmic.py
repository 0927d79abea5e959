"""The power chip of the Raspberry Pi 5, read with ``vcgencmd pmic_read_adc``.

It tells current and voltage of the rails that it makes (core, DDR, 3.3 V, 1.8 V, …) and only the
voltage of its own 5 V input. So the sum of V·I leaves out what USB devices, HATs and NVMe drives
draw from the 5 V line, and what the chip itself turns into heat. Numbers in brackets differ between
the two lines of a rail: rails are paired by name.
"""

import re
import subprocess

from bench.agent import privilege, sysfs
from bench.agent.failure import one_line

BOARDS = ("raspberrypi,5-", "raspberrypi,500")
"""How the boards with this chip begin their names in the device tree."""
TOTAL = "sum of rails"
LIMIT_S = 2.0
PERIOD_S = 0.1
"""A read starts a program; more often it would disturb what it measures."""

_CURRENT = re.compile(r"^\s*\S+_A\s", re.MULTILINE)
_LINE = re.compile(r"^\s*([A-Z0-9_]{1,40})_([AV])\s+\S*=([0-9.]{1,20})[AV]\s*$", re.MULTILINE)


def describe(root, options):
    """The sum over all rails as one channel; empty on any other board."""
    if not any(name.startswith(BOARDS) for name in sysfs.compatible(root)):
        return []
    problem = None
    try:
        open_sensor(root, options, [])
    except (OSError, ValueError) as error:
        problem = one_line(error)
    return [
        {
            "name": "rpi-pmic",
            "source": "measured",
            "unit": "W",
            "channels": [{"name": TOTAL, "resolution_w": None}],
            "lag_s": None,
            "scope": "rails of the board's power chip (without USB, HAT, NVMe and its own losses)",
            "samples": None,
            "update_interval_ms": None,
            "period_s": PERIOD_S,
            "note": "each reading starts vcgencmd, which takes CPU time of its own",
            "problem": problem,
        }
    ]


def open_sensor(root, options, channels):
    """Raises OSError or ValueError, with the fix, where the chip cannot be read."""
    others = [name for name in channels if name != TOTAL]
    if others:
        raise ValueError("the Pi's power chip has no channel %s here" % ", ".join(others))
    command = privilege.find_command(root, "vcgencmd")
    if command is None:
        raise OSError("vcgencmd is missing: sudo apt install raspi-utils (or libraspberrypi-bin)")
    said, failed = _ask(command)
    if power_w(said) is None:
        raise OSError(_complaint(said, failed))
    return Pmic(command)


class Pmic(object):
    """Watts of all rails together."""

    unit = "W"
    channels = [TOTAL]

    def __init__(self, command):
        self._command = command

    def read(self):
        """``[watts]``, ``[None]`` when this read failed."""
        said, failed = _ask(self._command)
        return [None if failed else power_w(said)]


def power_w(text):
    """Sum of V·I over the rails that tell both, ``None`` unless each current has its voltage."""
    values = {"A": {}, "V": {}}
    for rail, kind, number in _LINE.findall(text):
        try:
            values[kind][rail] = float(number)
        except ValueError:
            return None
    amperes, volts = values["A"], values["V"]
    if not amperes or any(rail not in volts for rail in amperes):
        return None  # a part of the rails would be less than the total
    if len(amperes) != len(_CURRENT.findall(text)):
        return None  # a current that is no number
    return sum(amperes[rail] * volts[rail] for rail in amperes)


def _ask(command):
    """``(what it printed, whether it failed)``."""
    try:
        done = subprocess.run(
            [command, "pmic_read_adc"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return one_line(error), True
    return done.stdout.decode("utf-8", "replace"), done.returncode != 0


def _complaint(said, failed):
    lines = said.strip().split("\n")
    if "permission" in said.lower() or "vchi" in said.lower() or "vcio" in said.lower():
        return (
            "vcgencmd may not talk to the firmware (%s): sudo usermod -aG video $USER, "
            "then log in again" % lines[0][:100]
        )
    if failed:
        return "vcgencmd pmic_read_adc failed: %s" % lines[0][:200]
    return "vcgencmd pmic_read_adc tells no rails that have both a current and a voltage"
