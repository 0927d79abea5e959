"""Which figures may be compared at all.

An estimate is not held against a measurement, nor one scope of energy against another, nor a
calibrated sensor against one that is not.
"""

from __future__ import annotations

from bench.analysis.conditions import Subject
from bench.analysis.figures import Figure


def same_board(a: Subject, b: Subject) -> bool:
    """Whether two trials were measured on the very same board."""
    return all(a.conditions.get(name) == b.conditions.get(name) for name in ("device", "board"))


def objection(left: Figure, right: Figure, on_one_board: bool) -> str:
    """Return why two figures cannot or must not be compared, empty where nothing is in the way.

    ``on_one_board``: whether both are of the very same board.
    """
    missing = [
        f"{side} has no figure ({figure.problem or 'not measured'})"
        for side, figure in (("A", left), ("B", right))
        if not figure.value
    ]
    return "; ".join(missing) or _refusal(left, right, on_one_board)


def _refusal(left: Figure, right: Figure, on_one_board: bool) -> str:
    if left.estimated != right.estimated:
        measured, estimated = ("B", "A") if left.estimated else ("A", "B")
        return f"refused: {estimated} is an estimate and {measured} a measurement"
    if left.scope != right.scope:
        return f"refused: A covers {left.scope or 'unknown'}, B covers {right.scope or 'unknown'}"
    if left.calibration == right.calibration:
        return ""
    # Two boards have a calibration each; their errors are part of the interval, as gain errors.
    if on_one_board or None in (left.calibration, right.calibration):
        said = (_calibrated(side, figure) for side, figure in (("A", left), ("B", right)))
        return f"refused: {', '.join(said)}"
    return ""


def _calibrated(side: str, figure: Figure) -> str:
    if figure.calibration is None:
        return f"the sensor of {side} is not calibrated"
    return f"that of {side} is {figure.calibration.words}"
