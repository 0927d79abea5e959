"""What all charts have in common: their size, their texts, saving."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.report import format as fmt

INK = "#222222"
MUTED = "#6a6a6a"
GRID = "#dcdcdc"

SMALLEST_PT = 7.0
"""Text below this cannot be read in print."""

_MOST_DOTS = 65_000
"""Of a PNG in one direction; matplotlib draws fewer than 2**16."""
_LETTER = 0.0077
"""Mean width of a letter in inches per point of its size."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a chart is made for.

    ``width_in``: its width in inches; ``text``: size of all text relative to that on a screen;
    ``titled``: whether it has a title (in a paper its caption says that); ``dots_per_in``: of a
    PNG; ``live_text``: whether an SVG keeps text as text instead of shapes.
    """

    width_in: float = 9.0
    text: float = 1.0
    titled: bool = True
    dots_per_in: int = 150
    live_text: bool = False

    def pt(self, size: float) -> float:
        """Return a size of text in points from that on a screen."""
        return max(SMALLEST_PT, size * self.text)

    def chars(self, width_in: float, size: float) -> int:
        """Return how many letters of a size (on a screen) go into a width."""
        return max(8, int(width_in / (self.pt(size) * _LETTER)))

    @property
    def narrow(self) -> bool:
        """Whether there is no room for text beside the marks."""
        return self.width_in < 6.0 * self.text


SCREEN = Form()


def paper(width_in: float) -> Form:
    """Return the form of a figure for print that is ``width_in`` inches wide."""
    return Form(width_in, text=0.8, titled=False, dots_per_in=300, live_text=True)


def style(form: Form = SCREEN) -> AbstractContextManager[None]:
    """Return the settings to draw and save with, as a context."""
    return mpl.rc_context(
        {
            # Names of models and boards are not formulas.
            "text.parse_math": False,
            "font.size": form.pt(9.5),
            "xtick.labelsize": form.pt(9),
            "ytick.labelsize": form.pt(9),
            "axes.labelsize": form.pt(9.5),
            "text.color": INK,
            "axes.edgecolor": "#9a9a9a",
            "axes.labelcolor": INK,
            "axes.titlecolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "hatch.linewidth": 0.8,
            # Publishers refuse Type 3 fonts.
            "pdf.fonttype": 42,
            "svg.fonttype": "none" if form.live_text else "path",
            # Equal charts make equal files.
            "svg.hashsalt": "bench",
        }
    )


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above a chart: title, a line on what it shows, and what its marks mean."""

    title: str
    subtitle: str
    marks: tuple[Artist, ...] = ()

    def height_in(self, form: Form) -> float:
        """Return the height that it takes."""
        lines = len(self._lines(form))
        rows = math.ceil(len(self.marks) / self._columns(form)) if self.marks else 0
        title_in = 0.36 if form.titled else 0.06
        marks_in = 0.05 + 0.19 * rows if rows else 0.0
        return title_in + (0.21 * lines + marks_in) * form.text + 0.06

    def draw(self, figure: Figure, form: Form) -> None:
        """Write it at the top of a figure."""
        height_in, left_in = figure.get_figheight(), 0.11 * form.text
        down_in, left = 0.1 * form.text, left_in / form.width_in
        if form.titled:
            figure.text(
                left,
                1 - down_in / height_in,
                self.title,
                va="top",
                fontsize=form.pt(12.5),
                fontweight="bold",
            )
            down_in += 0.27
        for line in self._lines(form):
            figure.text(
                left, 1 - down_in / height_in, line, va="top", fontsize=form.pt(9), color=MUTED
            )
            down_in += 0.2 * form.text
        if self.marks:
            figure.legend(
                handles=list(self.marks),
                loc="upper left",
                bbox_to_anchor=(left - 0.04 / form.width_in, 1 - (down_in - 0.03) / height_in),
                ncols=self._columns(form),
                frameon=False,
                fontsize=form.pt(8.5),
                borderaxespad=0,
                borderpad=0.2,
                columnspacing=1.2,
                handlelength=1.8,
                handletextpad=0.6,
            )

    def _lines(self, form: Form) -> list[str]:
        if not self.subtitle:
            return []
        chars = form.chars(form.width_in - 0.2, 9)
        return wrapped(self.subtitle, chars, 3).split("\n")

    def _columns(self, form: Form) -> int:
        widths_in = [
            len(str(mark.get_label())) * _LETTER * form.pt(8.5) + 0.5 * form.text
            for mark in self.marks
        ]
        if sum(widths_in) <= form.width_in:
            return len(widths_in)
        return max(1, int((form.width_in - 0.1) / max(widths_in)))


