"""Accuracy against energy and latency: two panels per model, a point per network and mode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from outcomes import Trained

from bench.report.canvas import SCREEN, Head, message, rendered, style
from bench.report.marks import meanings
from bench.report.palette import FAMILIES, family
from bench.report.pareto import ENERGY, LATENCY, Axis, axis_label, front_meaning, fronts
from bench.report.rows import Row
from bench.report.scatter import Figure2D, Panel, Point, draw_panels

PANEL_IN = 4.0


def draw(trained: Sequence[Trained]) -> dict[str, bytes]:
    """Return ``{"png": bytes, "svg": bytes}``."""
    rows = [row for each in trained for row in _rows(each)]
    drawn = panels(trained)
    trials = [row.trial for row in rows if row.trial]
    head = Head(
        "Accuracy against energy and latency",
        "top-1: mean ± standard deviation over seeds; cost: 95 % intervals, of one seed; a front "
        "joins what no other network beats",
        (
            *front_meaning(drawn),
            *meanings(
                (
                    judged
                    for trial in trials
                    for judged in (trial.latency_status, trial.energy_status)
                ),
                estimated=any(point.x.estimated for panel in drawn for point in panel.points),
                points=True,
            ),
        ),
    )
    with style():
        if not drawn:
            return rendered(message("Nothing has been measured on a board yet.", head, SCREEN))
        return rendered(draw_panels(drawn, rows, head, SCREEN, PANEL_IN))


def panels(trained: Sequence[Trained]) -> list[Panel]:
    """Return energy and latency of each model, as far as they were measured; points are numbered
    by their place among all networks and weight modes that were."""
    shown = [(each, row) for each in trained for row in _rows(each)]
    models = dict.fromkeys(each.network.model for each in trained)
    found = (_panel(model, axis, shown) for model in models for axis in (ENERGY, LATENCY))
    return [panel for panel in found if panel is not None]


def _rows(each: Trained) -> list[Row]:
    """Return a row per weight mode in which a network was measured."""
    colour = FAMILIES[family(each.network.method)]
    titles = [" ".join(filter(None, (each.network.title, t.case.weights))) for t in each.trials]
    return [
        Row(trial.case, trial, title, title, colour)
        for trial, title in zip(each.trials, titles, strict=True)
    ]


def _panel(model: str, axis: Axis, shown: Sequence[tuple[Trained, Row]]) -> Panel | None:
    """Return the networks of a model by what they cost, ``None`` where nothing was measured."""
    points = []
    for number, (each, row) in enumerate(shown, 1):
        assert row.trial is not None
        cost, top1 = axis.figure(row.trial), 100 * np.array(list(each.top1.values()))
        if each.network.model != model or cost is None or not top1.size:
            continue
        mean = float(top1.mean())
        deviation = float(top1.std(ddof=1)) if top1.size > 1 else 0.0
        worth = Figure2D(mean, mean - deviation, mean + deviation)
        points.append(Point(row, number, cost, worth, axis.kind(row.trial)))
    if not points:
        return None
    return Panel(
        model,
        axis_label(axis.label, [point.x for point in points]),
        "top-1 on the test set [%]",
        tuple(points),
        tuple(map(tuple, fronts(points, more_is_better=True))),
    )
