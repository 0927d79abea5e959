"""Reads every power sensor at rest and under load, to see whether its figures make sense."""

import contextlib
import os
import statistics
import subprocess
import sys
import time

from bench.agent.child import dies_with
from bench.agent.failure import one_line
from bench.agent.sensors import SENSORS, described

IDLE_S = 2.0
BUSY_S = 2.0
SETTLE_S = 2.0
"""Under load before it counts: five time constants of the slowest sensor known (0.43 s)."""
PERIOD_S = 0.01
BURN = "while True: pass"


def idle(root, options):
    """Open all sensors that measure and read them at rest; a list for ``under_load``."""
    watched = []
    for name, found in described(root, options):
        if found["source"] != "estimated" and found["problem"] is None:
            watched.append(_Watched(name, root, options.get(name, {})))
    _read_all(watched, IDLE_S, "idle")
    return watched


def under_load(watched):
    """Load all CPUs, read the sensors again, and return the ``loads`` of doctor.py."""
    if watched:
        with _all_cpus_busy():
            time.sleep(SETTLE_S)
            _read_all(watched, BUSY_S, "busy")
    for sensor in watched:
        sensor.close()
    return [sensor.document() for sensor in watched]


def _read_all(watched, seconds, phase):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for sensor in watched:
            sensor.read(phase)
        time.sleep(PERIOD_S)


@contextlib.contextmanager
def _all_cpus_busy():
    burners = []
    try:
        for _ in range(len(os.sched_getaffinity(0))):
            argv = [sys.executable, "-S", "-c", BURN]
            burners.append(subprocess.Popen(argv, preexec_fn=dies_with(os.getpid())))
        yield
    finally:
        for burner in burners:
            burner.kill()
        for burner in burners:
            burner.wait()


class _Watched(object):
    """One sensor and what it said: ``(time in s, values)`` by phase."""

    def __init__(self, name, root, options):
        self._name = name
        self._problem = None
        self._sensor = None
        self._readings = {"idle": [], "busy": []}
        try:
            self._sensor = SENSORS[name].open_sensor(root, options, [])
        except Exception as error:
            self._problem = one_line(error) or type(error).__name__

    def read(self, phase):
        """Read all channels once, or take what came by itself; not after a failure."""
        if self._problem is not None:
            return
        try:
            if hasattr(self._sensor, "take"):
                self._readings[phase] += self._sensor.take()
            else:
                self._readings[phase].append((time.monotonic(), self._sensor.read()))
        except Exception as error:  # also a plug-in's: one sensor must not cost the others
            self._problem = one_line(error) or type(error).__name__

    def close(self):
        """Let go of what the sensor holds."""
        if hasattr(self._sensor, "close"):
            self._sensor.close()

    def document(self):
        """The entry of ``loads``."""
        names = [] if self._sensor is None else list(self._sensor.channels)
        every = self._readings["idle"] + self._readings["busy"]
        return {
            "sensor": self._name,
            "unit": "W",
            "channels": [
                {
                    "name": name,
                    "idle_w": self._mean_w("idle", number),
                    "busy_w": self._mean_w("busy", number),
                }
                for number, name in enumerate(names)
            ],
            "reads": len(every) * len(names),
            "failed_reads": sum(list(values).count(None) for _, values in every),
            "change_s": _change_s(self._readings["busy"], len(names)),
            "problem": self._problem,
        }

    def _mean_w(self, phase, number):
        known = [(t, values[number]) for t, values in self._readings[phase]]
        known = [(t, value) for t, value in known if value is not None]
        if len(known) < 2:
            return None
        if self._sensor.unit == "J":
            return (known[-1][1] - known[0][1]) / (known[-1][0] - known[0][0])
        return statistics.mean(value for _, value in known)


def _change_s(readings, channels):
    """Median seconds between changes of the channel that changes most, ``None`` without two."""
    best = None
    for number in range(channels):
        times, last = [], None
        for moment, values in readings:
            if values[number] is not None and values[number] != last:
                times.append(moment)
                last = values[number]
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        if gaps and (best is None or len(gaps) > len(best)):
            best = gaps
    return None if best is None else statistics.median(best)
