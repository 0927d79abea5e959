"""Whole runs with a procedure that is as short as it can be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from witness import Witness

from bench.config.device_settings import DeviceSettings, LocalDevice
from bench.config.power_settings import EstimateModel, PowerSettings
from bench.fleet.outcome import Outcome
from bench.plan.plan import Plan
from bench.records.procedure import Procedure
from bench.run.session import run

SMALL = "shufflenet_v2_x0_5_cifar100"
TINY = Procedure(
    name="tiny",
    seed=3,
    warmup_min_s=0.05,
    warmup_max_s=0.5,
    latency_rounds=5,
    latency_round_s=0.05,
    energy_rounds=2,
    energy_window_s=0.2,
    energy_tail_s=0.05,
    idle_s=0.2,
    settle_s=0.05,
    settle_tau=1.0,
    target_ci=0.02,
)
PLAN = Plan(models=(SMALL,), procedure=TINY)
ESTIMATE = PowerSettings(estimate=EstimateModel(idle_w=2, busy_w=6))


@pytest.fixture(scope="session")
def cache(artifacts: Path) -> Path:
    """The artifact cache of all tests."""
    return artifacts


@pytest.fixture
def local(tmp_path: Path) -> LocalDevice:
    """This machine with a work folder of the test's own."""
    return LocalDevice(
        transport="local", work_dir=str(tmp_path / "board"), lock="lock", power=ESTIMATE
    )


@pytest.fixture
def measure(tmp_path: Path, cache: Path) -> Callable[..., tuple[Outcome, Witness]]:
    """Run a plan on devices (by name) and return the outcome with what the observer saw."""

    def measure(
        devices: dict[str, DeviceSettings], plan: Plan = PLAN, **changes: Any
    ) -> tuple[Outcome, Witness]:
        witness = Witness()
        settings = {
            "results_dir": tmp_path / "results",
            "cache": cache,
            "command": ["bench", "run"],
            "observer": witness,
            **changes,
        }
        return run(plan, devices, **settings), witness

    return measure
