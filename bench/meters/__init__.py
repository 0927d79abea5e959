"""External power meters that are read on the host while a board measures itself.

A meter is a module with ``NEEDS`` and ``TAKES`` (names of the fields of
:class:`~bench.meters.meter.MeterOptions` that must and may be given) and ``open_meter(options, log,
note)``, which returns a :class:`~bench.meters.meter.Meter`. It imports its own package only there.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint

from bench import plugins
from bench.meters import command, joulescope, ppk2
from bench.meters.meter import MeterModule

METERS: dict[str, MeterModule] = {
    "command": command,
    "joulescope": joulescope,
    "ppk2": ppk2,
}


@cache
def meters() -> plugins.Table[MeterModule]:
    """Return the kinds of meters by name. A plug-in's entry point names such a module."""
    return plugins.joined(plugins.METERS, METERS, _load)


def _load(entry: EntryPoint) -> MeterModule:
    module: MeterModule = entry.load()
    for name in ("NEEDS", "TAKES", "open_meter"):
        if not hasattr(module, name):
            raise plugins.Unusable(f"{entry.value} has no {name}")
    return module
