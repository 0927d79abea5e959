"""How much CPU time bench's workers take on this board."""

import os
import time

LOOK_S = 0.25
"""How often new workers are looked for."""

YOUNG_S = 2.0
"""A process this young may still become a worker: it forks first and is renamed then."""


class Workers:
    """The worker processes of bench's agent, recognised by their command line."""

    def __init__(self):
        self._seen_at = {}
        self._pids = []
        self._looked_s = 0.0
        self._used_ns = {}

    def cpu_s(self):
        """CPU seconds of all workers since the last call; a new thread counts from here on."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= LOOK_S:
            self._look(now_s)
        used_ns = {}
        for pid in self._pids:
            used_ns.update(_threads_ns(pid))
        before_ns = self._used_ns
        grown = [used - before_ns[task] for task, used in used_ns.items() if task in before_ns]
        self._used_ns = used_ns
        return sum(grown) / 1e9

    def _look(self, now_s):
        self._looked_s = now_s
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        self._seen_at = {pid: self._seen_at.get(pid, now_s) for pid in pids}
        young = [pid for pid in pids if now_s - self._seen_at[pid] < YOUNG_S]
        known = [pid for pid in self._pids if pid in self._seen_at]
        self._pids = known + [pid for pid in young if pid not in known and _is_worker(pid)]


def _is_worker(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as stream:
            words = stream.read().split(b"\0")
    except OSError:
        return False
    return words[2:3] == [b"work"] and b"agent-" in words[1]


def _threads_ns(pid):
    """``{(process, thread): nanoseconds on a CPU}``, finer than the ticks of /proc/PID/stat."""
    used = {}
    folder = "/proc/%d/task" % pid
    try:
        for thread in os.listdir(folder):
            with open("%s/%s/schedstat" % (folder, thread), "rb") as stream:
                used[pid, thread] = int(stream.read().split()[0])
    except OSError:
        pass  # it ended in the meantime
    return used
