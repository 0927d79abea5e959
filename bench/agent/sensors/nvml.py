"""The energy counter of an NVIDIA GPU (Volta and newer; not on a Jetson, which has its rails).

It covers the first GPU alone: neither the CPU nor the rest of the machine. So it is only used when
devices.yaml names it.
"""

from bench.agent import nvml

CHANNEL = "GPU"


def describe(root, options):
    """The counter as one channel; empty without NVIDIA's driver."""
    try:
        gpu = nvml.Gpu()
    except nvml.NvmlError:
        return []
    name, problem = "GPU", None
    try:
        name = gpu.name()
        gpu.energy_mj()
    except nvml.NvmlError as error:
        problem = "the GPU does not count its energy: %s" % error
    finally:
        gpu.close()
    return [
        {
            "name": "nvml",
            "source": "counter",
            "unit": "J",
            "channels": [{"name": CHANNEL, "resolution_w": None}],
            "lag_s": 0.0,
            "scope": "GPU (%s)" % name,
            "samples": None,
            "update_interval_ms": None,
            "problem": problem,
        }
    ]


def open_sensor(root, options, channels):
    """The counter; raises OSError where it cannot be read, ValueError for any other channel."""
    others = [name for name in channels if name != CHANNEL]
    if others:
        raise ValueError("NVML has no channel %s here" % ", ".join(others))
    return Counter(nvml.Gpu())


class Counter(object):
    """Joules since the opening. 64 bits of millijoules do not wrap; the driver may start anew."""

    unit = "J"
    channels = [CHANNEL]

    def __init__(self, gpu):
        self._gpu = gpu
        self._last_mj = gpu.energy_mj()
        self._total_mj = 0

    def read(self):
        """``[joules]``, or ``[None]`` when this read failed."""
        try:
            now_mj = self._gpu.energy_mj()
        except OSError:
            return [None]
        step_mj, self._last_mj = now_mj - self._last_mj, now_mj
        if step_mj < 0:
            return [None]  # the driver was loaded anew: what it counted before is not known
        self._total_mj += step_mj
        return [self._total_mj / 1e3]
