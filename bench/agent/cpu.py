"""CPU time of the whole board from /proc/stat, and the share of it that others used."""

import os

from bench.agent import sysfs

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def read_times(root):
    """``{"busy_s", "stolen_s", "total_s", "count"}`` summed over all CPUs since boot.

    ``stolen_s`` is what the hypervisor gave to other machines. ``None`` where /proc/stat cannot
    be read or does not count.
    """
    text = sysfs.read_text(sysfs.under(root, "/proc/stat"))
    if not text or not text.startswith("cpu "):
        return None
    lines = text.split("\n")
    # user nice system idle iowait irq softirq steal (guest times are part of user and nice)
    ticks = sysfs.counts(lines[0].split()[1:9])
    count = sum(1 for line in lines if line[:3] == "cpu" and line[3:4].isdigit())
    if not ticks or not any(ticks) or not count:
        return None
    ticks += [0] * (8 - len(ticks))
    user, nice, system, idle, iowait, irq, softirq, steal = ticks
    busy = user + nice + system + irq + softirq
    return {
        "busy_s": busy / float(TICKS_PER_S),
        "stolen_s": steal / float(TICKS_PER_S),
        "total_s": (busy + idle + iowait + steal) / float(TICKS_PER_S),
        "count": count,
    }


def background_share(before, after, ours_s):
    """Share (0..1) of all CPU time between two readings that was not ours.

    ``ours_s``: CPU seconds of our own processes in between. ``None`` when either reading is
    missing or no time passed between them. Resolution: one tick over the whole (about 2 % for
    0.2 s on two CPUs).
    """
    if before is None or after is None or after["total_s"] <= before["total_s"]:
        return None
    used = sum(after[key] - before[key] for key in ("busy_s", "stolen_s")) - ours_s
    return round(min(1.0, max(0.0, used / (after["total_s"] - before["total_s"]))), 4)
