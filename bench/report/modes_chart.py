"""Cases under several power modes: what each mode costs in latency and energy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from matplotlib.figure import Figure

from bench.records.case import Case
from bench.records.status import Status
from bench.report import format as fmt
from bench.report import marks
from bench.report.canvas import SCREEN, Form, Head, style
from bench.report.pareto import ENERGY, LATENCY, Axis, axis_label
from bench.report.rows import Row
from bench.report.scatter import Figure2D, Panel, Point, draw_panels

NO_MODE = "mode as found"
"""What stands for the power mode where none was asked for."""


def modes_rows(rows: Sequence[Row]) -> list[list[Row]]:
    """Return each case that has a latency under two power modes or more, its fastest mode first."""
    groups: dict[Case, list[tuple[float, Row]]] = {}
    for row in rows:
        if row.trial is not None and row.trial.latency is not None:
            same = row.case.model_copy(update={"power_mode": None})
            groups.setdefault(same, []).append((row.trial.latency.p50_s, row))
    return [
        [row for _, row in sorted(group, key=lambda pair: pair[0])]
        for group in groups.values()
        if _several(row for _, row in group)
    ]


def modes_chart(rows: Sequence[Row], where: str, form: Form = SCREEN) -> Figure | None:
    """Draw energy against latency, the modes of a case joined; ``None`` when no case has two.

    A case that lacks the energy of a mode has its latency drawn per mode. The number of a point is
    that of its case.
    """
    groups = modes_rows(rows)
    if not groups:
        return None
    panels = [panel for panel in (_energy_panel(groups), _latency_panel(groups)) if panel]
    points = [point for panel in panels for point in panel.points]
    verdicts = [
        verdict
        for point in points
        if point.row.trial
        for verdict in (point.row.trial.latency_status, point.row.trial.energy_status)
        if verdict.status is not Status.UNMEASURED
    ]
    head = Head(
        "Power modes",
        f"{where} · bars: 95 % intervals",
        tuple(
            marks.meanings(
                verdicts, estimated=any(point.y.estimated for point in points), points=True
            )
        ),
    )
    with style(form):
        return draw_panels(panels, [_named(group[0]) for group in groups], head, form, 3.2)


def _energy_panel(groups: Sequence[Sequence[Row]]) -> Panel | None:
    paths = []
    for number, group in enumerate(groups, 1):
        path = []
        for row in group:
            x, y = _of(LATENCY, row), _of(ENERGY, row)
            if x is not None and y is not None:
                path.append(Point(row, number, x, y, note=_mode(row)))
        if _several(point.row for point in path):
            paths.append(tuple(path))
    points = tuple(point for path in paths for point in path)
    if not points:
        return None
    label = axis_label(ENERGY.label, [point.y for point in points])
    return Panel("energy against latency", LATENCY.label, label, points, paths=tuple(paths))


def _latency_panel(groups: Sequence[Sequence[Row]]) -> Panel | None:
    """Return the latency per mode of the cases that lack the energy of a mode."""
    lacking = [
        (number, group)
        for number, group in enumerate(groups, 1)
        if any(_of(ENERGY, row) is None for row in group)
    ]
    names = list(dict.fromkeys(_mode(row) for _, group in lacking for row in group))
    paths = [
        tuple(
            Point(row, number, x, Figure2D(names.index(_mode(row))))
            for row in group
            if (x := _of(LATENCY, row)) is not None
        )
        for number, group in lacking
    ]
    if not paths:
        return None
    points = tuple(point for path in paths for point in path)
    some = any(_of(ENERGY, point.row) for point in points)
    return Panel(
        f"latency per mode (energy was not measured{' in each' if some else ''})",
        LATENCY.label,
        "",
        points,
        paths=tuple(paths),
        y_names=tuple(names),
    )


def _of(axis: Axis, row: Row) -> Figure2D | None:
    return axis.figure(row.trial) if row.trial else None


def _mode(row: Row) -> str:
    return fmt.plain(row.case.power_mode or NO_MODE)


def _several(rows: Iterable[Row]) -> bool:
    """Whether these rows of a case have more than one mode."""
    return len({row.case.power_mode for row in rows}) > 1


def _named(row: Row) -> Row:
    """Return the row as its case is called without the mode."""
    return replace(row, short=row.short.replace(f" @{row.case.power_mode}", "", 1))
