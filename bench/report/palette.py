"""The colour and the marks by which a case is known in every chart of every run.

Colours are Okabe and Ito's, told apart by colour-blind people, without yellow (unreadable on
white). A colour stands for a network, that is a model with its scheme; how its weights come about
is told by the shape of a marker or the dashes of a line, so that charts can be read in grey too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from bench.records import Case

COLOURS = (
    "#222222",  # black
    "#0072B2",  # blue
    "#56B4E9",  # sky blue
    "#009E73",  # green
    "#CC79A7",  # purple
    "#D55E00",  # vermilion
    "#E69F00",  # orange
    "#6B5B95",  # violet, not one of theirs
)

FAMILIES = {
    "dense": COLOURS[0],
    "basis": COLOURS[1],
    "blocks": COLOURS[2],
    "soft": COLOURS[3],
    "reuse": COLOURS[4],
    "prune": COLOURS[5],
    "recursive": COLOURS[6],
}
"""The colour that a family of schemes takes first."""

MARKERS = {None: "o", "load": "s", "runtime": "^", "factored": "D"}
"""By weight mode; ``None``: a network without templates."""

_DASHES: dict[str | None, tuple[float, tuple[float, ...]]] = {
    "load": (0, (5, 1.5)),
    "runtime": (0, (1, 1.2)),
    "factored": (0, (5, 1.2, 1, 1.2)),
}


def network(case: Case) -> str:
    """Return the name that a colour stands for: the model with its scheme."""
    return f"{case.model} {case.scheme}"


def marker(case: Case) -> str:
    """Return the shape of a case's markers."""
    return MARKERS.get(case.weights, "o")


def dashes(case: Case) -> tuple[float, tuple[float, ...]]:
    """Return the dashes of a case's lines, as matplotlib takes them."""
    return _DASHES.get(case.weights, (0, ()))


def family(scheme: str) -> str:
    """Return the family of a scheme: ``prune`` of ``prune-l1:0.25``."""
    return scheme.partition(":")[0].partition("-")[0]


def colours(networks: Iterable[str]) -> dict[str, str]:
    """Return a colour for each of the networks (see :func:`network`), whatever their order.

    A network has one order of preference of its own: first the colour of its scheme's family, then
    the others in an order that follows from its name. In alphabetical order each takes the first
    that is left, so that a colour only depends on what else is drawn where two want the same one.
    Of more networks than colours some share one.
    """
    found: dict[str, str] = {}
    left: list[str] = []
    for name in sorted(set(networks)):
        left = left or list(COLOURS)
        found[name] = next(colour for colour in _preferred(name) if colour in left)
        left.remove(found[name])
    return found


def _preferred(name: str) -> list[str]:
    """Return all colours in the order in which a network wants them."""
    # Black is for what is compared with; nothing else takes it unless nothing is left.
    others = sorted(
        COLOURS[1:], key=lambda colour: hashlib.sha256(f"{name}/{colour}".encode()).digest()
    )
    first = FAMILIES.get(family(name.rpartition(" ")[2]))
    return [first, *others, COLOURS[0]] if first else [*others, COLOURS[0]]
