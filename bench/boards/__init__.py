"""BOARDS: facts about board families, as data. One file a family, one line here.

The order matters only where a board has ids of another one: the more specific stands first.
"""

from __future__ import annotations

from collections.abc import Iterable

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


def recognise(compatible: Iterable[str]) -> Board:
    """Return the board whose id occurs in the device tree's ``compatible`` strings.

    A board that is not recognised is :data:`GENERIC`: it is still measured, with a note.
    """
    strings = list(compatible)
    for board in BOARDS:
        if any(identity in text for identity in board.compatible for text in strings):
            return board
    return GENERIC
