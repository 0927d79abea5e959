"""A calibrated sensor in the table, on the page and in the charts."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from bench.records.power import PowerCalibration
from bench.report.details import details
from bench.report.energy_charts import power_chart
from bench.report.material import Material
from bench.report.page import write_report
from bench.report.rows import rows_by_device
from bench.report.table import summary_table

WORDS = "calibrated against joulescope in 20260101-000000-orin-abcd"
CALIBRATION = PowerCalibration(
    gain=0.5,
    offset_w=0.4,
    gain_half_width=0.01,
    offset_half_width_w=0.05,
    low_w=2.0,
    high_w=6.0,
    sensor="ina3221",
    total=("VDD_IN",),
    meter="joulescope",
    run="20260101-000000-orin-abcd",
)


def test_table_page_and_details_say_by_what_it_is_calibrated(synthetic) -> None:
    power = synthetic.ina3221.model_copy(
        update={"calibration": CALIBRATION, "note": CALIBRATION.words}
    )
    run = synthetic.write(synthetic.cases(), power=power)
    console = Console(width=200, file=io.StringIO(), color_system=None)
    console.print(summary_table(run))
    caption = " ".join(console.file.getvalue().split())
    assert f"measured · module · ina3221 · calibrated ({WORDS})" in caption
    assert WORDS in write_report(run, charts=False).page.read_text()
    found = dict(details(run.trials[0]))
    assert found["the sensor is"].startswith(f"{WORDS}: its readings are 0.4 W + 0.5 · power")
    assert "without the meter's own error" in found["error of the calibration"]
    assert "gain error of the sensor" not in found
    # Its power is about twice what the sensor shows.
    assert "from 2.0" in found["beyond the calibration"]


def test_the_power_chart_draws_what_the_figures_say(synthetic) -> None:
    power = synthetic.ina3221.model_copy(update={"calibration": CALIBRATION})
    run = synthetic.write(synthetic.cases()[:1], power=power)
    (rows,) = rows_by_device(run).values()
    chart = power_chart(rows, Material("orin", rows, (run,)).power, "orin")
    (trial,) = run.trials
    case = chart.axes[1]
    *traces, idle = case.get_lines()
    drawn_w = max(np.nanmedian(line.get_ydata()) for line in traces)
    assert drawn_w == pytest.approx(trial.energy.power_w, rel=0.05)
    assert idle.get_ydata()[0] == pytest.approx(trial.energy.idle_w)
    idle_w = np.nanmean(chart.axes[0].get_lines()[0].get_ydata())
    assert idle_w == pytest.approx(trial.energy.idle_w, rel=0.1)
