"""One quantity against another: a numbered marker per case, and a key below that names them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.report import marks, palette
from bench.report.canvas import GRID, INK, MUTED, Form, Head, panels_figure, wrapped
from bench.report.rows import Row

_MARKER_PT = 6.5
_KEY_LINE = 0.0193
"""Height of a line of the key in inches per point of its text."""
_APART_PT = 9.0
"""Distance from which on two points have a number each."""


@dataclass(frozen=True, slots=True)
class Figure2D:
    """A figure for an axis, with the ends of its 95 % interval where they are known."""

    value: float
    low: float | None = None
    high: float | None = None
    valid: bool = True
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """A case in a panel; ``number`` is that of the key. ``note`` is written beside it.

    ``rivals``: points are only compared with those that have the same.
    """

    row: Row
    number: int
    x: Figure2D
    y: Figure2D
    rivals: tuple[object, ...] = ()
    note: str = ""

    @property
    def counts(self) -> bool:
        """Whether both figures were measured and nothing speaks against them."""
        return all(each.valid and not each.estimated for each in (self.x, self.y))


@dataclass(frozen=True, slots=True)
class Panel:
    """What is drawn in one panel: ``points``, ``steps`` that join fronts from the cheapest on, with
    bold numbers, and straight ``paths`` that join the points of one case. ``y_names``: what the
    values 0, 1, … of y stand for, from the top, where they are no quantity."""

    title: str
    x_label: str
    y_label: str
    points: tuple[Point, ...]
    steps: tuple[tuple[Point, ...], ...] = ()
    paths: tuple[tuple[Point, ...], ...] = ()
    y_names: tuple[str, ...] = ()


def draw_panels(
    panels: Sequence[Panel], key: Sequence[Row], head: Head, form: Form, panel_in: float
) -> Figure:
    """Draw panels side by side where there is room, and the key below them."""
    columns = max(1, min(len(panels), int(form.width_in / (3.2 * form.text))))
    lines = -(-len(panels) // columns)
    labels = _key_labels(key, form)
    key_columns = _key_columns(labels, form)
    key_lines = sum(label.count("\n") + 1 for label in labels)
    key_in = _KEY_LINE * form.pt(8) * -(-key_lines // key_columns) + 0.1 * form.text
    figure, grid = panels_figure(
        head,
        form,
        lines,
        columns,
        panel_in * form.text,
        bottom_in=0.55 * form.text + key_in,
        between_in=0.85 * form.text,
        left_in=0.75 * form.text,
        beside=0.32,
    )
    places = [axes for line in grid for axes in line]
    for axes, panel in zip(places, panels, strict=False):
        _draw(axes, panel, form)
        chars = form.chars(form.width_in / columns - 0.9 * form.text, 9)
        axes.set_title(wrapped(panel.title, chars, 2), fontsize=form.pt(9), loc="left")
    for axes in places[len(panels) :]:
        axes.remove()
    _draw_key(figure, key, labels, form, key_columns)
    return figure


def _draw(axes: Axes, panel: Panel, form: Form) -> None:
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    axes.grid(color=GRID, linewidth=0.8)
    for step in panel.steps:
        axes.step(
            [point.x.value for point in step],
            [point.y.value for point in step],
            where="post",
            color=MUTED,
            linewidth=1.0,
            linestyle="--",
            zorder=1,
        )
    for path in panel.paths:
        axes.plot(
            [point.x.value for point in path],
            [point.y.value for point in path],
            color=path[0].row.colour,
            linestyle=palette.dashes(path[0].row.case),
            linewidth=1.0,
            alpha=0.7,
            zorder=1,
        )
    for point in panel.points:
        _draw_point(axes, point, form)
    axes.margins(0.14, 0.16)
    if panel.y_names:
        axes.set_ylim(len(panel.y_names) - 0.5, -0.5)
    _write_numbers(axes, panel, form)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    if panel.y_names:
        names = [wrapped(name, 10, 2) for name in panel.y_names]
        axes.set_yticks(range(len(names)), names, fontsize=form.pt(8))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))


def _draw_point(axes: Axes, point: Point, form: Form) -> None:
    axes.errorbar(
        point.x.value,
        point.y.value,
        xerr=_reach(point.x),
        yerr=_reach(point.y),
        fmt="none",
        ecolor=point.row.colour,
        elinewidth=0.8,
        alpha=0.7,
        zorder=2.6,
    )
    figures = (point.x, point.y)
    marks.point(
        axes,
        (point.x.value, point.y.value),
        palette.marker(point.row.case),
        1.15 * _MARKER_PT * form.text,
        point.row.colour,
        valid=all(each.valid for each in figures),
        estimated=any(each.estimated for each in figures),
    )


def _write_numbers(axes: Axes, panel: Panel, form: Form) -> None:
    """Write the number beside each point; points that lie on each other share a place."""
    ahead = {point.number for step in panel.steps for point in step}
    to_pt = 72 / axes.figure.dpi
    places: list[tuple[float, float, list[Point]]] = []
    for point in panel.points:
        x, y = axes.transData.transform((point.x.value, point.y.value)) * to_pt
        near = next((at for at in places if math.hypot(at[0] - x, at[1] - y) < _APART_PT), None)
        if near is None:
            places.append((x, y, [point]))
        else:
            near[2].append(point)
    right_pt = axes.bbox.x1 * to_pt
    taken = [(x - 3, y - 3, x + 3, y + 3) for x, y, _ in places]
    for x, y, points in places:
        words = ", ".join(f"{point.number} {point.note}".rstrip() for point in points)
        text = wrapped(words, 16, 9)
        boxes = {corner: _box(x, y, text, corner, form) for corner in _CORNERS}
        free = [
            corner
            for corner, box in boxes.items()
            if box[2] < right_pt and not any(_overlap(box, other) for other in taken)
        ]
        across, up = free[0] if free else _CORNERS[0]
        taken.append(boxes[across, up])
        axes.annotate(
            text,
            (points[0].x.value, points[0].y.value),
            xytext=(4.5 * across, 3.5 * up),
            textcoords="offset points",
            ha="left" if across > 0 else "right",
            va="bottom" if up > 0 else "top",
            fontsize=form.pt(8),
            fontweight="bold" if any(point.number in ahead for point in points) else "normal",
            color=INK,
            zorder=2.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.85},
        )


_CORNERS = ((1, 1), (-1, 1), (1, -1), (-1, -1))
"""Where a number may stand beside its point (1: right, above), the best first."""
_Box = tuple[float, float, float, float]
"""Left, lower, right and upper edge in points."""


def _box(x: float, y: float, text: str, corner: tuple[int, int], form: Form) -> _Box:
    """Return about where a text beside a point is."""
    lines = text.split("\n")
    width = 0.62 * form.pt(8) * max(map(len, lines))
    height = 1.25 * form.pt(8) * len(lines)
    xs = sorted((x + 4.5 * corner[0], x + (4.5 + width) * corner[0]))
    ys = sorted((y + 3.5 * corner[1], y + (3.5 + height) * corner[1]))
    return xs[0], ys[0], xs[1], ys[1]


def _overlap(one: _Box, two: _Box) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]


def _reach(figure: Figure2D) -> list[list[float]] | None:
    """Return how far the interval reaches below and above, as matplotlib takes it."""
    if figure.low is None or figure.high is None:
        return None
    return [[max(0.0, figure.value - figure.low)], [max(0.0, figure.high - figure.value)]]


def _key_labels(key: Sequence[Row], form: Form) -> list[str]:
    chars = form.chars(form.width_in - 0.5 * form.text, 8)
    return [
        f"{number}  " + wrapped(row.short, chars - 4).replace("\n", "\n      ")
        for number, row in enumerate(key, 1)
    ]


def _key_columns(labels: Sequence[str], form: Form) -> int:
    """Return how many columns of names fit without shortening one."""
    longest = max((len(line) for label in labels for line in label.split("\n")), default=1)
    return max(1, min(4, form.chars(form.width_in, 8) // (longest + 5)))


def _draw_key(
    figure: Figure, key: Sequence[Row], labels: Sequence[str], form: Form, columns: int
) -> None:
    handles = []
    for row, label in zip(key, labels, strict=True):
        handle = Line2D([], [], linewidth=0, color=row.colour, marker=palette.marker(row.case))
        handle.set_markersize(5.5 * form.text)
        handle.set_label(label)
        handles.append(handle)
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.03 / form.width_in, 0.02 / figure.get_figheight()),
        ncols=columns,
        frameon=False,
        fontsize=form.pt(8),
        borderaxespad=0,
        columnspacing=1.0,
        handletextpad=0.3,
        handlelength=1.4,
        labelspacing=0.35,
    )
