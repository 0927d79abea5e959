"""What charts say, looked up in the text of their SVG, and how they fit their form."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from PIL import Image

from bench.records.artifact import AccuracyStats, LabelledFacts
from bench.records.case import Case
from bench.records.power import EnergyStats
from bench.records.status import Reason, Source, Status, Verdict
from bench.records.trial import Trial
from bench.report import palette
from bench.report.canvas import SCREEN, Form, paper, saved, style
from bench.report.energy_charts import energy_chart
from bench.report.energy_parts import energy_parts_chart
from bench.report.health import HealthPoint, health_chart
from bench.report.latency_charts import distribution_chart, latency_chart
from bench.report.material import material_of
from bench.report.memory_chart import memory_chart
from bench.report.modes_chart import modes_chart
from bench.report.over_time import latency_over_time_chart
from bench.report.pareto import TRADEOFFS, fronts, pareto_chart, pareto_points
from bench.report.plots import PLOTS
from bench.report.rows import rows_of_runs
from bench.report.trend_view import case_trends, trend_chart
from bench.store.reader import Run

COLUMN = paper(3.5)
DOUBTED = Verdict(status=Status.INCONCLUSIVE, reasons=(Reason.WINDOW_SHORT, Reason.IDLE_DRIFT))
VALID = Verdict(status=Status.VALID)


def texts(figure: Figure) -> list[tuple[str, float]]:
    """Every text of a figure with its size in points."""
    svg = ET.fromstring(saved(figure, "svg", COLUMN))
    found = []
    for element in svg.iter("{http://www.w3.org/2000/svg}text"):
        size = re.search(r"([\d.]+)px", element.get("style") or "")
        found.append(("".join(element.itertext()), float(size[1]) if size else 0.0))
    return found


def words(figure: Figure) -> str:
    return " ".join(text for text, _ in texts(figure))


def changed(run: Run, changes: dict[int, dict]) -> Run:
    """The run with other figures in some of its trials."""
    trials = [
        trial.model_copy(update=changes.get(number, {})) for number, trial in enumerate(run.trials)
    ]
    return replace(run, trials=tuple(trials))


def energy(trial: Trial, **changes) -> EnergyStats:
    assert trial.energy is not None
    return trial.energy.model_copy(update=changes)


@pytest.fixture
def measured(synthetic) -> Run:
    run = synthetic.write(synthetic.cases("orin"), power=synthetic.ina3221)
    return changed(run, {number: {"energy_status": VALID} for number in range(4)})


def accurate(run: Run, *top1: float) -> Run:
    facts = LabelledFacts(name="imagenet", images=1000, classes=1000, sha256="0" * 64)
    return changed(
        run,
        {
            number: {"accuracy": AccuracyStats(dataset=facts, top1=share)}
            for number, share in enumerate(top1)
        },
    )


def test_inconclusive_is_said_with_its_reasons(measured):
    run = changed(measured, {1: {"latency_status": DOUBTED, "energy_status": DOUBTED}})
    rows = rows_of_runs([run])
    for figure in (latency_chart(rows, "orin", COLUMN), energy_chart(rows, "orin", COLUMN)):
        said = words(figure)
        assert said.count("inconclusive: window short, idle drift") == 1
        assert said.count("inconclusive") == 2, "the legend explains the mark"
    for figure in (
        latency_chart(rows_of_runs([measured]), "orin"),
        energy_chart(rows_of_runs([measured]), "orin"),
    ):
        assert "inconclusive" not in words(figure)


def faces(figure: Figure) -> list[tuple[float, ...]]:
    return [patch.get_facecolor() for patch in figure.axes[0].patches]


def test_inconclusive_is_hollow_and_an_estimate_hatched(synthetic, measured):
    run = changed(measured, {1: {"latency_status": DOUBTED}})
    filled, hollow, *_ = faces(latency_chart(rows_of_runs([run]), "orin"))
    assert hollow == (1.0, 1.0, 1.0, 1.0)
    assert filled != hollow
    estimated = energy_chart(rows_of_runs([synthetic.write(synthetic.cases(), run_id="e")]), "pi")
    assert all(patch.get_hatch() for patch in estimated.axes[0].patches)
    assert not any(
        patch.get_hatch() for patch in energy_chart(rows_of_runs([run]), "x").axes[0].patches
    )
    said = words(estimated)
    assert "estimated, not measured" in said
    assert "energy (est.) per inference" in said


def test_an_interval_that_leaves_the_chart_is_an_arrow_with_its_ends(measured):
    wide = energy(measured.trials[1], gross_j=0.08, uncertainty_j=0.5, net_uncertainty_j=0.001)
    figure = energy_chart(rows_of_runs([changed(measured, {1: {"energy": wide}})]), "orin", COLUMN)
    assert "arrows: gross −420 mJ to 580 mJ" in words(figure)
    arrows = [line.get_marker() for line in figure.axes[0].lines]
    assert arrows.count(">") == arrows.count("<") == 1
    calm = energy_chart(rows_of_runs([measured]), "orin", COLUMN)
    assert "arrows" not in words(calm)


def test_without_energy_the_chart_is_one_line_that_says_why(synthetic):
    rows = rows_of_runs([synthetic.write(synthetic.cases(), power=None)])
    figure = energy_chart(rows, "pi", COLUMN)
    assert not figure.axes
    assert "No energy (not measured: estimate declined)" in words(figure)


def with_modes(synthetic) -> Run:
    cases = [
        Case(device="orin", model="net", power_mode=mode, scheme=scheme)
        for scheme in ("dense", "basis:0.25")
        for mode in ("10W", "MAXN")
    ]
    return synthetic.write(cases, power=synthetic.ina3221, run_id="modes")


def test_charts_are_readable_in_one_column(synthetic, measured, twenty_four):
    """No text below 7 pt, nothing beyond the edges, whatever the names."""
    many = synthetic.write(twenty_four, power=synthetic.ina3221, run_id="many")
    for run, names in (
        (accurate(measured, 0.7, 0.69, 0.68), ("latency", "energy", "energy-parts", "memory")),
        (with_modes(synthetic), ("modes",)),
        (accurate(many, 0.7, 0.6), ("latency", "pareto")),
    ):
        for name in names:
            figure = PLOTS[name].draw(material_of((run,)), COLUMN)
            assert figure is not None
            assert min(size for text, size in texts(figure) if text.strip()) >= 7
            assert figure.get_figwidth() == 3.5
            stay_inside(figure, COLUMN)


def stay_inside(figure: Figure, form: Form) -> None:
    """Whatever is drawn lies within the edges (in inches)."""
    with style(form):
        figure.draw_without_rendering()
        box = figure.get_tightbbox()
    assert box.x0 > -0.02
    assert box.y0 > -0.02
    assert box.x1 < figure.get_figwidth() + 0.02
    assert box.y1 < figure.get_figheight() + 0.02


def test_power_over_time_and_rounds_fit_too(measured):
    material = material_of((measured,))
    for name, form in (("power", COLUMN), ("over-time", SCREEN), ("distribution", Form(5.0))):
        figure = PLOTS[name].draw(material, form)
        assert figure is not None
        stay_inside(figure, form)


def test_pdf_has_truetype_fonts_and_svg_real_text(measured):
    figure = latency_chart(rows_of_runs([measured]), "orin", COLUMN)
    pdf = saved(figure, "pdf", COLUMN)
    assert pdf.startswith(b"%PDF")
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert "basis:0.25 factored" in words(figure)
    assert saved(figure, "pdf", COLUMN) == pdf


def test_only_what_is_measured_and_valid_stands_on_a_front(measured):
    run = accurate(measured, 0.70, 0.65, 0.75, 0.60)
    tradeoff = next(each for each in TRADEOFFS if each.name == "accuracy-latency")

    def front(run: Run) -> list[int]:
        (points,) = fronts(pareto_points(rows_of_runs([run]), tradeoff), more_is_better=True)
        return [point.number for point in points]

    # By latency: 1 dense, 2 load, 4 factored, 3 runtime; 2 and 4 are slower and less accurate.
    assert front(run) == [1, 3]
    assert front(changed(run, {0: {"latency_status": DOUBTED}})) == [2, 3]
    figure = pareto_chart(rows_of_runs([run]), "orin", COLUMN)
    assert figure is not None
    assert "accuracy against latency" in words(figure)
    assert "top-1 on imagenet [%]" in words(figure)


def test_estimates_make_no_front(synthetic):
    rows = rows_of_runs([synthetic.write(synthetic.cases("pi"))])
    tradeoff = next(each for each in TRADEOFFS if each.name == "size-energy")
    points = pareto_points(rows, tradeoff)
    assert len(points) == 4
    assert {point.x.estimated for point in points} == {True}
    assert fronts(points, more_is_better=False) == []
    figure = pareto_chart(rows, "pi", COLUMN)
    assert figure is not None
    assert "no front: nothing valid was" in words(figure)
    assert "[mJ], est." in words(figure)
    assert "estimated, not measured" in words(figure)


def test_estimated_power_is_called_so_where_no_energy_came_of_it(synthetic):
    run = synthetic.write(synthetic.cases("pi"))
    failed = Verdict(status=Status.FAILED, reasons=(Reason.CRASH,))
    lost = {"energy": None, "energy_status": failed}
    material = material_of((changed(run, dict.fromkeys(range(4), lost)),))
    figure = PLOTS["power"].draw(material, SCREEN)
    assert figure is not None
    assert "estimated, not measured" in words(figure)
    assert "power (est.) [W]" in words(figure)
    assert {line["source"] for line in PLOTS["power"].data(material)} == {"estimated"}


def test_estimates_are_told_from_measurements_in_one_chart(synthetic, measured):
    guessed = synthetic.write(synthetic.cases("pi"), run_id="guessed")
    material = material_of((measured, guessed))
    pareto, power = (PLOTS[name].draw(material, COLUMN) for name in ("pareto", "power"))
    assert pareto is not None
    assert "[mJ], hatched: est." in words(pareto)
    assert "5 est." in words(pareto)
    assert power is not None
    said = words(power)
    assert said.count("(est.)") == 5
    assert "pi: dense (est.)" in said


def test_a_thousand_lines_are_still_drawn():
    figure = Figure(figsize=(3.5, 500))
    with Image.open(io.BytesIO(saved(figure, "png", COLUMN))) as image:
        assert 60_000 < image.height < 2**16


def test_devices_and_scopes_have_fronts_of_their_own(synthetic):
    cases = [*synthetic.cases("orin"), *synthetic.cases("nano")]
    run = synthetic.write(cases, power=synthetic.ina3221)
    run = changed(run, {number: {"energy_status": VALID} for number in range(8)})
    tradeoff = next(each for each in TRADEOFFS if each.name == "size-energy")
    found = fronts(pareto_points(rows_of_runs([run]), tradeoff), more_is_better=False)
    assert [{point.row.case.device for point in each} for each in found] == [{"orin"}, {"nano"}]
    boards = energy(run.trials[0], scope="board input")
    other = changed(run, {0: {"energy": boards}})
    found = fronts(pareto_points(rows_of_runs([other]), tradeoff), more_is_better=False)
    assert len(found) == 3


def test_modes_join_the_points_of_a_case(synthetic):
    rows = rows_of_runs([with_modes(synthetic)])
    figure = modes_chart(rows, "orin", COLUMN)
    assert figure is not None
    said = words(figure)
    for text in ("1 10W", "1 MAXN", "2 10W", "2 MAXN", "energy per inference [mJ]"):
        assert text in said
    assert modes_chart(rows[:1], "orin", COLUMN) is None
    assert "latency per mode" not in said


def test_modes_of_a_board_without_a_sensor_show_their_latency(synthetic):
    cases = [Case(device="pi", model="net", power_mode=mode) for mode in ("600MHz", "1500MHz")]
    blind = synthetic.write(cases, power=None, run_id="blind")
    material = material_of((blind,))
    figure = PLOTS["modes"].draw(material, COLUMN)
    assert figure is not None
    said = words(figure)
    assert "latency per mode" in said
    assert "600MHz" in said
    assert "energy per inference" not in said
    assert "unmeasured" not in said, "what has no energy is no doubtful latency"
    assert [line["gross_j"] for line in PLOTS["modes"].data(material)] == [None, None]
    stay_inside(figure, COLUMN)
    both = PLOTS["modes"].draw(material_of((blind, with_modes(synthetic))), COLUMN)
    assert both is not None
    assert "latency per mode" in words(both)
    assert "1 MAXN" not in words(both), "numbers are those of cases: the first has no energy"
    assert "2 MAXN" in words(both)


def test_memory_tells_peak_rise_and_load(measured):
    figure = memory_chart(rows_of_runs([measured]), "orin", COLUMN)
    assert figure is not None
    assert "peak 112 MiB" in words(figure)
    assert "load 80.0 ms" in words(figure)


def test_parts_of_the_uncertainty_and_what_is_apart(measured):
    figure = energy_parts_chart(rows_of_runs([measured]), "orin", COLUMN)
    assert figure is not None
    said = words(figure)
    assert "scatter of the rounds" in said
    assert "gain error ±5 %, apart" in said
    guessed = changed(
        measured,
        {
            number: {"energy": energy(trial, source=Source.ESTIMATED)}
            for number, trial in enumerate(measured.trials)
        },
    )
    figure = energy_parts_chart(rows_of_runs([guessed]), "orin")
    assert figure is not None
    assert "estimated, not measured" in words(figure)


def test_health_shows_zones_clocks_and_throttling():
    points = [
        HealthPoint(2.0 * n, {"cpu": 50.0 + n}, {"cpu0": 1.5e6}, {"soc": 1} if n == 5 else {})
        for n in range(10)
    ]
    figure = health_chart({"orin": points}, "orin", COLUMN)
    assert figure is not None
    said = words(figure)
    assert "temperature [°C]" in said
    assert "clock [MHz]" in said
    assert "throttled" in said
    assert len(figure.axes[0].patches) == 1
    assert health_chart({"orin": [HealthPoint(0.0, {}, {}, {})]}, "orin") is None


def test_health_says_how_many_zones_it_leaves_out():
    def points(zones: int) -> list[HealthPoint]:
        return [
            HealthPoint(
                2.0 * n, {f"zone{z}": 50.0 + z * n for z in range(zones)}, {"cpu0": 1e6}, {}
            )
            for n in range(10)
        ]

    figure = health_chart({"orin": points(12)}, "orin", COLUMN)
    assert figure is not None
    said = words(figure)
    assert "8 of 12 zones" in said
    assert "clocks" not in said
    assert "zone11" in said
    assert "zone3 " not in f"{said} ", "those that moved least"
    stay_inside(figure, COLUMN)
    figure = health_chart({"orin": points(8)}, "orin", COLUMN)
    assert figure is not None
    assert "zones" not in words(figure)


def trend_of(*runs: Run) -> Figure:
    _, found = case_trends(runs)
    schemes = {item.case.scheme for item in found}
    figure = trend_chart(found, palette.colours(schemes), "orin")
    assert figure is not None
    return figure


def test_each_mark_of_a_trend_says_what_its_figure_is(synthetic, measured):
    """A run with a sensor, one with a doubtful energy, one with an estimate."""
    doubted = synthetic.write(synthetic.cases("orin"), power=synthetic.ina3221, run_id="doubted")
    doubted = changed(doubted, {number: {"energy_status": DOUBTED} for number in range(4)})
    guessed = synthetic.write(synthetic.cases("orin"), run_id="guessed")
    guessed = changed(guessed, {number: {"energy_status": VALID} for number in range(4)})
    figure = trend_of(measured, doubted, guessed)
    said = words(figure)
    assert "hatched: est." in said, "not all of them are"
    assert "estimated" in said
    assert "inconclusive" in said
    energies = [mark for mark in figure.axes[1].collections if isinstance(mark, PathCollection)]
    assert len(energies) == 12
    hatched = [mark for mark in energies if mark.get_hatch()]
    hollow = [mark for mark in energies if tuple(mark.get_facecolor()[0]) == (1, 1, 1, 1)]
    assert len(hatched) == len(hollow) == 4
    assert not {id(mark) for mark in hatched} & {id(mark) for mark in hollow}
    alone = words(trend_of(guessed, replace(guessed, manifest=measured.manifest)))
    assert "[mJ], est." in alone
    stay_inside(figure, SCREEN)


def test_a_trend_says_how_many_cases_it_leaves_out(synthetic, twenty_four):
    one, two = (
        synthetic.write(twenty_four[:14], power=None, run_id=name) for name in ("one", "two")
    )
    assert "12 of 14 cases" in words(trend_of(one, two))
    stay_inside(trend_of(one, two), SCREEN)


def test_rounds_over_time_begin_together(measured):
    rows = rows_of_runs([measured])
    samples = material_of((measured,)).samples
    figure = latency_over_time_chart(rows, samples, "orin", COLUMN)
    assert figure is not None
    assert len(figure.axes) == 4
    assert "round with power sampled" in words(figure)
    assert latency_over_time_chart(rows, {}, "orin") is None


def test_a_long_run_of_two_runs_tells_its_cases_apart(synthetic, measured):
    later = synthetic.write(synthetic.cases("orin"), power=synthetic.ina3221, run_id="later")
    rows = rows_of_runs([measured, later])
    assert len({row.short for row in rows}) == 8
    assert len({row.trial.trial_id for row in rows if row.trial}) == 8
    samples_s = material_of((measured, later)).samples_s
    assert len(samples_s) == 8
    assert "(later)" in words(distribution_chart(rows, samples_s, "orin", COLUMN))
