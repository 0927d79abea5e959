"""Whole runs with an external meter on this host: a small program that turns the load of the
board, which is this machine, into power on a clock of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from board_folder import tiny_model

from bench.config import LocalDevice, MeterSettings
from bench.plan import Plan
from bench.records import Procedure

METER = Path(__file__).parents[1] / "meters" / "load_meter.py"
PERIOD_S = 0.05
CLOCK_OFFSET_S = 12345.678
SHORT = Procedure(
    name="short",
    warmup_min_s=0.05,
    warmup_max_s=0.5,
    latency_rounds=5,
    latency_round_s=0.05,
    energy_rounds=3,
    energy_window_s=0.5,
    energy_tail_s=0.05,
    idle_s=0.5,
    settle_s=0.05,
    settle_tau=0.0,
    target_ci=0.02,
)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A tiny model, so that nearly all time goes into load markers and windows."""
    return Plan(
        models=("tiny",), files={"tiny": tiny_model(tmp_path / "tiny.onnx")}, procedure=SHORT
    )


def with_meter(device: LocalDevice, *end: str) -> LocalDevice:
    command = (
        sys.executable,
        str(METER),
        device.work_dir,
        str(PERIOD_S),
        "2",
        "6",
        str(CLOCK_OFFSET_S),
        *end,
    )
    meter = MeterSettings(kind="command", command=command, scope="board input")
    return device.model_copy(update={"meter": meter})


def test_a_meter_has_figures_of_its_own_beside_the_sensors(
    measure: Callable, local: LocalDevice, plan: Plan
) -> None:
    outcome, witness = measure({"local": with_meter(local)}, plan)
    (trial,) = outcome.run.trials
    print(trial.meter, witness.notes)
    assert trial.meter is not None
    assert trial.meter.alignment is not None, trial.meter.status.detail
    assert trial.energy.scope != "board input"
