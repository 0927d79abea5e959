"""How marks tell what kind of figure they stand for, in every chart alike.

A valid figure is filled, an inconclusive one hollow with a dashed edge, and an estimate hatched
(with a solid or a dashed edge).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.records.status import Status, Verdict
from bench.report.canvas import INK
from bench.report.row_figure import RowFigure

HATCH = "////"
_GREY = "#777777"


def face(
    colour: str, *, valid: bool, estimated: bool = False, strength: float = 0.85
) -> dict[str, Any]:
    """Return how to fill a bar or a marker. ``strength``: opacity of what is filled, 0 to 1."""
    fill = "white" if not valid else to_rgba(colour, 0.2 * strength if estimated else strength)
    edge = to_rgba(colour, min(1.0, 0.15 + strength))
    return {
        "facecolor": fill,
        "edgecolor": edge,
        "hatch": HATCH if estimated else None,
        "linestyle": "solid" if valid else (0, (3, 2)),
        "linewidth": 1.0,
    }


def point(
    axes: Axes,
    at: tuple[float, float],
    marker: str,
    size_pt: float,
    colour: str,
    *,
    valid: bool,
    estimated: bool,
) -> None:
    """Draw a figure as a marker."""
    how = face(colour, valid=valid, estimated=estimated)
    # Dashes would leave nothing of so short an edge, and of a bar's hatch only a line or two.
    how["linestyle"] = "solid"
    how["hatch"] = 2 * HATCH if estimated else None
    axes.scatter([at[0]], [at[1]], s=size_pt**2, marker=marker, zorder=3, **how)


def is_valid(verdict: Verdict) -> bool:
    """Whether nothing speaks against a figure with this status."""
    return verdict.status is Status.VALID


def meanings(
    verdicts: Iterable[Verdict], *, estimated: bool = False, points: bool = False
) -> list[Artist]:
    """Return what explains the marks that are not simply filled.

    ``verdicts``: those of all figures that are drawn; ``estimated``: whether any is an estimate;
    ``points``: whether they are drawn as points instead of bars.
    """
    found: list[Artist] = []
    if estimated:
        found.append(Patch(**face(_GREY, valid=True, estimated=True), label="estimated"))
    doubts = sorted({each.status.value for each in verdicts if not is_valid(each)}, reverse=True)
    if doubts and points:
        hollow = Line2D([], [], linewidth=0, marker="o", color=_GREY, mfc="white", ms=6)
        hollow.set_label(" or ".join(doubts))
        found.append(hollow)
    elif doubts:
        found.append(Patch(**face(_GREY, valid=False), label=" or ".join(doubts)))
    return found


def interval_meaning(ends: Iterable[float | None]) -> list[Artist]:
    """Return what explains an interval, nothing where no case has one.

    ``ends``: an end or a half-width of each, ``None`` where it is not known.
    """
    if all(end is None for end in ends):
        return []
    return [Line2D([], [], color=INK, linewidth=1.4, marker="|", ms=7, label="95 % interval")]


def grey_patch(label: str, alpha: float) -> Artist:
    """Return an explanation of a shade."""
    return Patch(facecolor=to_rgba(_GREY, alpha), label=label)


def interval(
    made: RowFigure, y: float, middle: float, low: float, high: float, edges: tuple[float, float]
) -> None:
    """Draw an interval about a figure; an end beyond the ``edges`` of the chart is an arrow."""
    inside = max(low, edges[0]), min(high, edges[1])
    made.axes.errorbar(
        middle,
        y,
        xerr=[[max(0.0, middle - inside[0])], [max(0.0, inside[1] - middle)]],
        fmt="none",
        ecolor=INK,
        elinewidth=1.3,
        capsize=3 if inside == (low, high) else 0,
    )
    beyond = [(edges[0], "<")] * (low < edges[0]) + [(edges[1], ">")] * (high > edges[1])
    for edge, arrow in beyond:
        made.axes.plot(edge, y, marker=arrow, color=INK, ms=5, clip_on=False)
