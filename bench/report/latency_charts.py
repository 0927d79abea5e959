"""Latency of the cases of one device: the median with its interval, and all samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from bench.records.figures import LatencyStats
from bench.report import format as fmt
from bench.report import marks
from bench.report.canvas import INK, SCREEN, Form, Head, label_x, style
from bench.report.row_figure import RowFigure, Words, row_figure
from bench.report.rows import Row

_BINS = 140
_RELATIVE_FROM = 3.0
"""Ratio of the slowest to the fastest median from which each case is drawn relative to its own."""


def latency_chart(rows: Sequence[Row], where: str, form: Form = SCREEN) -> Figure:
    """Draw the median latency of each case with its 95 % interval and its p90."""
    known = [row.trial.latency for row in rows if row.trial and row.trial.latency]
    unit, name = fmt.seconds_unit(max((stats.p50_s for stats in known), default=1.0))
    head = Head(
        "Latency",
        f"{where} · median of one run of the network",
        (
            *marks.interval_meaning(stats.p50_low_s for stats in known),
            *([_p90_meaning()] if any(stats.p90_s is not None for stats in known) else ()),
            *_doubt(rows),
        ),
    )
    with style(form):
        made = row_figure(rows, [_median_words(row) for row in rows], head, form)
        for position, row in enumerate(rows):
            stats = _latency(row)
            if stats is not None:
                _draw_median(made, position, row, stats, unit)
        edges = [max(s.p50_high_s or 0.0, s.p90_s or 0.0, s.p50_s) / unit for s in known]
        made.axes.set_xlim(0, 1.06 * max(edges, default=1.0))
        label_x(made.axes, f"latency [{name}]", empty=not known)
    return made.figure


def distribution_chart(
    rows: Sequence[Row],
    samples_s: Mapping[str, NDArray[np.float64]],
    where: str,
    form: Form = SCREEN,
) -> Figure:
    """Draw how the latencies of each case are spread.

    ``samples_s``: by trial id, the durations of all inferences in latency rounds. When medians
    differ much, each case is drawn relative to its own, or the spread of the fast ones could not
    be seen. The axis ends a little beyond the widest p90, so that single stalls do not squeeze
    everything else; what lies beyond is counted.
    """
    shown = {
        position: (row.trial.latency, samples_s[row.trial.trial_id])
        for position, row in enumerate(rows)
        if row.trial and row.trial.latency and row.trial.trial_id in samples_s
    }
    medians = [stats.p50_s for stats, _ in shown.values()] or [1.0]
    relative = max(medians) / min(medians) > _RELATIVE_FROM
    unit, name = fmt.seconds_unit(max(medians))
    units = {at: stats.p50_s if relative else unit for at, (stats, _) in shown.items()}
    low = min((s.min() / units[at] for at, (_, s) in shown.items()), default=0.9)
    high = max((_far_edge_s(*pair) / units[at] for at, pair in shown.items()), default=1.1)
    # In somebody else's folder the samples need not be those of the figures.
    high = max(low, high)
    span = (high - low) or high * 0.1
    bins = np.linspace(max(0.0, low - 0.04 * span), high + 0.04 * span, _BINS + 1)
    words = [
        _spread_words(row, samples_s, units.get(at, 1.0), float(bins[-1]))
        for at, row in enumerate(rows)
    ]
    head = Head(
        "Latency distribution",
        f"{where} · every inference of the latency rounds",
        (_p50_meaning(), _p90_meaning(), *_doubt(rows)) if shown else (),
    )
    with style(form):
        made = row_figure(rows, words, head, form)
        made.axes.set_xlim(bins[0], bins[-1])
        for position, (stats, samples) in shown.items():
            _draw_spread(made, position, rows[position], samples / units[position], bins)
            _draw_marks(made, position, stats, units[position])
        label = "latency relative to the median of the case" if relative else f"latency [{name}]"
        label_x(made.axes, label, empty=not shown)
    return made.figure


def _latency(row: Row) -> LatencyStats | None:
    return row.trial.latency if row.trial else None


def _is_valid(row: Row) -> bool:
    return row.trial is not None and marks.is_valid(row.trial.latency_status)


def _doubt(rows: Sequence[Row]) -> list[Artist]:
    return marks.meanings(row.trial.latency_status for row in rows if row.trial and _latency(row))


def _median_words(row: Row) -> Words:
    stats = _latency(row)
    if row.trial is None or stats is None:
        return Words(blank=row.status)
    interval = fmt.median_interval(stats)
    return Words(
        fmt.median(stats) + (f"  ({interval})" if interval else ""),
        (fmt.judgement(row.trial.latency_status),),
    )


def _spread_words(
    row: Row, samples_s: Mapping[str, NDArray[np.float64]], unit: float, end: float
) -> Words:
    if row.trial is None or row.trial.latency is None or row.trial.trial_id not in samples_s:
        return Words(blank=row.status)
    samples = samples_s[row.trial.trial_id]
    beyond = int(np.count_nonzero(samples / unit > end))
    return Words(
        f"{samples.size} inferences",
        (
            f"{beyond} beyond, up to {fmt.seconds(samples.max())}" if beyond else "",
            fmt.judgement(row.trial.latency_status),
        ),
    )


def _draw_median(
    made: RowFigure, position: int, row: Row, stats: LatencyStats, unit: float
) -> None:
    p50, y = stats.p50_s / unit, made.y(position)
    made.axes.barh(y, p50, height=made.h(0.5), **marks.face(row.colour, valid=_is_valid(row)))
    if stats.p50_low_s is not None and stats.p50_high_s is not None:
        low, high = stats.p50_low_s / unit, stats.p50_high_s / unit
        marks.interval(made, y, p50, low, high, (0.0, np.inf))
    if stats.p90_s is not None:
        _draw_p90(made, y, stats.p90_s / unit)


def _draw_p90(made: RowFigure, y: float, p90: float) -> None:
    size = 5.5 * made.form.text
    made.axes.plot(p90, y, "D", color="white", mec=INK, ms=size, clip_on=False)


def _draw_spread(
    made: RowFigure,
    position: int,
    row: Row,
    samples: NDArray[np.float64],
    bins: NDArray[np.float64],
) -> None:
    counts, _ = np.histogram(samples, bins)
    heights = made.h(0.72) * counts / max(1, counts.max())
    base = made.y(position, 0.36)
    how = marks.face(row.colour, valid=_is_valid(row))
    made.axes.stairs(base - heights, bins, baseline=base, fill=True, **how)
    made.axes.plot(bins[[0, -1]], [base, base], color=row.colour, linewidth=0.8)


def _draw_marks(made: RowFigure, position: int, stats: LatencyStats, unit: float) -> None:
    p50, base = stats.p50_s / unit, made.y(position, 0.36)
    made.axes.plot([p50, p50], [made.y(position, -0.4), base], color=INK, linewidth=1.6)
    if stats.p90_s is not None:
        _draw_p90(made, base, stats.p90_s / unit)


def _far_edge_s(stats: LatencyStats, samples_s: NDArray[np.float64]) -> float:
    if stats.p90_s is None:
        return float(samples_s.max())
    return stats.p90_s + 2 * (stats.p90_s - stats.p50_s)


def _p50_meaning() -> Artist:
    return Line2D([], [], color=INK, linewidth=0, marker="|", ms=9, mew=1.6, label="p50")


def _p90_meaning() -> Artist:
    return Line2D([], [], linewidth=0, marker="D", color="white", mec=INK, ms=5, label="p90")