def panels_figure(
    head: Head, form: Form, lines: int, columns: int, panel_in: float, **options: Any
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with ``lines`` × ``columns`` panels below its head, each ``panel_in`` high.

    ``options``: ``left_in`` and ``right_in`` (room at the sides), ``between_in`` (rows of panels),
    ``beside`` (columns, relative to a panel) and what ``Figure.subplots`` takes.
    """
    top_in = head.height_in(form) + 0.22 * form.text
    bottom_in = options.pop("bottom_in", 0.5 * form.text)
    between_in = options.pop("between_in", 0.3 * form.text)
    left_in = options.pop("left_in", 0.7 * form.text)
    right_in = options.pop("right_in", 0.15 * form.text)
    beside = options.pop("beside", 0.08)
    height_in = top_in + bottom_in + panel_in * lines + between_in * (lines - 1)
    figure = Figure(figsize=(form.width_in, height_in), facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.subplots(lines, columns, squeeze=False, **options)
    figure.subplots_adjust(
        left=left_in / form.width_in,
        right=1 - right_in / form.width_in,
        bottom=bottom_in / height_in,
        top=1 - top_in / height_in,
        hspace=between_in / panel_in,
        wspace=beside,
    )
    for axes in grid.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
    head.draw(figure, form)
    return figure, [list(line) for line in grid]


def message(text: str, head: Head, form: Form = SCREEN) -> Figure:
    """Return a chart that only says why there is nothing to draw."""
    lines = wrapped(text, form.chars(form.width_in - 0.3, 9.5), 4)
    height_in = head.height_in(form) + (0.22 * (1 + lines.count("\n")) + 0.6) * form.text
    figure = Figure(figsize=(form.width_in, height_in), facecolor="white")
    FigureCanvasAgg(figure)
    head.draw(figure, form)
    figure.text(
        0.11 * form.text / form.width_in,
        0.4 * form.text / height_in,
        lines,
        va="bottom",
        fontsize=form.pt(9.5),
        style="italic",
        color=MUTED,
    )
    return figure


def label_x(axes: Axes, label: str, *, empty: bool = False) -> None:
    """Name the x axis and give it round ticks; a chart without any mark has no axis."""
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_visible(not empty)
    axes.spines["bottom"].set_visible(not empty)


def wrapped(text: str, chars: int = 28, lines: int = 3) -> str:
    """Break a label into at most ``lines`` lines; what does not fit ends in an ellipsis."""
    pieces = textwrap.wrap(fmt.plain(text), chars) or [""]
    if len(pieces) > lines:
        pieces = [*pieces[: lines - 1], shortened(" ".join(pieces[lines - 1 :]), chars)]
    return "\n".join(pieces)


def shortened(text: str, chars: int) -> str:
    """Return text of at most ``chars`` characters on one line."""
    text = fmt.plain(text)
    return text if len(text) <= chars else text[: chars - 1] + "…"


def rendered(figure: Figure) -> dict[str, bytes]:
    """Return a figure for a screen as ``{"png": bytes, "svg": bytes}``."""
    return {kind: saved(figure, kind) for kind in ("png", "svg")}


KINDS: dict[str, dict[str, Any]] = {
    "pdf": {"metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
    "png": {},
    "svg": {"metadata": {"Date": None, "Creator": None}},
}
"""Kinds of files that a figure is saved as, with what makes equal figures equal files."""


def saved(figure: Figure, kind: str, form: Form = SCREEN) -> bytes:
    """Return a figure as a file of a kind (see :data:`KINDS`)."""
    buffer = io.BytesIO()
    # What has a thousand lines is drawn more coarsely rather than not at all.
    dots_per_in = min(form.dots_per_in, _MOST_DOTS / max(figure.get_size_inches()))
    with warnings.catch_warnings(), style(form):
        # A name may hold letters that the font lacks: they show as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format=kind, dpi=dots_per_in, **KINDS[kind])
    return buffer.getvalue()
