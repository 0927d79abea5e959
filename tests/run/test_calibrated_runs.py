"""Whole runs on a constructed INA3221 tree whose sensor is calibrated: what changes, what not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from board_folder import tiny_model
from witness import Witness

from bench.analysis.compare import Outcome as Compared
from bench.analysis.compare import compare
from bench.analysis.conditions import subject
from bench.config.device_settings import LocalDevice
from bench.config.power_settings import PowerSettings
from bench.fleet.outcome import Outcome
from bench.plan.plan import Plan
from bench.records.power import PowerCalibration
from bench.report.details import details
from bench.run.session import resume
from bench.store.reader import open_run

from .conftest import TINY
from .test_whole_runs import nano_tree

Measure = Callable[..., tuple[Outcome, Witness]]
GAIN, OFFSET_W = 0.8, 1.0
CALIBRATION = PowerCalibration(
    gain=GAIN,
    offset_w=OFFSET_W,
    gain_half_width=0.01,
    offset_half_width_w=0.05,
    low_w=2.0,
    high_w=6.0,
    sensor="ina3221",
    total=("POM_5V_IN",),
    meter="joulescope",
    run="20260101-000000-nano-abcd",
)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tiny_model(tmp_path / "mine.onnx")
    return Plan(models=("mine",), schemes=("dense",), procedure=TINY, files={"mine": path})


@pytest.fixture
def nano(tmp_path: Path) -> LocalDevice:
    """A constructed Jetson Nano that always reads 5 W; no such board was at hand."""
    root = nano_tree(tmp_path / "root", total_mw=5000, gpu_mw=1500, cpu_mw=2000)
    return LocalDevice(
        transport="local", work_dir=str(tmp_path / "board"), lock="lock", root=str(root)
    )


def calibrated(device: LocalDevice, **changes) -> LocalDevice:
    calibration = CALIBRATION.model_copy(update=changes)
    return device.model_copy(update={"power": PowerSettings(calibration=calibration)})


def test_figures_are_corrected_by_gain_and_offset_and_readings_are_not(
    measure: Measure, nano: LocalDevice, plan: Plan
) -> None:
    before, _ = measure({"nano": nano}, plan)
    after, witness = measure({"nano": calibrated(nano)}, plan)
    (old,), (new,) = before.run.trials, after.run.trials
    assert old.energy.power_w == pytest.approx(5.0)
    assert new.energy.power_w == pytest.approx((5.0 - OFFSET_W) / GAIN)
    assert new.energy.idle_w == pytest.approx((5.0 - OFFSET_W) / GAIN)
    for segment in after.run.power(new.trial_id):
        column = segment.trace.channels.index("POM_5V_IN")
        assert np.all(segment.trace.values[:, column] == 5.0)
    assert new.energy.calibration == CALIBRATION
    assert (old.energy.gain_error, old.energy.calibration) == (0.05, None)
    assert new.energy.gain_error == pytest.approx(CALIBRATION.error_at(5.0))
    said = "calibrated against joulescope in 20260101-000000-nano-abcd"
    assert said in new.energy.note
    assert any(said in note for note in witness.notes)
    assert said in dict(details(new))["the sensor is"]
    one, two = (
        subject(trial, outcome.run.manifest) for trial, outcome in ((old, before), (new, after))
    )
    energies = {item.quantity: item for item in compare(one, two, 0.01).quantities}["energy"]
    assert energies.outcome is Compared.INCONCLUSIVE
    assert "is not calibrated" in energies.why


def test_a_calibration_of_other_rails_is_not_applied_and_the_run_says_so(
    measure: Measure, nano: LocalDevice, plan: Plan
) -> None:
    outcome, witness = measure({"nano": calibrated(nano, total=("POM_5V_GPU",))}, plan)
    (trial,) = outcome.run.trials
    assert trial.energy.power_w == pytest.approx(5.0)
    assert trial.energy.calibration is None
    assert "not applied: it was made for ina3221 (POM_5V_GPU)" in trial.energy.note
    assert any("not applied" in note for note in witness.notes)


def test_a_resumed_run_keeps_the_calibration_that_it_began_with(
    measure: Measure, nano: LocalDevice, plan: Plan, cache: Path, tmp_path: Path
) -> None:
    outcome, _ = measure({"nano": calibrated(nano)}, plan)
    bare, _ = measure({"nano": nano}, plan)
    for done, now, power_w in (
        (outcome, calibrated(nano, gain=1.6, run="later"), (5.0 - OFFSET_W) / GAIN),
        (outcome, nano, (5.0 - OFFSET_W) / GAIN),
        (bare, calibrated(nano), 5.0),
    ):
        # As if it had been cut before its only case.
        trials = done.run.path / "trials.jsonl"
        trials.write_text("")
        run = replace(open_run(done.run.path, tmp_path / "results"), jobs=())
        witness = Witness()
        again = resume(run, {"nano": now}, cache=cache, command=["bench"], observer=witness)
        (trial,) = again.run.trials
        assert trial.energy.power_w == pytest.approx(power_w)
        assert any("keeps the calibration" in note for note in witness.notes)
        resumed = json.loads((done.run.path / "manifest.json").read_text())["resumptions"][-1]
        told = resumed["devices"]["nano"]["power"]["calibration"]
        assert (told or {}).get("gain") == (GAIN if done is outcome else None)
