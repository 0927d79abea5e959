"""What a board's data file states."""

from __future__ import annotations

from dataclasses import dataclass

JETSON_STATE = ("nvpmodel", "jetson_clocks", "cpufreq")
CPU_STATE = ("cpufreq",)
JETSON_THROTTLE = ("soctherm_oc oc1–oc3 event counts", "*-throttle-alert cooling devices")
"""Of JetPack 5 and newer; a kernel that lacks them tells no throttling but by its clocks."""
CLOCKS_ONLY = ("clocks only, since the kernel counts nothing",)
"""Jetson boards whose newest JetPack is 4."""


@dataclass(frozen=True, slots=True)
class Rail:
    """A supply line that is measured.

    ``fed_by``: the measured rail that it hangs on, ``None`` for one that comes from outside of all
    that is measured: adding a rail to the one that feeds it counts energy twice. ``sensor``: which
    of the agent's sensors reads it. ``chip``: how that sensor names it where the kernel has no
    label for it. ``shunt_mohm``: the resistor, where it is known.
    """

    name: str
    fed_by: str | None = None
    sensor: str = "ina3221"
    chip: str | None = None
    shunt_mohm: float | None = None


@dataclass(frozen=True, slots=True)
class Board:
    """Facts of one board family.

    ``compatible``: parts of ``/proc/device-tree/compatible`` strings; one match recognises it.
    ``relatives``: the same for modules of another SKU, which is then told: they are taken for this
    board, since all known ones of that module have the same rails. ``machines``: what ``uname -m``
    says on boards that have no better sign.
    ``rails``: what is measured there. ``total``: those whose *sum* is the total. Empty: the board
    has no rail that covers it. ``scope``: what the total covers (``module``, ``board input``).
    ``gain_error``: relative systematic error of the rails, the vendor's figure.
    ``runtimes``: what usually serves there, best first (names of :data:`bench.runtimes.RUNTIMES`).
    ``state``: what its power mode and clocks are set with. ``throttle``: what tells that it
    throttles. Both are for people: the agent looks for all of it on every board (its health.py
    and state.py), and a test holds the two together.
    """

    name: str
    title: str
    compatible: tuple[str, ...]
    relatives: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    rails: tuple[Rail, ...] = ()
    total: tuple[str, ...] = ()
    scope: str = ""
    gain_error: float | None = None
    runtimes: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    throttle: tuple[str, ...] = ()
    note: str = ""
    emulated: bool = False
    """Whether it is no hardware, so that its times say nothing."""

    def rail(self, name: str) -> Rail | None:
        """Return a rail by name."""
        return next((rail for rail in self.rails if rail.name == name), None)
