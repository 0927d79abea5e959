"""What else is on the board: busy processes, swap, room to the thermal limits, JetPack packages."""

import os
import re
import subprocess

from bench.agent import privilege, sysfs
from bench.agent.cpu import TICKS_PER_S

LEAST_CPUS = 0.05
"""Of one CPU: what uses less disturbs nobody."""
MOST_PROCESSES = 10
TRIPS = ("passive", "hot", "critical")
"""Trip points at which the kernel slows down or switches off (``active`` starts a fan)."""
PLAUSIBLE_TRIP_C = (30.0, 150.0)
PACKAGES = (
    "nvidia-jetpack",
    "nvidia-l4t-core",
    "libnvinfer[0-9]*",
    "libnvinfer-bin",
    "python3-libnvinfer",
    "libcudnn[0-9]*",
    "cuda-cudart-[0-9]*",
)
DPKG_LIMIT_S = 30


def cpu_s_by_process():
    """``{(pid, start time): (name, CPU seconds so far)}`` of all processes but this one."""
    found = {}
    for folder in sysfs.find("/", "/proc/[0-9]*"):
        text = sysfs.read_text(os.path.join(folder, "stat"))
        pid = int(os.path.basename(folder))
        if not text or pid == os.getpid():
            continue
        # The name in parentheses may hold blanks and parentheses itself.
        head, _, tail = text.rpartition(")")
        fields = tail.split()
        ticks = int(fields[11]) + int(fields[12])
        found[pid, fields[19]] = (head.partition("(")[2], ticks / float(TICKS_PER_S))
    return found


def busiest(before, after, seconds):
    """Processes that used CPU time in between: ``[{"pid", "name", "cpus"}]``, busiest first."""
    used = [
        {"pid": who[0], "name": name, "cpus": round((spent_s - before[who][1]) / seconds, 3)}
        for who, (name, spent_s) in after.items()
        if who in before
    ]
    busy = [process for process in used if process["cpus"] >= LEAST_CPUS]
    return sorted(busy, key=lambda process: -process["cpus"])[:MOST_PROCESSES]


def swap(root):
    """``[{"name", "bytes", "used_bytes"}]`` of /proc/swaps."""
    lines = (sysfs.read_text(sysfs.under(root, "/proc/swaps")) or "").split("\n")[1:]
    found = []
    for line in lines:
        words = line.split()
        sizes = sysfs.counts(words[2:4])
        if len(words) >= 4 and sizes:
            name = words[0][: sysfs.NAME_CHARACTERS]
            found.append({"name": name, "bytes": sizes[0] * 1024, "used_bytes": sizes[1] * 1024})
    return found


def headroom_c(root):
    """``{zone: °C}`` between now and the zone's lowest trip point that slows the board down."""
    found = {}
    for folder in sysfs.find(root, "/sys/class/thermal/thermal_zone*"):
        milli = sysfs.read_int(os.path.join(folder, "temp"))
        limits = [_trip_c(path) for path in sysfs.find(folder, "/trip_point_*_type")]
        known = [limit for limit in limits if limit is not None]
        if milli is not None and milli > 0 and known:
            kind = sysfs.read_name(os.path.join(folder, "type")) or os.path.basename(folder)
            found[kind] = min(known) - milli / 1e3
    return found


def jetpack(root):
    """``{package: version}`` of NVIDIA's packages that are installed; ``None`` if this is no
    Jetson."""
    if sysfs.read_name(sysfs.under(root, "/etc/nv_tegra_release")) is None:
        return None
    dpkg = privilege.find_command(root, "dpkg-query")
    if dpkg is None:
        return {}
    try:
        # It fails when one name is unknown, and still lists the others.
        done = subprocess.run(
            [dpkg, "-W", "-f", "${Package} ${Version} ${Status}\\n"] + list(PACKAGES),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=DPKG_LIMIT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    text = done.stdout.decode("utf-8", "replace")
    return dict(re.findall(r"^(\S{1,80}) (\S{1,80}) install ok installed$", text, re.MULTILINE))


def _trip_c(type_path):
    """°C of a trip point that slows the board down, ``None`` for others and placeholders."""
    if sysfs.read_name(type_path) not in TRIPS:
        return None
    milli = sysfs.read_int(type_path[: -len("type")] + "temp")
    lowest, highest = PLAUSIBLE_TRIP_C
    return milli / 1e3 if milli is not None and lowest <= milli / 1e3 <= highest else None
