"""The cases of several runs over time: a chart per device, and a table per case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import matplotlib.dates as mdates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analysis.compare import QuantityComparison, compare
from bench.analysis.conditions import Subject, subject
from bench.analysis.history import Point, Trend, Value, trends
from bench.records.status import Status, Verdict
from bench.records.trial import Trial
from bench.report import format as fmt
from bench.report import marks
from bench.report.canvas import GRID, MUTED, SCREEN, Head, panels_figure, shortened, style
from bench.report.palette import SHAPES
from bench.report.pareto import axis_label
from bench.report.status_text import status_lines_of
from bench.store.reader import Run
from bench.timestamps import parse_time

MOST_LINES = 12
"""Cases in one chart at most."""

_PANEL_IN = 2.2
_MARKER_PT = 8.0
_MINUTE = 1 / 24 / 60
"""In days, the unit of an axis of dates."""
_MARGIN = 0.01


@dataclass(frozen=True, slots=True)
class Step:
    """One run in the table of a case; ``since``: what became of it since the run before."""

    run_id: str
    started: str
    p50: str
    energy: str
    since: tuple[str, ...]
    changed: str
    status: tuple[str, ...]
    mark: str


@dataclass(frozen=True, slots=True)
class CaseTrend:
    """A case that was measured in more than one run, oldest first."""

    device: str
    label: str
    steps: tuple[Step, ...]


def case_trends(runs: Sequence[Run]) -> tuple[tuple[CaseTrend, ...], tuple[Trend, ...]]:
    """Return the cases that several of these runs measured, for tables and for charts."""
    pairs = [(trial, run.manifest) for run in runs for trial in run.trials]
    found = tuple(item for item in trends(pairs) if len(item.points) > 1)
    known = {
        (manifest.run_id, trial.trial_id): subject(trial, manifest) for trial, manifest in pairs
    }
    return tuple(_case(item, known) for item in found), found


def trend_chart(found: Sequence[Trend], colours: Mapping[str, str], device: str) -> Figure | None:
    """Draw p50 and energy of the cases of a device over time, ``None`` when there are none.

    ``colours``: by scheme. Marks tell their status as in all charts; a vertical line says that a
    condition changed there (engine, power mode, clocks ...).
    """
    dated = [_dated(item) for item in found if item.case.device == device]
    every = [item for item in dated if item.points]
    shown = every[:MOST_LINES]
    panels = [panel for panel in _PANELS if _values(panel, shown)]
    if not panels:
        return None
    values = [panel.of(point) for panel in panels for item in shown for point in item.points]
    drawn = [value for value in values if value.value is not None]
    some = f" · {len(shown)} of {len(every)} cases, the tables have all"
    head = Head(
        "Over time",
        f"{device}{some if len(every) > len(shown) else ''} · p50 of latency, energy per inference "
        "with 95 % intervals; dotted: a condition changed",
        (
            *(
                _meaning(item, colours[item.case.scheme], number)
                for number, item in enumerate(shown)
            ),
            *marks.meanings(
                (Verdict(status=value.status) for value in drawn),
                estimated=any(value.estimated for value in drawn),
                points=True,
            ),
        ),
    )
    with style():
        figure, grid = panels_figure(
            head, SCREEN, len(panels), 1, _PANEL_IN, sharex=True, left_in=0.8, between_in=0.4
        )
        for (axes,), panel in zip(grid, panels, strict=True):
            _draw_panel(axes, panel, shown, colours)
        times = [_time(point) for item in shown for point in item.points]
        # Around a single run with a figure the axis would otherwise span years.
        beyond = max(0.05 * (max(times) - min(times)), _MINUTE)
        axis = grid[-1][0].xaxis
        grid[-1][0].set_xlim(min(times) - beyond, max(times) + beyond)
        locator = mdates.AutoDateLocator(minticks=2, maxticks=8)  # type: ignore[no-untyped-call]
        axis.set_major_locator(locator)
        axis.set_major_formatter(mdates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    return figure


def _meaning(item: Trend, colour: str, number: int) -> Line2D:
    """Return what explains the line of a case."""
    return Line2D(
        [],
        [],
        color=colour,
        marker=SHAPES[number % len(SHAPES)],
        label=shortened(item.case.label, 64),
    )


@dataclass(frozen=True, slots=True)
class _Panel:
    name: str
    of: Callable[[Point], Value]
    unit: Callable[[float], tuple[float, str]]


_PANELS = (
    _Panel("p50", lambda point: point.p50_s, fmt.seconds_unit),
    _Panel("energy", lambda point: point.energy_j, fmt.joules_unit),
)


def _values(panel: _Panel, shown: Sequence[Trend]) -> list[float]:
    found = (panel.of(point).value for item in shown for point in item.points)
    return [value for value in found if value is not None]


def _draw_panel(
    axes: Axes, panel: _Panel, shown: Sequence[Trend], colours: Mapping[str, str]
) -> None:
    unit, unit_name = panel.unit(max(_values(panel, shown)))
    for number, item in enumerate(shown):
        colour = colours[item.case.scheme]
        _draw(axes, item, panel.of, unit, colour, SHAPES[number % len(SHAPES)])
    known = [panel.of(point) for item in shown for point in item.points]
    values = [value for value in known if value.value is not None]
    axes.set_ylabel(axis_label(f"{panel.name} [{unit_name}]", values))
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    for at in _changes(shown):
        axes.axvline(at, color=MUTED, linewidth=0.8, linestyle=":")


def _draw(
    axes: Axes, item: Trend, of: Callable[[Point], Value], unit: float, colour: str, marker: str
) -> None:
    known = [(_time(point), of(point)) for point in item.points if of(point).value is not None]
    values = [(value.value or 0.0) / unit for _, value in known]
    axes.plot([at for at, _ in known], values, color=colour, linewidth=1.1, alpha=0.6)
    for (at, value), height in zip(known, values, strict=True):
        low = height if value.low is None else value.low / unit
        high = height if value.high is None else value.high / unit
        axes.errorbar(
            at,
            height,
            yerr=[[max(0.0, height - low)], [max(0.0, high - height)]],
            fmt="none",
            ecolor=colour,
            capsize=3,
            elinewidth=1.1,
        )
        valid = value.status is Status.VALID
        marks.point(
            axes, (at, height), marker, _MARKER_PT, colour, valid=valid, estimated=value.estimated
        )


def _dated(item: Trend) -> Trend:
    """Return a case without what was measured nobody knows when."""
    points = tuple(point for point in item.points if parse_time(point.started_at))
    return replace(item, points=points)


def _time(point: Point) -> float:
    return float(mdates.date2num(parse_time(point.started_at)))  # type: ignore[no-untyped-call]


def _changes(shown: Sequence[Trend]) -> list[float]:
    return sorted({_time(point) for item in shown for point in item.points if point.changes})


def _case(item: Trend, known: Mapping[tuple[str, str], Subject]) -> CaseTrend:
    steps: list[Step] = []
    before: Subject | None = None
    for point in item.points:
        now = known[point.run_id, point.trial_id]
        steps.append(_step(point, before, now))
        before = now
    return CaseTrend(item.case.device, fmt.plain(item.case.label), tuple(steps))


def _step(point: Point, before: Subject | None, now: Subject) -> Step:
    trial: Trial = now.trial
    since: tuple[str, ...] = ()
    if before is not None:
        compared = compare(before, now, _MARGIN)
        since = tuple(
            _since(quantity)
            for quantity in compared.quantities
            if quantity.quantity in ("latency", "energy") and quantity.ratio is not None
        ) or ("nothing to compare",)
    interval = fmt.median_interval(trial.latency)
    return Step(
        run_id=point.run_id,
        started=point.started_at[:16].replace("T", " "),
        p50=fmt.median(trial.latency) + (f" ({interval})" if interval else ""),
        energy=fmt.energy(trial.energy),
        since=since,
        changed=", ".join(f"{change.name}: {change.a} → {change.b}" for change in point.changes),
        status=status_lines_of(trial),
        mark=fmt.worst_status(trial).value,
    )


def _since(found: QuantityComparison) -> str:
    assert found.ratio is not None
    words = f"{found.quantity} {found.word}: {_percent(found.ratio)}"
    if found.low is None or found.high is None:
        return words
    return f"{words} ({_percent(found.low)} … {_percent(found.high)})"


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %".replace("-", "\N{MINUS SIGN}")
