"""Runs on many simulated boards: one tiny ONNX model, exported once, no processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from board_folder import tiny_model
from simulated_board import SimulatedBoard
from witness import Witness

from bench.config.device_settings import SshDevice
from bench.fleet.outcome import Outcome
from bench.plan.plan import Plan
from bench.plan.procedures import PROCEDURES
from bench.run.session import resume, run
from bench.store.reader import Run


class Fleet:
    """Boards by name, and a plan of small models that they measure."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.boards: dict[str, SimulatedBoard] = {}
        self.witness = Witness()

    def add(self, *names: str, **how: Any) -> None:
        """Put boards on the shelf."""
        self.boards.update({name: SimulatedBoard(**how) for name in names})

    def plan(self, *models: str, **changes: Any) -> Plan:
        """A plan that measures each model as it is."""
        files = {name: tiny_model(self.folder / f"{name}.onnx") for name in models}
        return Plan(
            models=models,
            schemes=("dense",),
            # As many rounds as the simulated boards' journal has.
            procedure=PROCEDURES["quick"].model_copy(
                update={"latency_rounds": 4, "energy_rounds": 2}
            ),
            files=files,
            **changes,
        )

    def measure(
        self, plan: Plan, settings: dict[str, dict[str, Any]] | None = None, **how: Any
    ) -> Outcome:
        """Run a plan on all boards; ``settings`` are those of devices.yaml, by name."""
        devices = {
            name: SshDevice(transport="ssh", host=name, **(settings or {}).get(name, {}))
            for name in self.boards
        }
        return run(
            plan,
            devices,
            results_dir=self.folder / "results",
            cache=self.folder / "cache",
            command=["bench", "run"],
            observer=self.witness,
            **how,
        )

    def resume(self, stored: Run) -> Outcome:
        """Go on with a run on all boards."""
        return resume(
            stored,
            {name: SshDevice(transport="ssh", host=name) for name in self.boards},
            cache=self.folder / "cache",
            command=["bench", "run", "--resume"],
            observer=self.witness,
        )


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """A shelf without boards; those that are added are reached instead of real ones."""
    made = Fleet(tmp_path)

    def connect(device: SshDevice, cancel: object = None, tell: object = None) -> Any:
        return made.boards[device.host].connect()

    connecting: Callable[..., Any] = connect
    monkeypatch.setattr("bench.fleet.contact.open_transport", connecting)
    monkeypatch.setattr("bench.run.recovery.open_transport", connecting)
    monkeypatch.setattr("bench.run.recovery.KNOCK_S", 0.01)
    return made
