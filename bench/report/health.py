"""Temperatures, clocks and throttling of a device over a run, as its board told them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.records.recordings import Recording
from bench.report.canvas import GRID, INK, SCREEN, Form, Head, panels_figure, shortened, style
from bench.report.palette import COLOURS, SHAPES

_MOST_LINES = 8
"""Zones or clocks that are told apart; of more, those that moved most."""


@dataclass(frozen=True, slots=True)
class HealthPoint:
    """What was read of a board at ``at_s`` (since the first reading of its run).

    ``temperature_c`` and ``frequency_khz`` by zone and clock; ``throttled``: events since the
    reading before, by counter.
    """

    at_s: float
    temperature_c: Mapping[str, float]
    frequency_khz: Mapping[str, float]
    throttled: Mapping[str, int]


def health_points(recordings: Sequence[Recording]) -> tuple[HealthPoint, ...]:
    """Return the readings of a device from the recordings of its cases, in order of time.

    A board is read before and after the rounds, and after each of them.
    """
    found: dict[int, tuple[dict[str, Any], Mapping[str, int]]] = {}
    for recording in recordings:
        for moment in recording.health:
            if moment.get("t_ns"):
                found.setdefault(moment["t_ns"], (moment, {}))
        for item in recording.rounds:
            if item.health:
                end_ns = item.start_ns + int(item.durations_ns.sum())
                found[end_ns] = (item.health, item.throttled or {})
    first_ns = min(found, default=0)
    return tuple(
        HealthPoint(
            (t_ns - first_ns) * 1e-9,
            dict(read.get("temperature_c") or {}),
            dict(read.get("frequency_khz") or {}),
            {name: rise for name, rise in throttled.items() if rise > 0},
        )
        for t_ns, (read, throttled) in sorted(found.items())
    )


def health_chart(
    devices: Mapping[str, Sequence[HealthPoint]], where: str, form: Form = SCREEN
) -> Figure | None:
    """Draw temperatures and clocks of each device over its run; throttling is a bar across.

    ``None`` when no board told any.
    """
    panels = [
        panel
        for device, points in devices.items()
        for panel in (
            _Panel(
                device, "temperature [°C]", "zones", points, _series(points, "temperature_c", 1.0)
            ),
            _Panel(device, "clock [MHz]", "clocks", points, _series(points, "frequency_khz", 1e-3)),
        )
        if panel.series
    ]
    if not panels:
        return None
    throttled = any(point.throttled for panel in panels for point in panel.points)
    several = len(devices) > 1
    some = any(panel.left_out for panel in panels)
    words = f"; of more than {_MOST_LINES} lines those that moved most" if some else ""
    head = Head("Health", f"{where} · read after each round{words}", tuple(_meaning(throttled)))
    with style(form):
        figure, grid = panels_figure(
            head,
            form,
            len(panels),
            1,
            1.45 * form.text,
            between_in=(0.75 if several else 0.4) * form.text,
            right_in=1.5 * form.text,
        )
        for (axes,), panel in zip(grid, panels, strict=True):
            _draw(axes, panel, form)
            if several:
                title = shortened(panel.device, 40)
                axes.set_title(title, fontsize=form.pt(8.5), loc="left", pad=3)
        grid[-1][0].set_xlabel("time since the first reading [s]")
    return figure


@dataclass(frozen=True, slots=True)
class _Panel:
    """All readings of the zones or clocks (``parts``) of a device, by zone or clock."""

    device: str
    label: str
    parts: str
    points: Sequence[HealthPoint]
    series: Mapping[str, Sequence[tuple[float, float]]]

    @property
    def left_out(self) -> bool:
        """Whether there are more than are drawn."""
        return len(self.series) > _MOST_LINES


def _series(
    points: Sequence[HealthPoint], name: str, unit: float
) -> dict[str, list[tuple[float, float]]]:
    """Return the readings of a field by zone or clock, in ``unit`` of it."""
    found: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        for part, value in getattr(point, name).items():
            found.setdefault(part, []).append((point.at_s, value * unit))
    return found


def _moved_most(
    series: Mapping[str, Sequence[tuple[float, float]]],
) -> dict[str, Sequence[tuple[float, float]]]:
    ranges = {
        part: max(value for _, value in read) - min(value for _, value in read)
        for part, read in series.items()
    }
    kept = sorted(series, key=lambda part: -ranges[part])[:_MOST_LINES]
    return {part: series[part] for part in series if part in kept}


def _meaning(throttled: bool) -> list[Artist]:
    if not throttled:
        return []
    return [Line2D([], [], color=COLOURS[5], linewidth=4, alpha=0.4, label="throttled")]


def _draw(axes: Axes, panel: _Panel, form: Form) -> None:
    series, points = panel.series, panel.points
    axes.set_ylabel(panel.label)
    for place, (part, read) in enumerate(_moved_most(series).items()):
        axes.plot(
            [at_s for at_s, _ in read],
            [value for _, value in read],
            color=COLOURS[place % len(COLOURS)],
            marker=SHAPES[place % len(SHAPES)],
            markevery=0.1 if len(read) > 10 else 1,
            ms=4 * form.text,
            linewidth=1.1,
            label=shortened(part, 16),
        )
    for before, point in zip((points[0], *points), points, strict=False):
        if point.throttled:
            axes.axvspan(before.at_s, point.at_s, color=COLOURS[5], alpha=0.3, linewidth=0)
    axes.legend(
        title=f"{_MOST_LINES} of {len(series)} {panel.parts}" if panel.left_out else None,
        title_fontsize=form.pt(7.5),
        alignment="left",
        loc="upper left",
        bbox_to_anchor=(1.01, 1.03),
        fontsize=form.pt(7.5),
        frameon=False,
        borderaxespad=0,
        handlelength=1.5,
        labelspacing=0.25,
        labelcolor=INK,
    )
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.margins(y=0.15)
