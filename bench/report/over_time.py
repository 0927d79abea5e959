"""Latency of each case over the time of its run, round by round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from bench.report import format as fmt
from bench.report.canvas import GRID, INK, SCREEN, Form, Head, panels_figure, style, wrapped
from bench.report.rows import Row
from bench.store.raw import LatencySamples

_SPREAD = (25.0, 75.0)
"""Percentiles of a round between which its line is drawn."""


@dataclass(frozen=True, slots=True)
class RoundSpread:
    """A round of a case: its kind and number, when it began (since the first inference of all cases
    of its device and run), and percentiles of its latencies in seconds."""

    kind: str
    index: int
    at_s: float
    p25_s: float
    p50_s: float
    p75_s: float


def round_spreads(
    rows: Sequence[Row], samples: Mapping[str, LatencySamples]
) -> dict[int, list[RoundSpread]]:
    """Return the rounds of each row, by its place among ``rows``, in order of time.

    ``samples``: every inference, by trial id.
    """
    shown = {
        position: (row.trial.run_id, row.case.device, samples[row.trial.trial_id])
        for position, row in enumerate(rows)
        if row.trial and row.trial.trial_id in samples and samples[row.trial.trial_id].t_ns.size
    }
    began: dict[tuple[str, str], int] = {}
    for run_id, device, found in shown.values():
        first_ns = int(found.t_ns.min())
        began[run_id, device] = min(first_ns, began.get((run_id, device), first_ns))
    return {
        position: _rounds(found, began[run_id, device])
        for position, (run_id, device, found) in shown.items()
    }


def latency_over_time_chart(
    rows: Sequence[Row],
    samples: Mapping[str, LatencySamples],
    where: str,
    form: Form = SCREEN,
) -> Figure | None:
    """Draw a panel per case: the median of each round, with a line from p25 to p75.

    Rounds in which power was sampled are hollow. ``None`` when there are no inferences.
    """
    found = round_spreads(rows, samples)
    if not found:
        return None
    slowest_s = max(item.p50_s for rounds in found.values() for item in rounds)
    unit, name = fmt.seconds_unit(slowest_s)
    filled = Line2D([], [], color=INK, marker="o", ms=3.5, linewidth=0.8, label="round, p25 to p75")
    hollow = Line2D([], [], color=INK, marker="o", ms=3.5, mfc="white", linewidth=0.8)
    hollow.set_label("round with power sampled")
    sampled = any(item.kind == "energy" for rounds in found.values() for item in rounds)
    head = Head(
        "Latency over time",
        f"{where} · median of each round",
        (filled, hollow) if sampled else (filled,),
    )
    with style(form):
        figure, grid = panels_figure(
            head,
            form,
            len(found),
            1,
            0.72 * form.text,
            sharex=True,
            between_in=(0.52 if form.narrow else 0.36) * form.text,
        )
        for (axes,), (position, rounds) in zip(grid, found.items(), strict=True):
            _draw(axes, rows[position], rounds, unit, form)
            axes.set_ylabel(f"[{name}]")
        grid[-1][0].set_xlabel("time since the first inference [s]")
    return figure


def _rounds(samples: LatencySamples, began_ns: int) -> list[RoundSpread]:
    found: dict[tuple[str, int], list[int]] = {}
    for place, key in enumerate(zip(samples.kind.tolist(), samples.round.tolist(), strict=True)):
        found.setdefault(key, []).append(place)
    spreads = []
    for (kind, index), places in found.items():
        low, middle, high = _percentiles_s(samples.duration_ns[places])
        at_s = (int(samples.t_ns[places].min()) - began_ns) * 1e-9
        spreads.append(RoundSpread(kind, index, at_s, low, middle, high))
    return sorted(spreads, key=lambda item: item.at_s)


def _percentiles_s(durations_ns: NDArray[np.int64]) -> tuple[float, float, float]:
    low, middle, high = np.percentile(durations_ns * 1e-9, [_SPREAD[0], 50.0, _SPREAD[1]])
    return float(low), float(middle), float(high)


def _draw(axes: Axes, row: Row, rounds: Sequence[RoundSpread], unit: float, form: Form) -> None:
    for item in rounds:
        axes.plot(
            [item.at_s, item.at_s],
            [item.p25_s / unit, item.p75_s / unit],
            color=row.colour,
            linewidth=0.8,
            alpha=0.6,
        )
        axes.plot(
            item.at_s,
            item.p50_s / unit,
            "o",
            color=row.colour,
            mfc="white" if item.kind == "energy" else row.colour,
            ms=3.5 * form.text,
        )
    remark = fmt.judgement(row.trial.latency_status) if row.trial else ""
    title = " · ".join(part for part in (row.short, remark) if part)
    chars = form.chars(form.width_in - 0.9 * form.text, 8.5)
    axes.set_title(wrapped(title, chars, 1 + form.narrow), fontsize=form.pt(8.5), loc="left", pad=3)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.margins(y=0.15)
