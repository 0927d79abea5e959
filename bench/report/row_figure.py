"""A chart with one horizontal line per case: its name, its mark, its figures in words.

Where there is room the name stands at the left and the words at the right of the mark, otherwise
both stand above it.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.report.canvas import GRID, INK, MUTED, Form, Head, shortened, wrapped
from bench.report.rows import Row

_LEFT_IN, _RIGHT_IN, _EDGE_IN = 2.25, 2.55, 0.16
_FOOT_IN = 0.58
_LINE_IN = 0.165
_MOST_REMARK_LINES = 5


@dataclass(frozen=True, slots=True)
class Words:
    """What is said of a case: its ``figures``, ``remarks`` in small letters below them, or in the
    place of its mark why it has none (``blank``)."""

    figures: str = ""
    remarks: tuple[str, ...] = ()
    blank: str = ""


@dataclass(frozen=True, slots=True)
class RowFigure:
    """A figure with a line per case; y counts inches downwards, see :meth:`y` and :meth:`h`.

    ``bands_in``: the middle of the band in which the marks of each line lie, each ``band_in`` high.
    """

    figure: Figure
    axes: Axes
    form: Form
    bands_in: tuple[float, ...]
    band_in: float

    def y(self, position: int, shift: float = 0.0) -> float:
        """Return where the mark of a line is, ``shift`` (−0.5 to 0.5) off its middle."""
        return self.bands_in[position] + shift * self.band_in

    def h(self, height: float) -> float:
        """Return a height that is relative to the band of a line."""
        return height * self.band_in


@dataclass(frozen=True, slots=True)
class _Line:
    """The texts of a case as they fit: in ``above`` lines over its band, or beside it."""

    label: str
    figures: str
    remarks: tuple[str, ...]
    blank: str
    above: int
    """Lines of text above the band; 0 where text stands beside it."""


def row_figure(rows: Sequence[Row], words: Sequence[Words], head: Head, form: Form) -> RowFigure:
    """Return a figure with a line per case, the first on top, with all its texts."""
    lines = [_line(row, each, form) for row, each in zip(rows, words, strict=True)]
    band_in = (0.38 if form.narrow else 0.5) * form.text
    heights_in = [_height_in(line, form) for line in lines]
    edges_in = [0.0, *itertools.accumulate(heights_in)]
    bands_in = [
        bottom_in - 0.05 * form.text - band_in / 2 if form.narrow else (top_in + bottom_in) / 2
        for top_in, bottom_in in itertools.pairwise(edges_in)
    ]
    total_in = max(edges_in[-1], 0.3)
    top_in, foot_in = head.height_in(form), _FOOT_IN * form.text
    height_in = top_in + foot_in + total_in
    figure = Figure(figsize=(form.width_in, height_in), facecolor="white")
    FigureCanvasAgg(figure)
    left_in, right_in = _sides_in(form)
    axes = figure.add_axes(
        (
            left_in / form.width_in,
            foot_in / height_in,
            1 - (left_in + right_in) / form.width_in,
            total_in / height_in,
        ),
        facecolor="white",
    )
    axes.set_ylim(total_in, 0)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    head.draw(figure, form)
    made = RowFigure(figure, axes, form, tuple(bands_in), band_in)
    if form.narrow:
        _write_above(made, lines, edges_in)
    else:
        _write_beside(made, lines)
    return made


def _sides_in(form: Form) -> tuple[float, float]:
    if form.narrow:
        return _EDGE_IN, _EDGE_IN
    return _LEFT_IN * form.text, _RIGHT_IN * form.text


def _line(row: Row, words: Words, form: Form) -> _Line:
    if form.narrow:
        width_in = form.width_in - 2 * _EDGE_IN
        chars = form.chars(width_in, 9)
        remarks = _broken([" · ".join(filter(None, words.remarks))], form.chars(width_in, 7.5))
        label = wrapped(row.short, chars)
        own_line = len(row.short) + len(words.figures) + 3 > chars and bool(words.figures)
        above = 1 + label.count("\n") + own_line + len(remarks)
        return _Line(label, words.figures, remarks, shortened(words.blank, chars), above)
    remarks = _broken(words.remarks, form.chars((_RIGHT_IN - 0.15) * form.text, 7.5))
    return _Line(wrapped(row.short), words.figures, remarks, shortened(words.blank, 60), 0)


def _broken(remarks: Sequence[str], chars: int) -> tuple[str, ...]:
    """Return remarks broken into lines that fit."""
    lines = [line for remark in remarks for line in textwrap.wrap(remark, chars)]
    if len(lines) > _MOST_REMARK_LINES:
        rest = " ".join(lines[_MOST_REMARK_LINES - 1 :])
        lines = [*lines[: _MOST_REMARK_LINES - 1], shortened(rest, chars)]
    return tuple(lines)


def _height_in(line: _Line, form: Form) -> float:
    if form.narrow:
        return (0.38 + 0.12 + _LINE_IN * line.above) * form.text
    return max(0.52, 0.3 + _LINE_IN * len(line.remarks)) * form.text


def _write_beside(made: RowFigure, lines: Sequence[_Line]) -> None:
    form = made.form
    made.axes.set_yticks(made.bands_in, [line.label for line in lines], fontsize=form.pt(9))
    step_in = _LINE_IN * form.text
    for position, line in enumerate(lines):
        top_in = made.y(position) - step_in * len(line.remarks) / 2
        _write(made, 1.03, top_in, line.figures)
        for number, text in enumerate(line.remarks, 1):
            _write(made, 1.03, top_in + step_in * (number + 0.05), text, small=True)
        _write_blank(made, position, line)


def _write_above(made: RowFigure, lines: Sequence[_Line], edges_in: Sequence[float]) -> None:
    made.axes.set_yticks([])
    step_in = _LINE_IN * made.form.text
    for position, (line, edge_in) in enumerate(zip(lines, edges_in, strict=False)):
        at_in = edge_in - 0.4 * step_in
        for text in line.label.split("\n"):
            at_in += step_in
            _write(made, 0, at_in, text)
        if line.above > 1 + line.label.count("\n") + len(line.remarks):
            at_in += step_in
        _write(made, 1, at_in, line.figures, align="right")
        for text in line.remarks:
            at_in += step_in
            _write(made, 1, at_in, text, small=True, align="right")
        _write_blank(made, position, line)


def _write(
    made: RowFigure, x: float, y_in: float, text: str, *, small: bool = False, align: str = "left"
) -> None:
    made.axes.text(
        x,
        y_in,
        text,
        transform=made.axes.get_yaxis_transform(),
        va="center",
        ha=align,
        fontsize=made.form.pt(7.5 if small else 9),
        color=MUTED if small else INK,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6} if text else None,
    )


def _write_blank(made: RowFigure, position: int, line: _Line) -> None:
    made.axes.text(
        0.01,
        made.y(position),
        line.blank,
        transform=made.axes.get_yaxis_transform(),
        va="center",
        fontsize=made.form.pt(9),
        style="italic",
        color=MUTED,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6} if line.blank else None,
    )
