"""Which points are not beaten: accuracy against latency and energy, size against energy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analysis.history import Value
from bench.records.status import Source, Verdict
from bench.records.trial import Trial
from bench.report import marks
from bench.report.canvas import MUTED, SCREEN, Form, Head, shortened, style
from bench.report.rows import Row
from bench.report.scatter import Figure2D, Panel, Point, draw_panels

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Axis:
    """``figure`` of a trial in the unit of ``label``; ``verdict``: which status it has; ``kind``:
    figures are only comparable where it is the same."""

    label: str
    figure: Callable[[Trial], Figure2D | None]
    verdict: Callable[[Trial], Verdict | None]
    kind: Callable[[Trial], tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """A panel: less of ``x`` for more (``more_is_better``) or less of ``y``."""

    name: str
    title: str
    x: Axis
    y: Axis
    more_is_better: bool


def pareto_points(rows: Sequence[Row], tradeoff: Tradeoff) -> list[Point]:
    """Return the points of a trade-off; the number of each is its place among ``rows``, from 1."""
    points = []
    for number, row in enumerate(rows, 1):
        if row.trial is None:
            continue
        x, y = tradeoff.x.figure(row.trial), tradeoff.y.figure(row.trial)
        if x is not None and y is not None:
            rivals = (row.case.device, *tradeoff.x.kind(row.trial), *tradeoff.y.kind(row.trial))
            # The hatch of so small a mark is easily overlooked.
            note = "est." if x.estimated or y.estimated else ""
            points.append(Point(row, number, x, y, rivals, note))
    return points


def front(points: Sequence[Point], *, more_is_better: bool) -> list[Point]:
    """Return the points that no other beats: with less of x and as good a y, or a better y for
    as little x. Inconclusive and estimated figures neither stand on the front nor beat anything."""
    sign = -1.0 if more_is_better else 1.0
    best: list[Point] = []
    for point in sorted(points, key=lambda each: (each.x.value, sign * each.y.value)):
        if point.counts and (not best or sign * point.y.value < sign * best[-1].y.value):
            best.append(point)
    return best


def fronts(points: Sequence[Point], *, more_is_better: bool) -> list[list[Point]]:
    """Return the front of each group of points that can be compared, unless nothing is on it."""
    groups: dict[tuple[object, ...], list[Point]] = {}
    for point in points:
        groups.setdefault(point.rivals, []).append(point)
    found = (front(group, more_is_better=more_is_better) for group in groups.values())
    return [each for each in found if each]


def pareto_chart(rows: Sequence[Row], where: str, form: Form = SCREEN) -> Figure | None:
    """Draw a panel per trade-off that the cases have figures for, ``None`` without any.

    A front joins what no other beats on the same device, data set, batch and scope of energy.
    """
    panels = []
    for tradeoff in TRADEOFFS:
        points = pareto_points(rows, tradeoff)
        if points:
            steps = fronts(points, more_is_better=tradeoff.more_is_better)
            panels.append(_panel(tradeoff, points, steps))
    if not panels:
        return None
    drawn = [point for panel in panels for point in panel.points]
    estimated = any(each.estimated for point in drawn for each in (point.x, point.y))
    head = Head(
        "Trade-offs",
        f"{where} · a front joins what no other case beats; bars: 95 % intervals",
        (
            *front_meaning(panels),
            *marks.meanings(_verdicts(rows), estimated=estimated, points=True),
        ),
    )
    with style(form):
        return draw_panels(panels, rows, head, form, panel_in=2.5)


def front_meaning(panels: Sequence[Panel]) -> list[Line2D]:
    """Return what explains the lines of fronts, where any panel has one."""
    if not any(panel.steps for panel in panels):
        return []
    return [Line2D([], [], color=MUTED, linestyle="--", linewidth=1.0, label="front (bold)")]


def _panel(tradeoff: Tradeoff, points: Sequence[Point], steps: Sequence[list[Point]]) -> Panel:
    y_label = tradeoff.y.label
    if tradeoff.y is _ACCURACY:
        trials = [point.row.trial for point in points]
        sets = dict.fromkeys(x.accuracy.dataset.name for x in trials if x and x.accuracy)
        y_label = f"top-1 on {shortened(', '.join(sets), 24)} [%]"
    guessed = all(point.x.estimated or point.y.estimated for point in points)
    what = f"{tradeoff.title} — estimated, not measured" if guessed else tradeoff.title
    without = "" if steps else " (no front: nothing valid was measured)"
    return Panel(
        f"{what}{without}",
        axis_label(tradeoff.x.label, [point.x for point in points]),
        axis_label(y_label, [point.y for point in points]),
        tuple(points),
        tuple(map(tuple, steps)),
    )


def axis_label(label: str, figures: Sequence[Figure2D | Value]) -> str:
    """Return an axis' label that says whether all or some of its figures are estimates."""
    found = {figure.estimated for figure in figures}
    if found == {True}:
        return f"{label}, est."
    return f"{label}, hatched: est." if True in found else label


