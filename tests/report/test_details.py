"""What the page says about how sure the figures are, and the chart of a sustained load."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from bench.records.figures import SustainPoint, SustainStats
from bench.report.canvas import rendered
from bench.report.details import details
from bench.report.page import write_report
from bench.report.rows import rows_by_device
from bench.report.sustain_chart import sustain_chart


def test_the_page_says_how_sure_the_figures_are(synthetic):
    run = synthetic.write(synthetic.cases(), power=synthetic.ina3221)
    page = write_report(run, charts=False).page.read_text()
    for words in (
        "How sure these figures are",
        "uncertainty: scatter of the rounds",
        "time constant of the sensor",
        "from its settings",
        "the reading changes",
        "p50 with the power sampler running",
        "steady after 180 runs",
    ):
        assert words in page
    facts = dict(details(run.trials[0]))
    assert "95 %:" in facts["p90"]
    assert "430 ms" in facts["time constant of the sensor"]
    assert facts["energy windows"] == "2 of 2.00 s"


def test_board_facts_in_words(synthetic):
    run = synthetic.write(synthetic.cases()[:1])
    trial = run.trials[0].model_copy(
        update={
            "facts": {
                "warmup": {"took_s": 12.0, "steady": False, "runs": 9},
                "stopping": {"reason": "max-time", "rounds": 33},
                "temperature_c": {"cpu": [41.0, 48.5]},
                "frequency_khz": {"cpu0": [918_000, 1_479_000]},
                "lag": {"note": "the step response is believed"},
                "sampler_effect": 1.004,
                "group": ["a", "b"],
                "cooldown": {"reached": True, "took_s": 40, "wanted_c": 40},
                "loads": 3,
            }
        }
    )
    found = dict(details(trial))
    assert "not steady" in found["warm-up"]
    assert "the time was up" in found["latency rounds ended"]
    assert found["temperature cpu"] == "41.0–48.5 °C"
    assert found["clock cpu0"] == "918–1479 MHz"
    assert found["p50 with the power sampler running"] == "+0.40%"
    assert found["on the time constant"] == "the step response is believed"
    assert found["loaded side by side"] == "2 cases"
    assert found["fresh loads"] == "3"


def test_a_trial_without_numbers_has_no_details_to_invent(synthetic):
    failure = {"reason": "load", "text": "no", "detail": ""}
    run = synthetic.write(synthetic.cases()[:1], failures={0: failure})
    assert "p50" not in dict(details(run.trials[0]))


def test_the_sustain_chart_draws_what_was_recorded(synthetic):
    run = synthetic.write(synthetic.cases()[:2])
    (rows,) = rows_by_device(run).values()
    assert sustain_chart(rows, "local") is None
    points = tuple(
        SustainPoint(
            at_s=5.0 * i,
            duration_s=5.0,
            p50_s=0.01 + 1e-4 * min(i, 8),
            power_w=9.0,
            temperature_c=40.0 + i,
            frequency_khz=None,
        )
        for i in range(20)
    )
    stats = SustainStats(
        points=points,
        first_p50_s=0.01,
        steady_p50_s=0.0108,
        steady_from_s=40.0,
        steady_power_w=None,
    )
    sustained = [
        type(row)(
            row.case,
            row.trial.model_copy(update={"sustain": stats}),
            row.label,
            row.short,
            row.colour,
        )
        for row in rows
    ]
    figure = sustain_chart(sustained, "local")
    # Clocks were not recorded, and power is an estimate.
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "p50 [ms]",
        "power, est. [W]",
        "hottest zone [°C]",
    ]
    ET.fromstring(rendered(figure)["svg"])
