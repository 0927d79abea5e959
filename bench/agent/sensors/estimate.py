"""Estimated energy: CPU time times a stated power model. The last resort, never a measurement.

P = idle_w + (busy_w - idle_w) * utilisation, integrated exactly: /proc/stat counts CPU seconds,
so E(t) = idle_w * t + (busy_w - idle_w) * (CPU seconds of all) / (number of CPUs).

/proc/stat counts in ticks (10 ms), and a kernel that was kept from it counts some late, in one go:
over a short time CPUs seem busier than time has passed. What exceeds that is carried over to later
readings, so that no stretch of them has more than busy_w.
"""

import time

from bench.agent import cpu


def describe(root, options):
    """One channel, wherever a power model is given."""
    if not options:
        return []
    problem = None
    try:
        open_sensor(root, options, [])
    except (OSError, ValueError) as error:
        problem = str(error)
    return [
        {
            "name": "estimate",
            "source": "estimated",
            "unit": "J",
            "channels": [{"name": "cpu-model", "resolution_w": None}],
            "lag_s": 0.0,
            "scope": "model of CPU time",
            "samples": None,
            "update_interval_ms": None,
            "problem": problem,
        }
    ]


def open_sensor(root, options, channels):
    """``options``: ``idle_w`` and ``busy_w``, the board's power with no and with all CPUs busy."""
    missing = [key for key in ("idle_w", "busy_w") if options.get(key) is None]
    if missing:
        raise ValueError("the estimate needs the option %s" % " and ".join(missing))
    if cpu.read_times(root) is None:
        raise OSError("/proc/stat does not count CPU time on this system: no estimate possible")
    return Estimate(root, float(options["idle_w"]), float(options["busy_w"]))


class Estimate(object):
    """Joules since it was opened."""

    unit = "J"
    channels = ["cpu-model"]

    def __init__(self, root, idle_w, busy_w):
        self._root = root
        self._idle_w = idle_w
        self._swing_w = busy_w - idle_w
        self._opened_s = time.monotonic()
        self._busy_at_open_s = cpu.read_times(root)["busy_s"]
        self._read_s = self._opened_s
        self._busy_s = 0.0
        """Time with all CPUs busy that has been told, a mean over the CPUs."""

    def read(self):
        """``[joules]``, or ``[None]`` when this read failed."""
        times = cpu.read_times(self._root)
        if times is None:
            return [None]
        now_s = time.monotonic()
        counted_s = (times["busy_s"] - self._busy_at_open_s) / times["count"]
        self._busy_s = min(counted_s, self._busy_s + now_s - self._read_s)
        self._read_s = now_s
        return [self._idle_w * (now_s - self._opened_s) + self._swing_w * self._busy_s]
