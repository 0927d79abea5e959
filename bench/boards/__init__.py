"""BOARDS: facts about board families, as data. One file a family, one line here.

The order matters only where a board has ids of another one: the more specific stands first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from bench import plugins
from bench.boards import (
    generic,
    jetson_nano,
    jetson_orin,
    jetson_thor,
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
    *jetson_thor.BOARDS,
    *raspberry_pi.BOARDS,
    *generic.BOARDS,
)

GENERIC = generic.OTHER

_MODULE = re.compile(r"p[0-9]{4}-[0-9]{4}")
"""How NVIDIA writes a module or carrier: part number and SKU."""


@cache
def boards() -> plugins.Table[Board]:
    """Return the boards by name. A plug-in is a :class:`~bench.boards.spec.Board`."""
    return plugins.joined(
        plugins.BOARDS, {board.name: board for board in BOARDS}, plugins.loads(Board)
    )


def recognise(compatible: Iterable[str], machine: str = "") -> Board:
    """Return the board whose id occurs in the device tree's ``compatible`` strings.

    Plug-ins are looked at first: one is installed for a carrier or module that is not known here,
    whose strings often name a known one as well. The ``model`` string plays no part: carriers of
    others copy or invent it. A Jetson module of an unknown SKU is taken for its family, and a board
    that is not recognised at all for what ``machine`` (``uname -m``) says, else for
    :data:`GENERIC`; a note says so in each case.
    """
    strings = list(compatible)
    added = [boards()[name] for name in boards().plugins]
    for board in (*added, *BOARDS):
        if any(identity in text for identity in board.compatible for text in strings):
            return board
    ids = ", ".join(dict.fromkeys(found for text in strings for found in _MODULE.findall(text)))
    for board in BOARDS:
        if any(identity in text for identity in board.relatives for text in strings):
            return replace(
                board,
                note=f"{ids} is not a module that bench knows: its rails and their total are taken "
                f"for those of a {board.title}; check them",
            )
    known = next((board for board in BOARDS if machine in board.machines), GENERIC)
    if ids or any("nvidia,tegra" in text for text in strings):
        return replace(
            known,
            note=f"a Jetson that bench does not know ({ids or 'no module id in its device tree'}); "
            f"{generic.NAME_IT}",
        )
    return known


def recognise_probed(facts: Mapping[str, Any]) -> Board:
    """Return the board that an agent's ``probe`` (see :mod:`bench.agent.wire`) tells of."""
    return recognise(facts["board"]["compatible"], str(facts["os"]["machine"]))
