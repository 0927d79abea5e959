"""BOARDS: facts about board families, as data. One file a family, one line here.

The order matters only where a board has ids of another one: the more specific stands first.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from bench import plugins
from bench.boards import (
    jetson_nano,
    jetson_orin,
    jetson_tx2,
    jetson_xavier,
    raspberry_pi,
    virtual,
)
from bench.boards.spec import Board

BOARDS: tuple[Board, ...] = (
    *virtual.BOARDS,
    *jetson_nano.BOARDS,
    *jetson_tx2.BOARDS,
    *jetson_xavier.BOARDS,
    *jetson_orin.BOARDS,
    *raspberry_pi.BOARDS,
)

GENERIC = Board(
    name="generic-linux",
    title="Linux machine",
    compatible=(),
    note="board not recognised; name its total rail in devices.yaml (power.total) if it has one",
)


@cache
def boards() -> plugins.Table[Board]:
    """Return the boards by name. A plug-in is a :class:`~bench.boards.spec.Board`."""
    return plugins.joined(
        plugins.BOARDS, {board.name: board for board in BOARDS}, plugins.loads(Board)
    )


def recognise(compatible: Iterable[str]) -> Board:
    """Return the board whose id occurs in the device tree's ``compatible`` strings.

    Plug-ins are looked at first: one is installed for a carrier or module that is not known here,
    whose strings often name a known one as well. A board that is not recognised is
    :data:`GENERIC`: it is still measured, with a note.
    """
    strings = list(compatible)
    known = boards()
    added = [known[name] for name in known.plugins]
    for board in (*added, *BOARDS):
        if any(identity in text for identity in board.compatible for text in strings):
            return board
    return GENERIC
