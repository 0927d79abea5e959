"""External power meters that are read on the host while a board measures itself.

A meter is a module with ``NEEDS`` and ``TAKES`` (names of the fields of
:class:`~bench.meters.meter.MeterOptions` that must and may be given) and ``open_meter(options, log,
note)``, which returns a :class:`~bench.meters.meter.Meter`. It imports its own package only there.
"""

from __future__ import annotations

from bench.meters import command, joulescope, ppk2
from bench.meters.meter import MeterModule

METERS: dict[str, MeterModule] = {
    "command": command,
    "joulescope": joulescope,
    "ppk2": ppk2,
}
