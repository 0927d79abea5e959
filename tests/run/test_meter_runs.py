"""Whole runs with an external meter on this host: a small program that turns the load of the board,
as its journal tells it, into power on a clock of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from board_folder import tiny_model
from witness import Witness

from bench.config.device_settings import LocalDevice
from bench.config.power_settings import MeterSettings, PowerSettings
from bench.fleet.outcome import Outcome
from bench.plan.plan import Plan
from bench.records.procedure import Procedure
from bench.records.status import Reason, Source, Status
from bench.records.trial import Trial
from bench.run.session import run

from .conftest import ESTIMATE

METER = Path(__file__).parents[1] / "meters" / "load_meter.py"
PERIOD_S = 0.05
IDLE_W, BUSY_W = 2.0, 6.0
CLOCK_OFFSET_S = 12345.678
SHORT = Procedure(
    name="short",
    warmup_min_s=0.05,
    warmup_max_s=0.5,
    latency_rounds=5,
    latency_round_s=0.05,
    energy_rounds=2,
    energy_window_s=0.5,
    energy_tail_s=0.05,
    idle_s=0.5,
    settle_s=0.05,
    settle_tau=0.0,
    target_ci=0.02,
)


def with_meter(device: LocalDevice, *end: int) -> LocalDevice:
    numbers = [PERIOD_S, IDLE_W, BUSY_W, CLOCK_OFFSET_S, *end]
    command = (sys.executable, str(METER), device.work_dir, *map(str, numbers))
    meter = MeterSettings(kind="command", command=command, scope="board input")
    return device.model_copy(update={"meter": meter})


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Witness]:
    """A tiny model on a board without a sensor, and on one with an estimate whose meter is
    unplugged midway; once for all tests, since most of the time goes into load markers."""
    folder = tmp_path_factory.mktemp("metered")
    plan = Plan(
        models=("tiny",),
        schemes=("dense",),
        files={"tiny": tiny_model(folder / "tiny.onnx")},
        procedure=SHORT,
    )
    powers = {"bare": PowerSettings(sensor="none"), "unplugged": ESTIMATE}
    boards = {
        name: LocalDevice(transport="local", work_dir=str(folder / name), lock="lock", power=power)
        for name, power in powers.items()
    }
    ends = {"unplugged": (160,)}
    witness = Witness()
    outcome = run(
        plan,
        {name: with_meter(board, *ends.get(name, ())) for name, board in boards.items()},
        results_dir=folder / "results",
        cache=folder / "cache",
        command=["bench", "run"],
        observer=witness,
    )
    assert outcome.device_errors == {}
    return outcome, witness


def trial_of(outcome: Outcome, device: str) -> Trial:
    (found,) = (trial for trial in outcome.run.trials if trial.case.device == device)
    return found


def test_a_board_without_a_sensor_has_the_meters_energy(
    measured: tuple[Outcome, Witness],
) -> None:
    outcome, _ = measured
    trial = trial_of(outcome, "bare")
    assert trial.energy is None
    assert trial.energy_status.status is Status.UNMEASURED
    assert outcome.run.power(trial.trial_id) == ()
    says = trial.meter
    assert says is not None and says.alignment is not None, trial.meter
    assert says.alignment.is_closed
    assert says.alignment.uncertainty_s < 0.01
    assert says.alignment.rise_w == pytest.approx(BUSY_W - IDLE_W, rel=0.01)
    assert says.energy is not None, says.status.detail
    assert (says.energy.source, says.energy.scope) == (Source.MEASURED, "board input")
    # The windows hold load, the idle lines none: an offset by a window would show.
    assert says.energy.power_w == pytest.approx(BUSY_W, rel=0.01)
    assert says.energy.idle_w == pytest.approx(IDLE_W, rel=0.01)
    share = (BUSY_W - IDLE_W) / BUSY_W
    assert says.energy.net_j == pytest.approx(says.energy.gross_j * share, rel=0.02)
    assert set(says.rounds_j) == {0, 1}
    # There is no sensor that could be calibrated.
    assert says.calibration is None
    segments = outcome.run.meter(trial.trial_id)
    assert {segment.where for segment in segments} == {
        "idle-before",
        "round-0",
        "round-1",
        "idle-after",
    }
    for segment in segments:
        # On the board's clock, whatever the meter's own one says.
        assert segment.trace.t_before_ns[0] < segment.window_ns[1]
        assert segment.trace.t_before_ns[-1] > segment.window_ns[0]


def test_a_meter_that_is_unplugged_midway_costs_its_figures_alone(
    measured: tuple[Outcome, Witness],
) -> None:
    outcome, witness = measured
    trial = trial_of(outcome, "unplugged")
    assert trial.meter is not None
    assert trial.meter.status.status is Status.INCONCLUSIVE
    assert trial.meter.status.reasons == (Reason.UNALIGNED,)
    assert trial.meter.energy is None
    assert "the meter was lost" in trial.meter.status.detail
    assert "usb device disconnected" in trial.meter.status.detail
    assert any("usb device disconnected" in note for note in witness.notes)
    assert trial.latency is not None
    # The estimate is complete, and never mixed with what the meter said.
    assert trial.energy is not None and trial.energy.source is Source.ESTIMATED
    # What it had measured is kept.
    (stored,) = (outcome.run.path / "meters").glob("*-unplugged.csv")
    assert np.loadtxt(stored, delimiter=",", skiprows=1).shape == (160, 3)


def test_a_meter_that_is_not_there_stops_its_board_before_it_measures(
    measure: Callable, local: LocalDevice, tmp_path: Path
) -> None:
    meter = MeterSettings(kind="command", command=("no-such-meter",), scope="wall")
    plan = Plan(
        models=("tiny",),
        schemes=("dense",),
        files={"tiny": tiny_model(tmp_path / "tiny.onnx")},
        procedure=SHORT,
    )
    outcome, _ = measure({"local": local.model_copy(update={"meter": meter})}, plan)
    text = str(outcome.device_errors["local"])
    assert "cannot start no-such-meter" in text
    assert "devices.yaml" in text
    assert outcome.run.trials == ()
