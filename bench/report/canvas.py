"""What all charts have in common: figure, text, saving."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.report import format as fmt
from bench.report.rows import Row

WIDTH_IN = 9.0
INK = "#222222"
MUTED = "#6a6a6a"
GRID = "#dcdcdc"

_ROW_IN = 0.52
_MARGIN_IN = 1.25
_LABEL_CHARS = 28
_REMARK_CHARS = 42
_LABEL_LINES = 3
_SUBTITLE_CHARS = 200


def style() -> AbstractContextManager[None]:
    """Return the settings to draw and save with, as a context."""
    return mpl.rc_context(
        {
            # Names of models and boards are not formulas.
            "text.parse_math": False,
            "font.size": 9.5,
            "text.color": INK,
            "axes.edgecolor": "#9a9a9a",
            "axes.labelcolor": INK,
            "axes.titlecolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "hatch.linewidth": 0.8,
            # Equal charts make equal files.
            "svg.hashsalt": "bench",
        }
    )


def row_figure(rows: Sequence[Row], title: str, subtitle: str) -> tuple[Figure, Axes]:
    """Return a figure with one horizontal line per case, the first on top, labels at the left.

    The right quarter is left for each row's figures in words (:func:`annotate`).
    """
    height_in = _MARGIN_IN + _ROW_IN * max(1, len(rows))
    figure = Figure(figsize=(WIDTH_IN, height_in), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes(
        (0.25, 0.58 / height_in, 0.47, 1 - _MARGIN_IN / height_in), facecolor="white"
    )
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [wrapped(row.short) for row in rows], fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    head(figure, title, subtitle)
    return figure, axes


def head(figure: Figure, title: str, subtitle: str) -> None:
    """Write a chart's title and the line below it."""
    height_in = figure.get_figheight()
    figure.text(0.012, 1 - 0.1 / height_in, title, va="top", fontsize=12.5, fontweight="bold")
    below = shortened(subtitle, _SUBTITLE_CHARS)
    figure.text(0.012, 1 - 0.36 / height_in, below, va="top", fontsize=9, color=MUTED)


def label_x(axes: Axes, label: str, *, empty: bool) -> None:
    """Name the x axis and give it round ticks; a chart without any mark has no axis."""
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_visible(not empty)
    axes.spines["bottom"].set_visible(not empty)


def annotate(axes: Axes, position: float, text: str, *small: str) -> None:
    """Write a row's figures into the right margin, with remarks in small lines below."""
    where = axes.get_yaxis_transform()
    lines = [shortened(line, _REMARK_CHARS) for line in small if line]
    shift = 0.1 + 0.1 * len(lines) if lines else 0.0
    axes.text(1.03, position - shift, fmt.plain(text), transform=where, va="center", fontsize=9)
    for number, line in enumerate(lines):
        axes.text(
            1.03,
            position - shift + 0.33 + 0.24 * number,
            line,
            transform=where,
            va="center",
            fontsize=7.5,
            color=MUTED,
        )


def blank(axes: Axes, position: float, words: str) -> None:
    """Say in the place of a row's mark why there is none."""
    axes.text(
        0.01,
        position,
        shortened(words, 60),
        transform=axes.get_yaxis_transform(),
        va="center",
        fontsize=9,
        style="italic",
        color=MUTED,
    )


def wrapped(text: str, chars: int = _LABEL_CHARS, lines: int = _LABEL_LINES) -> str:
    """Break a label into at most ``lines`` lines; what does not fit ends in an ellipsis."""
    pieces = textwrap.wrap(text, chars) or [""]
    if len(pieces) > lines:
        pieces = [*pieces[: lines - 1], shortened(" ".join(pieces[lines - 1 :]), chars)]
    return "\n".join(pieces)


def shortened(text: str, chars: int) -> str:
    """Return text of at most ``chars`` characters on one line."""
    text = fmt.plain(text)
    return text if len(text) <= chars else text[: chars - 1] + "…"


def rendered(figure: Figure) -> dict[str, bytes]:
    """Return the figure as ``{"png": bytes, "svg": bytes}``."""
    files = {}
    with warnings.catch_warnings():
        # A name may hold letters that the font lacks: they show as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        with style():
            for kind, options in (
                ("png", {"dpi": 150}),
                ("svg", {"metadata": {"Date": None, "Creator": None}}),
            ):
                buffer = io.BytesIO()
                figure.savefig(buffer, format=kind, **options)
                files[kind] = buffer.getvalue()
    return files
