"""Which process is meant, beyond its number: numbers are used again, start times are not."""

import os

from bench.agent import sysfs


def boot_id():
    """Identifier of this boot of the board, or ``""`` where the kernel does not tell."""
    return sysfs.read_text("/proc/sys/kernel/random/boot_id") or ""


def of(pid):
    """``{"pid", "boot_id", "start_ticks"}`` of a running process."""
    return {"pid": pid, "boot_id": boot_id(), "start_ticks": _stat(pid)[1]}


def is_alive(identity):
    """Whether exactly that process still runs (a zombie does not)."""
    if identity["boot_id"] != boot_id():
        return False
    state, start_ticks = _stat(identity["pid"])
    return state not in (None, "Z", "X") and start_ticks == identity["start_ticks"]


def _stat(pid):
    """``(state, start time in ticks since boot)`` of a process, ``(None, None)`` if gone."""
    text = sysfs.read_text(os.path.join("/proc", str(pid), "stat"))
    if not text:
        return None, None
    # The name in parentheses may hold blanks and parentheses itself: count from its end.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])
