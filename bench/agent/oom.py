"""Whether the kernel ended a process because memory ran out."""

import os
import re

from bench.agent import sysfs

KERNEL_LOG = "/dev/kmsg"
RECORD_BYTES = 8192


class Watch(object):
    """Looks at the kernel's count of such kills, from now on; also kills in a cgroup count."""

    def __init__(self, root):
        self._root = root
        self._count = _kills(root)

    def has_killed(self, pid):
        """``(whether it was out of memory, evidence)`` for a process that died of SIGKILL."""
        now = _kills(self._root)
        if now is not None and self._count is not None:
            rose = now > self._count
            return rose, "the kernel's oom_kill counter %s" % ("rose" if rose else "is unchanged")
        log = _kernel_log()
        if log is None:
            return False, "out of memory is possible: the kernel counts no such kills"
        # A word less or more by version: "Killed process 71 (python3)", "Kill process 71".
        named = re.search(r"Kill(?:ed)? process %d\b" % pid, log) is not None
        return named, "the kernel's log %s it" % ("names" if named else "does not name")


def _kills(root):
    """How often the kernel killed for memory since boot, ``None`` before Linux 4.13."""
    text = sysfs.read_text(sysfs.under(root, "/proc/vmstat")) or ""
    for line in text.split("\n"):
        name, _, value = line.partition(" ")
        if name == "oom_kill" and value.isdigit():
            return int(value)
    return None


def _kernel_log():
    """What the kernel has logged since boot, ``None`` where that may not be read."""
    records = []
    try:
        fd = os.open(KERNEL_LOG, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        while True:
            try:
                records.append(os.read(fd, RECORD_BYTES))
            except BrokenPipeError:
                pass  # the oldest was written over meanwhile
    except OSError:
        return b"".join(records).decode("utf-8", "replace")  # BlockingIOError: that was all
    finally:
        os.close(fd)
