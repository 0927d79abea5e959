"""Cases under several power modes: what each mode costs in latency and energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from matplotlib.figure import Figure

from bench.records import Case
from bench.report import format as fmt
from bench.report import marks
from bench.report.canvas import SCREEN, Form, Head, style
from bench.report.pareto import ENERGY, LATENCY, axis_label
from bench.report.rows import Row
from bench.report.scatter import Panel, Point, draw_panels

NO_MODE = "mode as found"
"""What stands for the power mode where none was asked for."""


def modes_points(rows: Sequence[Row]) -> list[list[Point]]:
    """Return the points of each case that was measured under two power modes or more.

    The number of a point is that of its case. Without energy there is no point.
    """
    groups: dict[Case, list[Row]] = {}
    for row in rows:
        same = row.case.model_copy(update={"power_mode": None})
        groups.setdefault(same, []).append(row)
    found: list[list[Point]] = []
    for group in groups.values():
        points = []
        for row in group:
            x = LATENCY.figure(row.trial) if row.trial else None
            y = ENERGY.figure(row.trial) if row.trial else None
            if x is not None and y is not None:
                mode = fmt.plain(row.case.power_mode or NO_MODE)
                points.append(Point(row, len(found) + 1, x, y, note=mode))
        if len({point.row.case.power_mode for point in points}) > 1:
            found.append(sorted(points, key=lambda point: point.x.value))
    return found


def modes_chart(rows: Sequence[Row], where: str, form: Form = SCREEN) -> Figure | None:
    """Draw energy against latency, the modes of a case joined; ``None`` when no case has two."""
    paths = modes_points(rows)
    if not paths:
        return None
    points = [point for path in paths for point in path]
    estimated = any(point.y.estimated for point in points)
    verdicts = [
        verdict
        for point in points
        if point.row.trial
        for verdict in (point.row.trial.latency_status, point.row.trial.energy_status)
    ]
    head = Head(
        "Power modes",
        f"{where} · bars: 95 % intervals",
        tuple(marks.meanings(verdicts, estimated=estimated, points=True)),
    )
    label = axis_label(ENERGY.label, [point.y for point in points])
    panel = Panel("", LATENCY.label, label, tuple(points), paths=tuple(map(tuple, paths)))
    with style(form):
        return draw_panels([panel], [_named(path[0].row) for path in paths], head, form, 3.2)


def _named(row: Row) -> Row:
    """Return the row as its case is called without the mode."""
    return replace(row, short=row.short.replace(f" @{row.case.power_mode}", "", 1))
