"""Latency of the cases of one device: the median with its interval, and all samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from bench.figures import LatencyStats
from bench.report import canvas
from bench.report import format as fmt
from bench.report.rows import Row

_BINS = 140
_RELATIVE_FROM = 3.0
"""Ratio of the slowest to the fastest median from which each case is drawn relative to its own."""


def latency_chart(rows: Sequence[Row], where: str) -> Figure:
    """Draw the median latency of each case with its 95 % interval and its p90."""
    with canvas.style():
        figure, axes = canvas.row_figure(
            rows, "Latency", f"{where} · median of one run of the network with 95 % interval"
        )
        known = [row.trial.latency for row in rows if row.trial and row.trial.latency]
        unit, name = fmt.seconds_unit(max((stats.p50_s for stats in known), default=1.0))
        for position, row in enumerate(rows):
            stats = row.trial.latency if row.trial else None
            if stats is None:
                canvas.blank(axes, position, row.status)
                continue
            _draw_median(axes, position, row, stats, unit)
        edges = [max(s.p50_high_s or 0.0, s.p90_s or 0.0, s.p50_s) / unit for s in known]
        axes.set_xlim(0, 1.06 * max(edges, default=1.0))
        canvas.label_x(axes, f"latency [{name}]", empty=not known)
        _legend(figure, interval=True)
    return figure


def distribution_chart(
    rows: Sequence[Row], samples_s: Mapping[str, NDArray[np.float64]], where: str
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
    with canvas.style():
        figure, axes = canvas.row_figure(
            rows, "Latency distribution", f"{where} · every inference of the latency rounds"
        )
        axes.set_xlim(bins[0], bins[-1])
        for position, row in enumerate(rows):
            if position not in shown:
                canvas.blank(axes, position, row.status)
                continue
            stats, samples = shown[position]
            _draw_spread(axes, position, row, samples / units[position], bins)
            _draw_marks(axes, position, stats, units[position])
            beyond = int(np.count_nonzero(samples / units[position] > bins[-1]))
            canvas.annotate(
                axes,
                position,
                f"{samples.size} inferences",
                f"{beyond} beyond, up to {fmt.seconds(samples.max())}" if beyond else "",
            )
        label = "latency relative to the median of the case" if relative else f"latency [{name}]"
        canvas.label_x(axes, label, empty=not shown)
        _legend(figure, interval=False)
    return figure


def _draw_median(axes: Axes, position: int, row: Row, stats: LatencyStats, unit: float) -> None:
    p50 = stats.p50_s / unit
    axes.barh(position, p50, height=0.5, color=row.colour, alpha=0.85)
    words = fmt.median(stats)
    if stats.p50_low_s is not None and stats.p50_high_s is not None:
        low, high = p50 - stats.p50_low_s / unit, stats.p50_high_s / unit - p50
        axes.errorbar(
            p50,
            position,
            xerr=[[low], [high]],
            fmt="none",
            ecolor=canvas.INK,
            elinewidth=1.6,
            capsize=4,
            capthick=1.4,
        )
        words += f"  ({fmt.median_interval(stats)})"
    if stats.p90_s is not None:
        axes.plot(
            stats.p90_s / unit, position, "D", color="white", mec=canvas.INK, ms=5.5, clip_on=False
        )
    remark = fmt.verdict(row.trial.latency_status) if row.trial else ""
    canvas.annotate(axes, position, words, remark)


def _draw_spread(
    axes: Axes,
    position: int,
    row: Row,
    samples: NDArray[np.float64],
    bins: NDArray[np.float64],
) -> None:
    counts, _ = np.histogram(samples, bins)
    heights = 0.72 * counts / max(1, counts.max())
    base = position + 0.36
    axes.stairs(base - heights, bins, baseline=base, fill=True, color=row.colour, alpha=0.85)
    axes.plot(bins[[0, -1]], [base, base], color=row.colour, linewidth=0.8)


def _draw_marks(axes: Axes, position: int, stats: LatencyStats, unit: float) -> None:
    p50 = stats.p50_s / unit
    axes.plot([p50, p50], [position - 0.4, position + 0.36], color=canvas.INK, linewidth=1.6)
    if stats.p90_s is not None:
        axes.plot(
            stats.p90_s / unit,
            position + 0.36,
            "D",
            color="white",
            mec=canvas.INK,
            ms=5.5,
            clip_on=False,
        )


def _far_edge_s(stats: LatencyStats, samples_s: NDArray[np.float64]) -> float:
    """Return where the axis may end: beyond p90 by twice its distance from the median."""
    if stats.p90_s is None:
        return float(samples_s.max())
    return stats.p90_s + 2 * (stats.p90_s - stats.p50_s)


def _legend(figure: Figure, *, interval: bool) -> None:
    bar = (
        Line2D([], [], color=canvas.INK, linewidth=1.6, marker="|", ms=8, label="95 % interval")
        if interval
        else Line2D([], [], color=canvas.INK, linewidth=0, marker="|", ms=10, mew=1.6, label="p50")
    )
    diamond = Line2D([], [], linewidth=0, marker="D", color="white", mec=canvas.INK, ms=5.5)
    diamond.set_label("p90")
    figure.legend(
        handles=[bar, diamond],
        loc="upper right",
        bbox_to_anchor=(0.995, 1 - 0.05 / figure.get_figheight()),
        ncols=2,
        frameon=False,
        fontsize=9,
    )
