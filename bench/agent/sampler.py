"""Reads a power sensor in its own process, on the same clock as the inferences.

Requests (see serve.py): ``open`` {sensor, root}, ``start`` {}, ``stop`` {}. Outside start..stop
it is blocked in a read of stdin and costs nothing. ``start`` answers after the first sample and
``stop`` takes a last one, so samples enclose whatever happens in between. A sensor whose readings
come by themselves (``take``, see sensors/__init__.py) is waited for at the end, within limits.
"""

import random
import select
import time
from typing import Any

from bench.agent import serve
from bench.agent.clock import now_ns, to_ns
from bench.agent.sensors import SENSORS

JITTER = 0.2
"""Share of the period by which sampling instants vary: a fixed period is blind to loads that
repeat with a multiple of it."""
LAST_S = 3.0
"""How long ``stop`` waits for a reading from after it, where readings come by themselves."""
LOOK_EVERY_S = 0.01


def main(arguments):
    """``sample LOCK_FD``: serve until stdin ends."""
    (lock_fd,) = arguments
    serve.keep_to_itself(lock_fd)
    requests, answers = serve.private_pipes()
    sampler = Sampler(requests.fileno())
    handlers = {"open": sampler.open, "start": sampler.start, "stop": sampler.stop}
    serve.serve(requests, answers, handlers, dict.fromkeys(handlers, "crash"), sampler.wait)
    sampler.close()


def pause_s(period_s, draw):
    """How long to wait between two readings; ``draw`` is a random.Random."""
    return period_s * (1 + JITTER * draw.uniform(-1, 1))


class Sampler(object):
    """Samples between ``start`` and the arrival of the next request on ``requests_fd``."""

    def __init__(self, requests_fd):
        self._requests_fd = requests_fd
        self._samples: Any = None
        self._random = random.Random()
        self._sensor: Any = None

    def open(self, request):
        """Open the sensor of a job."""
        wanted = request["sensor"]
        if wanted["name"] not in SENSORS:
            raise ValueError("unknown sensor %r" % wanted["name"])
        sensor = SENSORS[wanted["name"]]
        self._sensor = sensor.open_sensor(request["root"], wanted["options"], wanted["channels"])
        self._period_s = wanted["period_s"]
        return {"channels": self._sensor.channels, "unit": self._sensor.unit}

    def start(self, request):
        """Take the first sample; the rest are taken while waiting for the next request."""
        self._cpu_at_start_s = time.process_time()
        self._samples = []
        self._sample()
        if self._comes_by_itself():
            # What came while nobody listened is older than this; the last of it may still hold.
            del self._samples[:-1]
        return {"t_ns": now_ns()}

    def stop(self, request):
        """The trace since ``start`` and what it cost."""
        self._sample()
        if self._comes_by_itself():
            self._await_last()
        before, after, values = zip(*self._samples)
        self._samples = None
        return {
            "trace": {
                "channels": self._sensor.channels,
                "unit": self._sensor.unit,
                "t_before_ns": [to_ns(t) for t in before],
                "t_after_ns": [to_ns(t) for t in after],
                "values": values,
            },
            "cpu_s": time.process_time() - self._cpu_at_start_s,
        }

    def wait(self):
        """Sample until a request can be read; does nothing outside start..stop."""
        while self._samples is not None:
            pause = pause_s(self._period_s, self._random)
            if select.select([self._requests_fd], [], [], pause)[0]:
                return
            self._sample()

    def close(self):
        """Let go of what the sensor holds."""
        if hasattr(self._sensor, "close"):
            self._sensor.close()

    def _comes_by_itself(self):
        return hasattr(self._sensor, "take")

    def _await_last(self):
        """Wait for a reading from after now, so that no edge hangs on one from before it."""
        now_s = time.monotonic()
        while not self._samples or self._samples[-1][0] < now_s:
            if time.monotonic() > now_s + LAST_S:
                self._samples.append((now_s, now_s, [None] * len(self._sensor.channels)))
                return
            time.sleep(LOOK_EVERY_S)
            self._sample()

    def _sample(self):
        if self._comes_by_itself():
            self._samples += [(t_s, t_s, values) for t_s, values in self._sensor.take()]
            return
        before = time.monotonic()
        values = self._sensor.read()
        self._samples.append((before, time.monotonic(), values))
