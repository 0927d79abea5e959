"""An external meter in the table and on the page, beside the board's own figures."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

from rich.console import Console
from stored_runs import store

from bench.agent import wire
from bench.analysis.compare import compare
from bench.analysis.conditions import subject
from bench.records.power import AlignmentStats, Metered, SensorCalibration
from bench.records.status import Reason, Status, Verdict
from bench.report.details import details
from bench.report.page import write_report
from bench.report.table import summary_table
from bench.store.reader import open_run

ALIGNMENT = AlignmentStats(
    uncertainty_s=0.0021,
    drift_ppm=-13.4,
    drift_uncertainty_ppm=8.2,
    reading="mean",
    period_s=0.01,
    rise_w=2.5,
)
CALIBRATION = SensorCalibration(
    sensor="ina3221",
    sensor_scope="module",
    meter="joulescope",
    meter_scope="board input",
    gain=0.97,
    gain_low=0.96,
    gain_high=0.98,
    offset_w=0.1,
    offset_low_w=0.05,
    offset_high_w=0.15,
    windows=12,
    low_w=2.0,
    high_w=6.0,
    scatter_w=0.02,
)


def table_text(run) -> str:
    console = Console(width=200, file=io.StringIO(), color_system=None)
    console.print(summary_table(run))
    return console.file.getvalue()


def metered(run, **changes):
    """The run with a meter's energy, 1.2 times the board's own, in each of its trials."""
    trials = []
    for trial in run.trials:
        energy = trial.energy.model_copy(
            update={
                "gross_j": 1.2 * trial.energy.gross_j,
                "scope": "board input",
                "sensor": "joulescope",
            }
        )
        rounds_j = {item.index: 1.2 * item.gross_j for item in trial.rounds if item.gross_j}
        fields = {
            "status": Verdict(status=Status.VALID),
            "energy": energy,
            "alignment": ALIGNMENT,
            "rounds_j": rounds_j,
            "calibration": CALIBRATION,
        }
        meter = Metered(**{**fields, **changes})
        trials.append(trial.model_copy(update={"meter": meter}))
    return dataclasses.replace(run, trials=tuple(trials))


def test_the_meters_energy_stands_beside_the_boards(synthetic) -> None:
    run = synthetic.write(synthetic.cases(), power=synthetic.ina3221)
    assert "meter" not in table_text(run)
    text = table_text(metered(run))
    assert "energy by" in text
    assert "measured · module · ina3221" in text
    assert "by meter: measured · board input · joulescope" in text
    lines = dict(details(metered(run).trials[0]))
    assert "measured · board input · joulescope" in lines["energy by the meter"]
    found = lines["meter's readings on the board's clock"]
    assert "within 2.1 ms" in found
    assert "drift -13 ± 8 ppm" in found
    assert "means over 10.0 ms" in found
    against = lines["board's sensor against the meter"]
    assert "0.97 · joulescope" in against
    assert "0.96 to 0.98" in against
    assert "covers module and the meter board input" in against


def test_a_meter_without_a_place_on_the_boards_clock_is_explained(synthetic) -> None:
    run = synthetic.write(synthetic.cases(), power=synthetic.ina3221)
    why = "the load markers before the rounds cannot be found in the meter's readings"
    verdict = Verdict(status=Status.INCONCLUSIVE, reasons=(Reason.UNALIGNED,), detail=why)
    run = metered(run, status=verdict, energy=None, alignment=None, calibration=None, rounds_j={})
    assert "inconclusive" in table_text(run)
    page = write_report(run, charts=False).page.read_text()
    assert "energy by the meter inconclusive (unaligned)" in page
    assert why.replace("'", "&#39;") in page


def test_a_journal_that_cannot_be_read_is_named_once(tmp_path: Path) -> None:
    """Load markers and the board's health both come from it."""
    run = store(tmp_path)
    (job,) = run.jobs
    meter = {"kind": "joulescope", "scope": "board input", "period_s": 0.001}
    facts = run.path / "jobs" / f"{job.facts.job_id}.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "meter": meter}))
    newer = {"kind": "start", "version": 99, "t_ns": 1, "wall_s": 1.7e9, "job_id": "j"}
    job.journal_path.write_bytes(wire.encode_record(newer))
    page = write_report(open_run(run.path, tmp_path)).page.read_text()
    assert page.count(job.journal_path.name) == 1


def test_meters_are_compared_with_meters_alone(synthetic) -> None:
    run = synthetic.write(synthetic.cases(), power=synthetic.ina3221)
    seen = metered(run)
    plain, other = (subject(trial, run.manifest) for trial in run.trials[:2])
    one, two = (subject(trial, run.manifest) for trial in seen.trials[:2])
    names = [item.quantity for item in compare(plain, other, 0.01).quantities]
    assert "meter-energy" not in names
    both = {item.quantity: item for item in compare(one, two, 0.01).quantities}
    assert both["meter-energy"].ratio is not None
    assert both["energy"].ratio is not None
    half = {item.quantity: item for item in compare(one, other, 0.01).quantities}
    assert half["meter-energy"].ratio is None
    assert "no external meter" in half["meter-energy"].why
