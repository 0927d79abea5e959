"""Power over the whole run as data for the zoomable chart."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.report.canvas import SCREEN
from bench.report.material import Material
from bench.report.plots import PLOTS
from bench.report.rows import rows_by_device
from bench.report.timeline import MOST_POINTS, Timeline, timeline
from bench.store.raw import PowerSegment


@pytest.fixture
def found(synthetic) -> Material:
    run = synthetic.write(synthetic.cases()[:2], power=synthetic.ina3221, load_w=3.0)
    (rows,) = rows_by_device(run).values()
    return Material("nano", rows, (run,))


def figure_of(made: Timeline | None) -> dict[str, Any]:
    assert made is not None
    return json.loads(gzip.decompress(base64.b64decode(made.packed)))


def models(figure: Any, name: str) -> list[dict[str, Any]]:
    """The models of a name in Bokeh's JSON."""
    if isinstance(figure, list):
        return [model for item in figure for model in models(item, name)]
    if not isinstance(figure, dict):
        return []
    inside = [model for item in figure.values() for model in models(item, name)]
    return [figure, *inside] if figure.get("name") == name else inside


def column(model: dict[str, Any], name: str) -> np.ndarray:
    """A column of a renderer's data source."""
    entries = dict(model["attributes"]["data_source"]["attributes"]["data"]["entries"])
    array = entries[name]
    data = gzip.decompress(base64.b64decode(array["array"]["data"]))
    return np.frombuffer(data, dtype=array["dtype"])


def renderers(figure: Any, glyph: str) -> list[dict[str, Any]]:
    return [
        model
        for model in models(figure, "GlyphRenderer")
        if model["attributes"]["glyph"]["name"] == glyph
    ]


def test_every_reading_at_its_time_and_every_window(found: Material) -> None:
    made = timeline(found, "power-1")
    figure = figure_of(made)
    lines = renderers(figure, "Line")
    assert [tag for tag, _, _ in made.series] == ["t001", "t002", "idle"]
    assert len(lines) == 3
    x_s, power_w = column(lines[0], "x"), column(lines[0], "y")
    first_ns = min(part.trace.t_before_ns[0] for parts in found.segments.values() for part in parts)
    part = next(part for part in found.segments["t001"] if part.where.startswith("round-"))
    seen = part.trace.values[:, part.trace.channels.index("VDD_IN")]
    middle_s = (part.trace.t_before_ns + 20_000 - first_ns) * 1e-9
    np.testing.assert_allclose(x_s[: seen.size], middle_s, atol=1e-3)
    np.testing.assert_allclose(power_w[: seen.size], seen)
    # Idle power is the same for both cases and there once: 4 rounds of 280 readings, 2 of 200.
    assert made.words == "all 1520 readings are drawn"
    windows = renderers(figure, "Quad")
    left, right = column(windows[0], "left"), column(windows[0], "right")
    assert left.size == 2
    np.testing.assert_allclose(right - left, 2.0)


def test_a_long_trace_is_thinned_and_says_so(found: Material) -> None:
    rng = np.random.default_rng(3)
    long = {}
    for trial_id, parts in found.segments.items():
        long[trial_id] = tuple(_stretched(part, 100_000, rng) for part in parts)
    found.__dict__["segments"] = long
    made = timeline(found, "power-1")
    lines = renderers(figure_of(made), "Line")
    drawn = sum(int(np.isfinite(column(line, "y")).sum()) for line in lines)
    assert drawn <= MOST_POINTS
    assert f"{drawn} of 600000 readings are drawn: the lowest and the highest" in made.words
    highest = max(
        part.trace.values[:, part.trace.channels.index("VDD_IN")].max() for part in long["t001"]
    )
    assert max(np.nanmax(column(line, "y")) for line in lines) >= highest


def _stretched(part: PowerSegment, count: int, rng: np.random.Generator) -> PowerSegment:
    t_ns = np.linspace(part.trace.t_before_ns[0], part.trace.t_before_ns[-1], count).astype(
        np.int64
    )
    values = rng.uniform(1, 9, (count, len(part.trace.channels)))
    trace = replace(part.trace, t_before_ns=t_ns, t_after_ns=t_ns + 10, values=values)
    return replace(part, trace=trace)


def test_charts_of_one_run_show_the_same_power(found: Material) -> None:
    """A spike of one reading is in the zoomable chart and in the panel of its case."""
    parts = found.segments["t001"]
    found.__dict__["segments"] = dict(found.segments) | {
        "t001": tuple(_stretched(part, 5_000, np.random.default_rng(4)) for part in parts)
    }
    spiked = next(part for part in found.segments["t001"] if part.where == "round-1")
    spiked.trace.values[1234] = 30.0
    lines = renderers(figure_of(timeline(found, "power-1")), "Line")
    assert max(np.nanmax(column(line, "y")) for line in lines) == 30.0
    panels = PLOTS["power"].draw(found, SCREEN).axes
    assert max(np.nanmax(line.get_ydata()) for line in panels[1].get_lines()) == 30.0
    assert panels[0].get_ylim()[1] > 30.0
    assert max(line["power_w"] for line in PLOTS["power"].data(found)) == 30.0


def test_the_axis_says_what_was_not_measured(synthetic) -> None:
    run = synthetic.write(synthetic.cases()[:1])
    (rows,) = rows_by_device(run).values()
    made = timeline(Material("local", rows, (run,)), "power-1")
    labels = [label for _, label, _ in made.series]
    assert labels == ["dense (est.)", "idle (est.)"]
    assert '"power (est.) [W]"' in json.dumps(figure_of(made))


def test_a_meter_and_its_load_markers(found: Material) -> None:
    parts = found.segments["t001"]
    found.__dict__["meter"] = {
        "t001": tuple(
            replace(
                part,
                trace=replace(part.trace, channels=("meter",), values=part.trace.values[:, :1] + 1),
            )
            for part in parts
        )
    }
    start_ns = min(part.window_ns[0] for part in parts)
    edges_ns = start_ns + np.array([0, 1, 2, 3]) * 1_000_000_000
    found.__dict__["markers"] = ((0, edges_ns), (7, edges_ns))
    made = timeline(found, "power-1")
    assert ("t001-meter", "dense, by the meter", "#222222") in made.series
    assert "load markers" in made.words
    plain = [quad for quad in renderers(figure_of(made), "Quad") if column(quad, "left").size == 2]
    assert any(np.allclose(np.diff(column(quad, "left")), 2.0) for quad in plain)


def test_attempts_follow_each_other_whatever_the_board_s_clock_says(found: Material) -> None:
    first, second = found.rows
    later = replace(second, trial=second.trial.model_copy(update={"attempt": 1}))
    resumed = Material("nano", (first, later), found.runs)
    made = timeline(resumed, "power-1")
    assert "when the run was resumed" in made.words
    lines = renderers(figure_of(made), "Line")
    one, two = (column(line, "x") for line in lines[:2])
    assert np.nanmin(two) > np.nanmax(one)


def test_without_power_there_is_none(synthetic) -> None:
    run = synthetic.write(synthetic.cases()[:1], power=None)
    (rows,) = rows_by_device(run).values()
    assert timeline(Material("nano", rows, (run,)), "power-1") is None
