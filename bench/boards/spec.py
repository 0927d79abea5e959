"""What a board's data file states."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Board:
    """Facts of one board family.

    ``compatible``: parts of ``/proc/device-tree/compatible`` strings; one match recognises it.
    ``total``: INA3221 rails whose *sum* is the total. Rails that feed each other must not both
    stand here, or energy is counted twice. Empty: the board has no rail that covers it.
    ``scope``: what the total covers (``module``, ``board input``).
    ``gain_error``: relative systematic error of the rails, the vendor's figure.
    """

    name: str
    title: str
    compatible: tuple[str, ...]
    total: tuple[str, ...] = ()
    scope: str = ""
    gain_error: float | None = None
    note: str = ""
    emulated: bool = False
    """Whether it is no hardware, so that its times say nothing."""
