"""The colour and the marks by which a case is known in every chart of every run.

Colours are Okabe and Ito's, told apart by colour-blind people, without yellow (unreadable on
white). A colour stands for a scheme, whatever the model, and follows from its name; how weights
come about is told by the shape of a marker or the dashes of a line, so that charts can be read in
grey too. Models are told apart by the words or numbers beside their marks, on lines by shapes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from bench.records.case import Case

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
"""The colour of the first scheme of a family."""

MARKERS = {None: "o", "load": "s", "runtime": "^", "factored": "D"}
"""By weight mode; ``None``: a network without templates."""

SHAPES = "os^Dv<>PX*"
"""Of markers on lines, by the place of a line in its chart."""

_DASHES: dict[str | None, tuple[float, tuple[float, ...]]] = {
    "load": (0, (5, 1.5)),
    "runtime": (0, (1, 1.2)),
    "factored": (0, (5, 1.2, 1, 1.2)),
}


def marker(case: Case) -> str:
    """Return the shape of a case's markers."""
    return MARKERS.get(case.weights, "o")


def dashes(case: Case) -> tuple[float, tuple[float, ...]]:
    """Return the dashes of a case's lines, as matplotlib takes them."""
    return _DASHES.get(case.weights, (0, ()))


def family(scheme: str) -> str:
    """Return the family of a scheme: ``prune`` of ``prune-l1:0.25``."""
    return scheme.partition(":")[0].partition("-")[0]


def colours(schemes: Iterable[str]) -> dict[str, str]:
    """Return a colour for each of these schemes, whatever their order.

    The first of a family, in alphabetical order, has the colour of the family. Each further one
    takes the first that is left in an order of its own, which follows from its name. Of more
    schemes than colours some share one.
    """
    names = sorted(set(schemes))
    found: dict[str, str] = {}
    for name in names:
        colour = FAMILIES.get(family(name))
        if colour is not None and colour not in found.values():
            found[name] = colour
    left = [colour for colour in COLOURS if colour not in found.values()]
    for name in names:
        if name not in found:
            left = left or list(COLOURS)
            found[name] = next(colour for colour in _further(name) if colour in left)
            left.remove(found[name])
    return found


def _further(name: str) -> list[str]:
    """Return all colours in the order in which a scheme without a family's colour wants them."""
    # Black is for what is compared with; nothing else takes it unless nothing is left.
    others = sorted(
        COLOURS[1:], key=lambda colour: hashlib.sha256(f"{name}/{colour}".encode()).digest()
    )
    return [*others, COLOURS[0]]
