"""An NVIDIA GPU (not a Jetson, which has its rails): its energy counter, else its power.

It covers the GPU that computes alone: neither the CPU nor the rest of the machine. So it is only
used when devices.yaml names it. The counter is there from Volta on. Where there is none, power is
read: that of the instant where the driver tells it; else what it calls the power, which is the mean
of a second from Ampere on (NVIDIA's nvml.h), and then a window has to be long against that.
"""

from bench.agent import nvml

CHANNEL = "GPU"
POWER_PERIOD_S = 0.02
"""Drivers renew the power every 10 to 100 ms."""
AVERAGED_S = 1.0
COUNTED_J = 0.001
"""The counter counts millijoules."""


def describe(root, options):
    """The counter, or the power, as one channel; empty without NVIDIA's driver."""
    try:
        gpu = nvml.Gpu()
    except nvml.OtherGpuError as error:
        return [dict(_facts(problem=str(error)), scope="GPU")]
    except nvml.NvmlError:
        return []
    name, found = "GPU", _facts(problem=None)
    try:
        name = gpu.name()
        found = _counter(gpu) or _power(gpu)
    except nvml.NvmlError as error:
        found = _facts(problem="the GPU tells neither energy nor power: %s" % error)
    finally:
        gpu.close()
    return [dict(found, scope="GPU (%s)" % name)]


def open_sensor(root, options, channels):
    """The counter, else the power; raises OSError where neither can be read, ValueError for any
    other channel."""
    others = [name for name in channels if name != CHANNEL]
    if others:
        raise ValueError("NVML has no channel %s here" % ", ".join(others))
    gpu = nvml.Gpu()
    if _counter(gpu) is not None:
        return Counter(gpu)
    return Power(_power_reader(gpu))


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


class Power(object):
    """Watts as the driver last renewed them."""

    unit = "W"
    channels = [CHANNEL]

    def __init__(self, power_mw):
        self._power_mw = power_mw

    def read(self):
        """``[watts]``, or ``[None]`` when this read failed."""
        try:
            return [self._power_mw() / 1e3]
        except OSError:
            return [None]


def _counter(gpu):
    """What to say of the counter, ``None`` where it does not count."""
    try:
        gpu.energy_mj()
    except nvml.NvmlError:
        return None
    return _facts(source="counter", unit="J", lag_s=0.0, resolution_j=COUNTED_J)


def _power_reader(gpu):
    """What reads the power, that of the instant if it can be had; raises NvmlError where neither
    can."""
    try:
        gpu.instant_power_mw()
        return gpu.instant_power_mw
    except nvml.NvmlError:
        gpu.power_mw()
        return gpu.power_mw


def _power(gpu):
    """What to say of the power; raises NvmlError where there is none."""
    architecture = gpu.architecture()
    averaged = (
        _power_reader(gpu) == gpu.power_mw
        and architecture is not None
        and architecture >= nvml.AMPERE
    )
    return _facts(
        source="measured",
        unit="W",
        period_s=POWER_PERIOD_S,
        note="the GPU does not count energy; its power is "
        + (
            "the mean of the last %g s (this GPU's architecture averages)" % AVERAGED_S
            if averaged
            else "read at instants, as the driver renews it"
        ),
    )


def _facts(
    problem=None, source="counter", unit="J", lag_s=None, period_s=None, note="", resolution_j=None
):
    return {
        "name": "nvml",
        "source": source,
        "unit": unit,
        "channels": [{"name": CHANNEL, "resolution_w": None, "resolution_j": resolution_j}],
        "lag_s": lag_s,
        "scope": None,
        "samples": None,
        "update_interval_ms": None,
        "period_s": period_s,
        "note": note,
        "problem": problem,
    }