def _verdicts(rows: Sequence[Row]) -> list[Verdict]:
    found = []
    for row in rows:
        for tradeoff in TRADEOFFS if row.trial else ():
            if row.trial and tradeoff.x.figure(row.trial) and tradeoff.y.figure(row.trial):
                both = tradeoff.x.verdict(row.trial), tradeoff.y.verdict(row.trial)
                found += [verdict for verdict in both if verdict is not None]
    return found


def _latency(trial: Trial) -> Figure2D | None:
    stats = trial.latency
    if stats is None:
        return None
    low, high = (None if end is None else 1e3 * end for end in (stats.p50_low_s, stats.p50_high_s))
    return Figure2D(1e3 * stats.p50_s, low, high, marks.is_valid(trial.latency_status))


def _energy(trial: Trial) -> Figure2D | None:
    stats = trial.energy
    if stats is None:
        return None
    value, half = 1e3 * stats.gross_j, stats.uncertainty_j
    low, high = (None, None) if half is None else (value - 1e3 * half, value + 1e3 * half)
    estimated = stats.source is Source.ESTIMATED
    return Figure2D(value, low, high, marks.is_valid(trial.energy_status), estimated)


def _accuracy(trial: Trial) -> Figure2D | None:
    stats = trial.accuracy
    if stats is None or stats.top1 is None:
        return None
    low, high = (None if end is None else 100 * end for end in (stats.top1_low, stats.top1_high))
    return Figure2D(100 * stats.top1, low, high)


def _size(trial: Trial) -> Figure2D | None:
    return None if trial.artifact is None else Figure2D(trial.artifact.file_bytes / _MIB)


def _source(trial: Trial) -> tuple[object, ...]:
    stats = trial.energy
    return () if stats is None else (stats.source, stats.scope)


def _data_set(trial: Trial) -> tuple[object, ...]:
    return () if trial.accuracy is None else (trial.accuracy.dataset.sha256,)


LATENCY = Axis(
    "latency, p50 [ms]",
    _latency,
    lambda trial: trial.latency_status,
    lambda trial: (trial.case.batch,),
)
ENERGY = Axis("energy per inference [mJ]", _energy, lambda trial: trial.energy_status, _source)
_ACCURACY = Axis("top-1 [%]", _accuracy, lambda trial: None, _data_set)
_SIZE = Axis("size of the files [MiB]", _size, lambda trial: None, lambda trial: ())

TRADEOFFS = (
    Tradeoff("accuracy-latency", "accuracy against latency", LATENCY, _ACCURACY, True),
    Tradeoff("accuracy-energy", "accuracy against energy", ENERGY, _ACCURACY, True),
    Tradeoff("size-energy", "size against energy", ENERGY, _SIZE, False),
)
"""What a case costs against what it is worth."""
