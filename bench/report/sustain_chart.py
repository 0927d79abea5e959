"""Latency, power and temperature of the cases under sustained load, over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.figures import SustainPoint, SustainStats
from bench.report import canvas
from bench.report import format as fmt
from bench.report.rows import Row
from bench.status import Source

_PANEL_IN = 1.7

Reading = Callable[[SustainPoint], float | None]


def sustain_chart(rows: Sequence[Row], where: str) -> Figure | None:
    """Draw a panel per quantity that was recorded, a line per case; ``None`` without any.

    A dotted line is the value that the latency of a case ends in, from where it is steady.
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
    height_in = 1.6 + _PANEL_IN * len(panels)
    with canvas.style():
        figure = Figure(figsize=(canvas.WIDTH_IN, height_in), facecolor="white")
        FigureCanvasAgg(figure)
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)
        figure.subplots_adjust(
            left=0.09, right=0.985, bottom=0.5 / height_in, top=1 - 1.0 / height_in, hspace=0.18
        )
        for axes, (label, reading) in zip(grid[:, 0], panels, strict=True):
            _draw(axes, shown, label, reading)
        for row, stats in shown:
            _draw_steady(grid[0, 0], row, stats, unit)
        grid[-1, 0].set_xlabel("time under load [s]")
        canvas.head(figure, "Sustained load", where)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="upper left",
            bbox_to_anchor=(0.05, 1 - 0.55 / height_in),
            ncols=3,
            frameon=False,
            fontsize=8.5,
        )
    return figure


def _estimated(rows: Sequence[Row]) -> str:
    """Return what marks the power axis where power was not measured."""
    known = [row.trial.energy for row in rows if row.trial and row.trial.energy]
    return ", est." if any(stats.source is Source.ESTIMATED for stats in known) else ""


def _has(shown: Sequence[tuple[Row, SustainStats]], reading: Reading) -> bool:
    return any(reading(point) is not None for _, stats in shown for point in stats.points)


def _draw(
    axes: Axes, shown: Sequence[tuple[Row, SustainStats]], label: str, reading: Reading
) -> None:
    for row, stats in shown:
        points = [(point, reading(point)) for point in stats.points]
        known = [(p.at_s + p.duration_s / 2, value) for p, value in points if value is not None]
        axes.plot(
            [at_s for at_s, _ in known],
            [value for _, value in known],
            color=row.colour,
            linewidth=1.3,
            label=canvas.shortened(row.short, 40),
        )
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=canvas.GRID, linewidth=0.8)


def _draw_steady(axes: Axes, row: Row, stats: SustainStats, unit: float) -> None:
    if stats.steady_p50_s is None or stats.steady_from_s is None:
        return
    end_s = stats.points[-1].at_s + stats.points[-1].duration_s
    level = stats.steady_p50_s / unit
    axes.plot([stats.steady_from_s, end_s], [level, level], ":", color=row.colour, linewidth=1.6)
