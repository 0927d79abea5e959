"""Power over the whole time of a device's jobs, to zoom into: a Bokeh figure as data for the page.

What is drawn are readings as they came, thinned where there are more than a screen shows: of every
stretch of a trace the lowest and the highest one, so that no peak is lost, at the times they were
made. Bokeh's own script is part of the page, packed, and unpacked by the browser when it is needed.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.analysis.trace import power_readings
from bench.report import format as fmt
from bench.report.material import Material
from bench.report.rows import Row
from bench.report.thinning import thinned
from bench.status import Source
from bench.store.raw import PowerSegment

MOST_POINTS = 16_000
"""Points of a device at most, however long it measured."""
_FEWEST_BINS = 10
_BETWEEN_ATTEMPTS_S = 5.0
_IDLE_COLOUR = "#777777"
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
    dashed: bool
    t_s: NDArray[np.float64]
    power_w: NDArray[np.float64]
    windows_s: tuple[tuple[float, float], ...]
    readings: int
    """How many there are before thinning."""


def timeline(found: Material, name: str) -> Timeline | None:
    """Return the power of a device over time, ``None`` when none was sampled.

    Idle power belongs to several cases and is drawn once.
    """
    segments, meter = found.segments, found.meter
    shown = [
        row
        for row in found.rows
        if row.trial and "power_source" in row.trial.facts and segments.get(row.trial.trial_id)
    ]
    if not shown:
        return None
    traces = [
        part
        for row in shown
        if row.trial
        for part in (*segments[row.trial.trial_id], *meter.get(row.trial.trial_id, ()))
    ]
    bins = max(_FEWEST_BINS, MOST_POINTS // (2 * len(traces)))
    starts_s = _starts_s(shown, segments)
    series = list(_series(shown, segments, meter, starts_s, bins))
    played = [
        tuple(edges_ns * 1e-9 - starts_s[attempt])
        for attempt, edges_ns in found.markers
        if attempt in starts_s
    ]
    readings = sum(item.readings for item in series)
    drawn = sum(int(np.isfinite(item.power_w).sum()) for item in series)
    words = f"all {readings} readings are drawn"
    if drawn < readings:
        words = (
            f"{drawn} of {readings} readings are drawn: the lowest and the highest of every "
            f"{bins}th part of a trace"
        )
    if len({row.trial.attempt for row in shown if row.trial}) > 1:
        words += "; what was measured when the run was resumed is drawn right after the rest"
    if played:
        words += "; the grey bands at the bottom are the load markers played for the meter"
    return Timeline(
        packed=packed(_document(series, played, name).encode()),
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


def _starts_s(
    rows: Sequence[Row], segments: Mapping[str, Sequence[PowerSegment]]
) -> dict[int, float]:
    """Return what to take off the board's clock in each attempt, in seconds, so that attempts
    follow each other: between them a board may be restarted, or days may pass."""
    spans: dict[int, list[float]] = {}
    for row in rows:
        if row.trial is not None:
            for part in segments[row.trial.trial_id]:
                ends_s = [part.window_ns[0] * 1e-9, part.window_ns[1] * 1e-9]
                if part.trace.t_before_ns.size:
                    ends_s += [
                        part.trace.t_before_ns[0] * 1e-9,
                        part.trace.t_after_ns[-1] * 1e-9,
                    ]
                spans.setdefault(row.trial.attempt, []).extend(ends_s)
    starts_s, end_s = {}, 0.0
    for attempt, ends_s in sorted(spans.items()):
        starts_s[attempt] = min(ends_s) - end_s
        end_s += max(ends_s) - min(ends_s) + _BETWEEN_ATTEMPTS_S
    return starts_s


def _series(
    rows: Sequence[Row],
    segments: Mapping[str, Sequence[PowerSegment]],
    meter: Mapping[str, Sequence[PowerSegment]],
    starts_s: Mapping[int, float],
    bins: int,
) -> Iterable[_Series]:
    idle: dict[tuple[int, int], tuple[PowerSegment, Row]] = {}
    for row in rows:
        trial = row.trial
        assert trial is not None
        parts = segments[trial.trial_id]
        for part in parts:
            if not part.where.startswith("round-"):
                idle.setdefault(part.window_ns, (part, row))
        rounds = [part for part in parts if part.where.startswith("round-")]
        if rounds:
            yield _line(trial.trial_id, row.short, row.colour, rounds, row, starts_s, bins)
        metered = meter.get(trial.trial_id, ())
        if metered:
            tag, label = f"{trial.trial_id}-meter", f"{row.short}, by the meter"
            yield _line(tag, label, _METER_COLOUR, metered, row, starts_s, bins, metered=True)
    if idle:
        found = sorted(idle.values(), key=lambda pair: pair[0].window_ns)
        parts = [part for part, _ in found]
        yield _line("idle", "idle", _IDLE_COLOUR, parts, found[0][1], starts_s, bins)


def _line(
    tag: str,
    label: str,
    colour: str,
    parts: Sequence[PowerSegment],
    row: Row,
    starts_s: Mapping[int, float],
    bins: int,
    metered: bool = False,
) -> _Series:
    trial = row.trial
    assert trial is not None
    start_s = starts_s[trial.attempt]
    estimated = trial.energy is not None and trial.energy.source is Source.ESTIMATED
    calibration = None if trial.energy is None or metered else trial.energy.calibration
    pieces_s, pieces_w, windows_s, readings = [], [], [], 0
    for part in parts:
        total = part.trace.channels if metered else trial.facts["power_source"]["total"]
        t_ns, power_w = power_readings(part.trace, total)
        readings += int(np.isfinite(power_w).sum())
        if calibration is not None:
            power_w = calibration.power_w(power_w)
        since_s = t_ns.astype(np.float64) * 1e-9 - start_s
        t_s, power_w = thinned(since_s, power_w, bins)
        pieces_s += [t_s, np.array([np.nan])]
        pieces_w += [power_w, np.array([np.nan])]
        windows_s.append((part.window_ns[0] * 1e-9 - start_s, part.window_ns[1] * 1e-9 - start_s))
    return _Series(
        tag=tag,
        label=label,
        colour=colour,
        dashed=estimated and not metered,
        t_s=np.concatenate(pieces_s),
        power_w=np.concatenate(pieces_w),
        windows_s=() if metered else tuple(windows_s),
        readings=readings,
    )


def _document(series: Sequence[_Series], played: Sequence[tuple[float, ...]], name: str) -> str:
    """Return the figure as the JSON that Bokeh embeds; equal figures give equal text."""
    # A second to import, which only a page with power over time is to pay.
    from bokeh.embed import json_item
    from bokeh.models import HoverTool, Range1d
    from bokeh.models.renderers import DataRenderer
    from bokeh.plotting import figure

    highest_w = max((float(np.nanmax(item.power_w, initial=0.0)) for item in series), default=1.0)
    top_w = 1.08 * (highest_w or 1.0)
    plot = figure(
        name=name,
        y_range=Range1d(start=0.0, end=top_w),
        height=340,
        sizing_mode="stretch_width",
        tools="xpan,xbox_zoom,xwheel_zoom,reset",
        active_drag="xbox_zoom",
        active_scroll=None,
        x_axis_label="time since the first reading [s]",
        y_axis_label="power [W]",
        background_fill_color=None,
        border_fill_color=None,
    )
    plot.toolbar.logo = None
    for edges_s in played:
        plot.quad(
            left=np.array(edges_s[::2]),
            right=np.array(edges_s[1::2]),
            bottom=0.0,
            top=0.04 * top_w,
            fill_color=_IDLE_COLOUR,
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
                top=top_w,
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
            line_dash="4 2" if item.dashed else "solid",
            name=fmt.plain(item.label),
        )
        line.tags = [item.tag]
        lines.append(line)
    tips = [("", "$name"), ("time", "$x{0.000} s"), ("power", "$y{0.000} W")]
    plot.add_tools(HoverTool(renderers=lines, tooltips=tips, mode="mouse"))
    found = _renumbered(json_item(plot), {})
    # In Bokeh's order: a model is described where it comes first.
    return json.dumps(found, separators=(",", ":"))


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
