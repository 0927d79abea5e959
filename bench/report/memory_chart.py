"""Memory and load time of the cases."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.records.figures import MemoryStats
from bench.report import format as fmt
from bench.report import marks
from bench.report.canvas import SCREEN, Form, Head, label_x, style
from bench.report.row_figure import RowFigure, Words, row_figure
from bench.report.rows import Row

_MIB = 2**20


def memory_chart(rows: Sequence[Row], where: str, form: Form = SCREEN) -> Figure | None:
    """Draw the peak memory of each case and in it what the model adds; times to load in words.

    ``None`` when no memory was measured.
    """
    known = [row.trial.memory for row in rows if row.trial and row.trial.memory]
    if not known:
        return None
    head = Head(
        "Memory",
        f"{where} · resident memory of the process that runs the network",
        (
            marks.grey_patch("peak", 0.4),
            marks.grey_patch("rise by the model, steady (thinner)", 0.85),
            # Both are known of three processes or more.
            *marks.interval_meaning(stats.peak_half_width_bytes for stats in known),
            *marks.meanings(
                row.trial.memory_status for row in rows if row.trial and row.trial.memory
            ),
        ),
    )
    with style(form):
        made = row_figure(rows, [_words(row) for row in rows], head, form)
        ends = [stats.peak_bytes + (stats.peak_half_width_bytes or 0.0) for stats in known]
        made.axes.set_xlim(0, 1.06 * max([*ends, 1.0]) / _MIB)
        for position, row in enumerate(rows):
            if row.trial is not None and row.trial.memory is not None:
                _draw(made, position, row, row.trial.memory)
        label_x(made.axes, "memory [MiB]")
        made.axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    return made.figure


def _words(row: Row) -> Words:
    if row.trial is None or row.trial.memory is None:
        blank = row.status if row.trial is None else fmt.judgement(row.trial.memory_status)
        return Words(blank=blank or "no memory was measured")
    stats, load = row.trial.memory, row.trial.load
    return Words(
        f"peak {fmt.size(stats.peak_bytes)}",
        (
            f"rise {fmt.size(stats.steady_rise_bytes)}",
            "" if stats.gpu_rise_bytes is None else f"GPU {fmt.size(stats.gpu_rise_bytes)}",
            "" if load is None else f"load {fmt.seconds(load.load_s)}",
            "" if load is None else f"first inference {fmt.seconds(load.first_s)}",
            fmt.judgement(row.trial.memory_status),
        ),
    )


def _draw(made: RowFigure, position: int, row: Row, stats: MemoryStats) -> None:
    valid = row.trial is not None and marks.is_valid(row.trial.memory_status)
    bars = (
        (0.0, 0.62, 0.4, stats.peak_bytes, stats.peak_half_width_bytes),
        (0.0, 0.3, 0.85, stats.steady_rise_bytes, stats.steady_rise_half_width_bytes),
    )
    for shift, height, strength, value, half_width in bars:
        y, at = made.y(position, shift), value / _MIB
        how = marks.face(row.colour, valid=valid, strength=strength)
        made.axes.barh(y, at, height=made.h(height), **how)
        if half_width is not None:
            reach = half_width / _MIB
            marks.interval(made, y, at, at - reach, at + reach, (0.0, float("inf")))
