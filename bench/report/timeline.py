"""Power over the whole time of a device's jobs, to zoom into: a Bokeh figure as data for the page.

What is drawn are the traces of :mod:`bench.report.power_traces` at the times they were taken,
thinned where there are more readings than a screen shows. Bokeh's own script is part of the page,
packed, and unpacked by the browser when it is needed.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.report import format as fmt
from bench.report.material import Material
from bench.report.power_traces import IDLE_COLOUR, Trace, top_w
from bench.report.thinning import thinned

MOST_POINTS = 16_000
"""Points of a device at most, however long it measured."""
_FEWEST_BINS = 10
_BETWEEN_ATTEMPTS_S = 5.0
_METER_COLOUR = "#222222"
_WINDOW_ALPHA = 0.12


@dataclass(frozen=True, slots=True)
class Timeline:
    """``packed``: the figure as Bokeh's JSON (gzip, base64); ``name``: of it in Bokeh's document.

    ``series``: ``(tag, label, colour)`` of what can be shown alone; ``words``: what is drawn.
    """

    packed: str
    name: str
    series: tuple[tuple[str, str, str], ...]
    words: str


@dataclass(frozen=True, slots=True)
class _Series:
    """One line: its readings (NaN where it breaks off) and its energy windows, in seconds."""

    tag: str
    label: str
    colour: str
    estimated: bool
    t_s: NDArray[np.float64]
    power_w: NDArray[np.float64]
    windows_s: tuple[tuple[float, float], ...]


def timeline(found: Material, name: str, points: int = MOST_POINTS) -> Timeline | None:
    """Return the power of a device over time, ``None`` when none was sampled.

    Idle power belongs to several cases and is drawn once. ``points``: how many it may have about.
    """
    if not found.power:
        return None
    traces = (*found.power, *found.metered)
    bins = max(_FEWEST_BINS, min(points, MOST_POINTS) // (2 * len(traces)))
    starts_s = _starts_s(found.power)
    series = [_line(tag, group, starts_s, bins) for tag, group in _by_line(traces).items()]
    played = [
        tuple(edges_ns * 1e-9 - starts_s[attempt])
        for attempt, edges_ns in found.markers
        if attempt in starts_s
    ]
    readings = sum(int(np.isfinite(trace.power_w).sum()) for trace in traces)
    drawn = sum(int(np.isfinite(item.power_w).sum()) for item in series)
    words = f"all {readings} readings are drawn"
    if drawn < readings:
        words = (
            f"{drawn} of {readings} readings are drawn: the lowest and the highest of every "
            f"{bins}th part of a trace"
        )
    if len(starts_s) > 1:
        words += "; what was measured when the run was resumed is drawn right after the rest"
    if played:
        words += "; the grey bands at the bottom are the load markers played for the meter"
    return Timeline(
        packed=packed(_document(series, played, top_w(traces), name).encode()),
        name=name,
        series=tuple((item.tag, item.label, item.colour) for item in series),
        words=words,
    )


def packed(data: bytes) -> str:
    """Return bytes as text for a page: gzip, then base64; equal bytes give equal text."""
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


def bokeh_script() -> str:
    """Return Bokeh's script for the browser."""
    from bokeh.settings import settings

    return (Path(settings.bokehjs_path()) / "js" / "bokeh.min.js").read_text(encoding="utf-8")


def _starts_s(traces: Sequence[Trace]) -> dict[int, float]:
    """Return what to take off the board's clock in each attempt, in seconds, so that attempts
    follow each other: between them a board may be restarted, or days may pass."""
    spans: dict[int, list[float]] = {}
    for trace in traces:
        ends_s = [0.0, trace.window_s, *trace.at_s[:1].tolist(), *trace.at_s[-1:].tolist()]
        span = spans.setdefault(trace.trial.attempt, [])
        span += [trace.opened_s + end_s for end_s in ends_s]
    starts_s, end_s = {}, 0.0
    for attempt, ends_s in sorted(spans.items()):
        starts_s[attempt] = min(ends_s) - end_s
        end_s += max(ends_s) - min(ends_s) + _BETWEEN_ATTEMPTS_S
    return starts_s


