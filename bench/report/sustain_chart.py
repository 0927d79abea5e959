"""Latency, power and temperature of the cases under sustained load, over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.records.figures import SustainPoint, SustainStats
from bench.records.status import Source
from bench.report import format as fmt
from bench.report import palette
from bench.report.canvas import GRID, SCREEN, Form, Head, panels_figure, shortened, style
from bench.report.rows import Row

Reading = Callable[[SustainPoint], float | None]


def sustain_chart(rows: Sequence[Row], where: str, form: Form = SCREEN) -> Figure | None:
    """Draw a panel per quantity that was recorded, a line per case; ``None`` without any.

    A wide line is the value that the latency of a case ends in, from where it is steady.
    """
    shown = [(row, row.trial.sustain) for row in rows if row.trial and row.trial.sustain]
    if not shown:
        return None
    slowest_s = max(point.p50_s for _, stats in shown for point in stats.points)
    unit, name = fmt.seconds_unit(slowest_s)
    panels: list[tuple[str, Reading]] = [
        (f"p50 [{name}]", lambda point: point.p50_s / unit),
        (f"power{_estimated(rows)} [W]", lambda point: point.power_w),
        ("hottest zone [°C]", lambda point: point.temperature_c),
        ("clock [MHz]", lambda point: point.frequency_khz and point.frequency_khz / 1e3),
    ]
    panels = [panel for panel in panels if _has(shown, panel[1])]
    lines = tuple(_meaning(row, number, form) for number, (row, _) in enumerate(shown))
    with style(form):
        figure, grid = panels_figure(
            Head("Sustained load", where, lines),
            form,
            len(panels),
            1,
            1.45 * form.text,
            sharex=True,
            between_in=0.2 * form.text,
        )
        for axes, (label, reading) in zip((line[0] for line in grid), panels, strict=True):
            _draw(axes, shown, label, reading)
        for row, stats in shown:
            _draw_steady(grid[0][0], row, stats, unit)
        grid[-1][0].set_xlabel("time under load [s]")
    return figure


def _meaning(row: Row, number: int, form: Form) -> Line2D:
    label = shortened(row.short, form.chars(form.width_in - 0.8, 8.5))
    return Line2D([], [], label=label, **_line(row, number))


def _line(row: Row, number: int) -> dict[str, Any]:
    """Return how the line of a case is drawn: models of one scheme differ by their markers."""
    return {
        "color": row.colour,
        "linestyle": palette.dashes(row.case),
        "linewidth": 1.3,
        "marker": palette.SHAPES[number % len(palette.SHAPES)],
        "markersize": 4,
    }


def _estimated(rows: Sequence[Row]) -> str:
    """Return what marks the power axis where power was not measured."""
    known = [row.trial.energy for row in rows if row.trial and row.trial.energy]
    return ", est." if any(stats.source is Source.ESTIMATED for stats in known) else ""


def _has(shown: Sequence[tuple[Row, SustainStats]], reading: Reading) -> bool:
    return any(reading(point) is not None for _, stats in shown for point in stats.points)


def _draw(
    axes: Axes, shown: Sequence[tuple[Row, SustainStats]], label: str, reading: Reading
) -> None:
    for number, (row, stats) in enumerate(shown):
        points = [(point, reading(point)) for point in stats.points]
        known = [(p.at_s + p.duration_s / 2, value) for p, value in points if value is not None]
        axes.plot(
            [at_s for at_s, _ in known],
            [value for _, value in known],
            markevery=max(1, len(known) // 12),
            **_line(row, number),
        )
    axes.set_ylabel(label)
    axes.grid(axis="y", color=GRID, linewidth=0.8)


def _draw_steady(axes: Axes, row: Row, stats: SustainStats, unit: float) -> None:
    if stats.steady_p50_s is None or stats.steady_from_s is None:
        return
    end_s = stats.points[-1].at_s + stats.points[-1].duration_s
    level = stats.steady_p50_s / unit
    axes.plot([stats.steady_from_s, end_s], [level, level], color=row.colour, lw=3.5, alpha=0.35)
