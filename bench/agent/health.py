"""What may change under a measurement: temperatures, clocks, governors, throttling, memory."""

import os
import re

from bench.agent import gpu_clocks, sysfs
from bench.agent.clock import now_ns

OFFLINE_C = -200
"""Zones that are switched off say -256 °C."""
FIRMWARE_FLAGS = "/sys/devices/platform/soc*/soc*:firmware/get_throttled"
FIRMWARE_BITS = (
    "under-voltage",
    "clock capped by the firmware",
    "throttled by the firmware",
    "too hot",
)


def read_health(root):
    """The fields of a ``health`` record except ``where``."""
    return {
        "t_ns": now_ns(),
        "temperature_c": temperatures_c(root),
        "frequency_khz": frequencies_khz(root),
        "frequency_min_khz": lowest_khz(root),
        "frequency_max_khz": highest_khz(root),
        "governor": governors(root),
        "load1": load1(root),
        "available_bytes": memory_bytes(root, "MemAvailable"),
        "throttle": throttle_counts(root),
    }


def read_briefly(root):
    """What is worth reading after every round (about a millisecond on a PC)."""
    return {
        "temperature_c": temperatures_c(root),
        "frequency_khz": frequencies_khz(root),
        "throttle": throttle_counts(root),
    }


def temperatures_c(root):
    """``{zone: °C}``; zones that are power-gated (EAGAIN), offline or placeholders are left out."""
    found = {}
    for folder in sysfs.find(root, "/sys/class/thermal/thermal_zone*"):
        milli = sysfs.read_int(os.path.join(folder, "temp"))
        kind = sysfs.read_name(os.path.join(folder, "type")) or os.path.basename(folder)
        if milli is None or milli / 1e3 <= OFFLINE_C:
            continue
        if kind.upper().startswith("PMIC") and milli == 100000:
            continue
        if kind in found:
            kind = "%s (%s)" % (kind, os.path.basename(folder))
        found[kind] = milli / 1e3
    return found


def frequencies_khz(root):
    """``{cpu: kHz}`` as the hardware has it where that may be read (throttling shows only
    there), else as the kernel set it."""
    found = {}
    for folder in _cpu_folders(root):
        now = sysfs.read_int(os.path.join(folder, "cpufreq", "cpuinfo_cur_freq"))
        if now is None:
            now = sysfs.read_int(os.path.join(folder, "cpufreq", "scaling_cur_freq"))
        if now is not None:
            found[os.path.basename(folder)] = now
    return found


def lowest_khz(root):
    """``{cpu: kHz}`` below which the clock must not go, and the same for ``gpu``."""
    found = gpu_clocks.limits_khz(root, gpu_clocks.MIN)
    found.update(_cpu_limits_khz(root, "scaling_min_freq"))
    return found


def highest_khz(root):
    """``{cpu: kHz}`` above which the clock must not go, and the same for ``gpu``."""
    found = gpu_clocks.limits_khz(root, gpu_clocks.MAX)
    found.update(_cpu_limits_khz(root, "scaling_max_freq"))
    return found


def _cpu_limits_khz(root, name):
    found = {}
    for folder in _cpu_folders(root):
        limit = sysfs.read_int(os.path.join(folder, "cpufreq", name))
        if limit is not None:
            found[os.path.basename(folder)] = limit
    return found


def governors(root):
    """``{cpu: governor name}``."""
    found = {}
    for folder in _cpu_folders(root):
        name = sysfs.read_name(os.path.join(folder, "cpufreq", "scaling_governor"))
        if name:
            found[os.path.basename(folder)] = name
    return found


def throttle_counts(root):
    """``{counter: n}``: over-current events since boot, throttle alerts that are on now, and the
    flags of a Raspberry Pi's firmware (those of now, and those that were up since boot)."""
    found = _firmware_flags(root)
    for folder in sysfs.find(root, "/sys/class/hwmon/hwmon*"):
        if sysfs.read_text(os.path.join(folder, "name")) == "soctherm_oc":
            for number in (1, 2, 3):
                count = sysfs.read_int(os.path.join(folder, "oc%d_event_cnt" % number))
                if count is not None:
                    found["oc%d" % number] = count
    for folder in sysfs.find(root, "/sys/class/thermal/cooling_device*"):
        kind = sysfs.read_name(os.path.join(folder, "type")) or ""
        state = sysfs.read_int(os.path.join(folder, "cur_state"))
        if kind.endswith("-throttle-alert") and state is not None:
            found[kind] = state
    return found


def _firmware_flags(root):
    """What ``vcgencmd get_throttled`` tells, from sysfs: hexadecimal, bits 0-3 now, 16-19 since
    boot."""
    found = {}
    for path in sysfs.find(root, FIRMWARE_FLAGS):
        text = (sysfs.read_name(path) or "").lower()
        if re.match(r"(0x)?[0-9a-f]{1,8}$", text):
            bits = int(text, 16)
            for bit, name in enumerate(FIRMWARE_BITS):
                found[name] = bits >> bit & 1
                found[name + " since boot"] = bits >> 16 + bit & 1
    return found


def load1(root):
    """Load average over one minute, or ``None``."""
    text = sysfs.read_name(sysfs.under(root, "/proc/loadavg")) or ""
    number = re.match(r"[0-9]{1,9}\.[0-9]{1,9}(?=\s|$)", text)
    return float(number.group()) if number else None


def memory_bytes(root, field):
    """A field of /proc/meminfo in bytes, or ``None``."""
    text = sysfs.read_text(sysfs.under(root, "/proc/meminfo")) or ""
    for line in text.split("\n"):
        name, _, value = line.partition(":")
        if name == field:
            kib = sysfs.counts(value.split()[:1])
            return kib[0] * 1024 if kib else None
    return None


def _cpu_folders(root):
    return sysfs.find(root, "/sys/devices/system/cpu/cpu[0-9]*")