def _by_line(traces: Sequence[Trace]) -> dict[str, list[Trace]]:
    """Return traces by the tag of the line that they are drawn as, idle power last."""
    found: dict[str, list[Trace]] = {}
    idle: dict[str, list[Trace]] = {}
    for trace in traces:
        trial_id = trace.trial.trial_id
        if trace.metered:
            found.setdefault(f"{trial_id}-meter", []).append(trace)
        elif trace.is_round:
            found.setdefault(trial_id, []).append(trace)
        else:
            idle.setdefault("idle", []).append(trace)
    return found | idle


def _line(tag: str, traces: Sequence[Trace], starts_s: Mapping[int, float], bins: int) -> _Series:
    first = traces[0]
    label, colour = first.row.short, first.colour
    if first.metered:
        label, colour = f"{label}, by the meter", _METER_COLOUR
    elif not first.is_round:
        label = "idle"
    pieces_s, pieces_w, windows_s = [], [], []
    for trace in traces:
        opened_s = trace.opened_s - starts_s[trace.trial.attempt]
        at_s, power_w = thinned(trace.at_s, trace.power_w, bins)
        pieces_s += [opened_s + at_s, np.array([np.nan])]
        pieces_w += [power_w, np.array([np.nan])]
        windows_s.append((opened_s, opened_s + trace.window_s))
    return _Series(
        tag=tag,
        label=f"{label} (est.)" if first.is_estimated else label,
        colour=colour,
        estimated=first.is_estimated,
        t_s=np.concatenate(pieces_s),
        power_w=np.concatenate(pieces_w),
        windows_s=() if first.metered else tuple(windows_s),
    )


def _document(
    series: Sequence[_Series], played: Sequence[tuple[float, ...]], end_w: float, name: str
) -> str:
    """Return the figure as the JSON that Bokeh embeds; equal figures give equal text."""
    # A second to import, which only a page with power over time is to pay.
    from bokeh.embed import json_item
    from bokeh.models import HoverTool, Range1d
    from bokeh.models.renderers import DataRenderer
    from bokeh.plotting import figure

    plot = figure(
        name=name,
        y_range=Range1d(start=0.0, end=end_w),
        height=340,
        sizing_mode="stretch_width",
        tools="xpan,xbox_zoom,xwheel_zoom,reset",
        active_drag="xbox_zoom",
        active_scroll=None,
        x_axis_label="time since the first reading [s]",
        y_axis_label=f"power{_estimated(series)} [W]",
        background_fill_color=None,
        border_fill_color=None,
    )
    plot.toolbar.logo = None
    for edges_s in played:
        plot.quad(
            left=np.array(edges_s[::2]),
            right=np.array(edges_s[1::2]),
            bottom=0.0,
            top=0.04 * end_w,
            fill_color=IDLE_COLOUR,
            line_color=None,
        )
    lines: list[DataRenderer] = []
    for item in series:
        if item.windows_s:
            left, right = zip(*item.windows_s, strict=True)
            windows = plot.quad(
                left=np.array(left),
                right=np.array(right),
                bottom=0.0,
                top=end_w,
                fill_color=item.colour,
                fill_alpha=_WINDOW_ALPHA,
                line_color=None,
            )
            windows.tags = [item.tag]
        line = plot.line(
            item.t_s,
            item.power_w,
            line_color=item.colour,
            line_width=1.3,
            line_dash="4 2" if item.estimated else "solid",
            name=fmt.plain(item.label),
        )
        line.tags = [item.tag]
        lines.append(line)
    tips = [("", "$name"), ("time", "$x{0.000} s"), ("power", "$y{0.000} W")]
    plot.add_tools(HoverTool(renderers=lines, tooltips=tips, mode="mouse"))
    found = _renumbered(json_item(plot), {})
    # In Bokeh's order: a model is described where it comes first.
    return json.dumps(found, separators=(",", ":"))


def _estimated(series: Sequence[_Series]) -> str:
    """Return what the axis says where some or all of the power was not measured."""
    found = {item.estimated for item in series}
    if found == {True}:
        return " (est.)"
    return ", dashed: est." if True in found else ""


_ID = re.compile(r"p\d+")


def _renumbered(value: Any, numbers: dict[str, str]) -> Any:
    """Return Bokeh's JSON with its models numbered from 1: it goes on counting in a process."""
    if isinstance(value, list):
        return [_renumbered(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, item in value.items():
        if key in ("id", "root_id") and isinstance(item, str) and _ID.fullmatch(item):
            found[key] = numbers.setdefault(item, f"p{len(numbers) + 1}")
        else:
            found[key] = _renumbered(item, numbers)
    return found
