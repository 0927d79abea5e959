"""Clock limits of the GPU of a Jetson board (devfreq), which jetson_clocks pins; read only.

The memory's clock cannot be read without root and is therefore not known here.
"""

import os
import re

from bench.agent import sysfs

JETSON_GPU = re.compile(r"(57000000|17000000)\.[a-z0-9]{1,20}$")
"""Where the GPU lies in the address space: of Nano and TX1, and of everything from TX2 to Orin. The
name behind it differs by JetPack (``gpu``, ``gv11b``, ``ga10b``)."""
MIN = "min_freq"
MAX = "max_freq"


def limits_khz(root, name):
    """``{"gpu": kHz}`` of ``min_freq`` or ``max_freq``; empty where there is no such GPU."""
    for folder in sysfs.find(root, "/sys/class/devfreq/*"):
        limit_hz = sysfs.read_int(os.path.join(folder, name))
        if JETSON_GPU.match(os.path.basename(folder)) and limit_hz is not None:
            return {"gpu": limit_hz // 1000}
    return {}


def unpinned(root):
    """The GPU in words in a list, if its clock may still change."""
    lowest, highest = (limits_khz(root, name).get("gpu") for name in (MIN, MAX))
    if lowest is None or lowest == highest:
        return []
    return ["the GPU has a clock between %d and %s kHz" % (lowest, highest or "unknown")]
