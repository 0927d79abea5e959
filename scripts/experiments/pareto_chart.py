"""Accuracy against energy and latency: one row per model, every network and weight mode a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from outcomes import Trained

from bench.records import Trial
from bench.report import canvas, palette
from bench.status import Source

ROW_IN, WIDTH_IN, HEAD_IN = 4.2, 11.0, 0.9


@dataclass(frozen=True, slots=True)
class Point:
    """``cost`` in the panel's unit, ``top1`` and its standard deviation over seeds in per cent."""

    label: str
    colour: str
    marker: str
    cost: float
    top1: float
    deviation: float | None


def draw(trained: Sequence[Trained]) -> dict[str, bytes]:
    """Return ``{"png": bytes, "svg": bytes}``."""
    models = list(dict.fromkeys(each.network.model for each in trained))
    height_in = HEAD_IN + ROW_IN * len(models)
    with canvas.style():
        figure = Figure(figsize=(WIDTH_IN, height_in), facecolor="white")
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(models), 2, squeeze=False)
        for model, (left, right) in zip(models, panels, strict=True):
            rows = [each for each in trained if each.network.model == model]
            _panel(left, model, _points(rows, energy=True), f"energy per inference, mJ{_how(rows)}")
            _panel(right, model, _points(rows, energy=False), "p50 latency, ms")
        _legend(figure)
        figure.tight_layout(rect=(0, 0, 1, 1 - HEAD_IN / height_in))
    return canvas.rendered(figure)


def _how(rows: Sequence[Trained]) -> str:
    sources = {trial.energy.source for each in rows for trial in each.trials if trial.energy}
    return " (estimated, not measured)" if Source.ESTIMATED in sources else ""


def _points(rows: Sequence[Trained], *, energy: bool) -> list[Point]:
    points = []
    for each in rows:
        values = 100 * np.array(list(each.top1.values()))
        for trial in each.trials:
            cost = _cost(trial, energy=energy)
            if cost is None or not values.size:
                continue
            points.append(
                Point(
                    label=" ".join(filter(None, (each.network.title, trial.case.weights))),
                    colour=palette.FAMILIES[each.network.method.split("-")[0]],
                    marker=palette.marker(trial.case),
                    cost=cost,
                    top1=float(values.mean()),
                    deviation=float(values.std(ddof=1)) if values.size > 1 else None,
                )
            )
    return points


def _cost(trial: Trial, *, energy: bool) -> float | None:
    if energy:
        return None if trial.energy is None else 1e3 * trial.energy.gross_j
    return None if trial.latency is None else 1e3 * trial.latency.p50_s


def frontier(points: Sequence[Point]) -> list[Point]:
    """Points of which no other is both at least as accurate and at least as cheap."""
    best: list[Point] = []
    for point in sorted(points, key=lambda each: (each.cost, -each.top1)):
        if not best or point.top1 > best[-1].top1:
            best.append(point)
    return best


def _panel(axes: Axes, model: str, points: Sequence[Point], label: str) -> None:
    axes.set_title(model, fontsize=10, loc="left")
    axes.set_xlabel(label)
    axes.set_ylabel("top-1 on the test set, % (mean ± sd over seeds)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=canvas.GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    if not points:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center")
        return
    for point in points:
        axes.errorbar(
            point.cost,
            point.top1,
            yerr=point.deviation,
            color=point.colour,
            marker=point.marker,
            markersize=5,
            linewidth=0.7,
            alpha=0.85,
        )
    best = frontier(points)
    axes.step(
        [point.cost for point in best],
        [point.top1 for point in best],
        where="post",
        color=canvas.MUTED,
        linewidth=1.0,
        linestyle="--",
    )
    for point in best:
        axes.annotate(
            point.label,
            (point.cost, point.top1),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=7,
        )


def _legend(figure: Figure) -> None:
    handles = [
        Line2D([], [], color=colour, marker="o", linestyle="", label=name)
        for name, colour in palette.FAMILIES.items()
    ]
    handles += [
        Line2D(
            [], [], color=canvas.MUTED, marker=marker, linestyle="", label=f"weights: {mode or '–'}"
        )
        for mode, marker in palette.MARKERS.items()
    ]
    handles.append(Line2D([], [], color=canvas.MUTED, linestyle="--", label="not dominated"))
    figure.legend(handles=handles, loc="upper center", ncols=6, fontsize=8, frameon=False)
