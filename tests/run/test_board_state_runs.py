"""Power modes, clocks and governors in whole runs, on a constructed board."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from board_folder import tiny_model
from stateful_board import LIMITS_KHZ, LOWEST_KHZ, StatefulBoard
from witness import Witness

from bench.agent import state, wire
from bench.cli import EXIT_DEVICE, main
from bench.config.device_settings import LocalDevice
from bench.errors import AgentError, StateError
from bench.fleet.evaluation import completed
from bench.fleet.outcome import Outcome
from bench.fleet.upkeep import probe_device, restore_device
from bench.plan.plan import Plan
from bench.records.procedure import BoardState
from bench.store.reader import open_run

from .conftest import TINY

Measure = Callable[..., tuple[Outcome, Witness]]


@pytest.fixture
def jetson(tmp_path: Path) -> StatefulBoard:
    return StatefulBoard(tmp_path / "root")


@pytest.fixture
def device(tmp_path: Path, jetson: StatefulBoard) -> LocalDevice:
    work_dir = tmp_path / "board"
    work_dir.mkdir()
    return LocalDevice(
        transport="local", work_dir=str(work_dir), lock="lock", root=str(jetson.root)
    )


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tiny_model(tmp_path / "mine.onnx")
    return Plan(models=("mine",), schemes=("dense",), procedure=TINY, files={"mine": path})


def leave_behind(device: LocalDevice, asked: dict[str, str]) -> None:
    """What a job that was killed leaves on the board."""
    job = {"job_id": "killed", "root": device.root, "state": asked}
    state.establish(job, device.work_dir)


def test_a_sweep_over_power_modes_is_one_job_per_mode(
    measure: Measure, device: LocalDevice, jetson: StatefulBoard, plan: Plan
) -> None:
    sweep = replace(plan, power_modes=("15W", "maxn"), clocks="max", governor="performance")
    outcome, _ = measure({"jetson": device}, sweep)
    assert outcome.device_errors == {}
    assert [trial.case.power_mode for trial in outcome.run.trials] == ["15W", "maxn"]
    assert all(trial.latency is not None for trial in outcome.run.trials)
    jobs = {job.facts.state.power_mode: job for job in outcome.run.jobs}
    assert jobs.keys() == {"15W", "maxn"}
    for wanted, khz in (("15W", LIMITS_KHZ[1]), ("maxn", LIMITS_KHZ[0])):
        job = jobs[wanted]
        assert job.facts.state == BoardState(
            power_mode=wanted, clocks="max", governor="performance"
        )
        records, _ = wire.decode_records(job.journal())
        states = {record["where"]: record for record in records if record["kind"] == "state"}
        assert states["set"]["frequency_min_khz"] == {"cpu0": khz}
        assert states["restored"]["frequency_min_khz"] == {"cpu0": LOWEST_KHZ}
    assert (jetson.power_mode, jetson.limits_khz) == ("MAXN", (LOWEST_KHZ, LIMITS_KHZ[0]))

    # A host that died before it evaluated finds all of it in the journals.
    run = outcome.run
    (run.path / "trials.jsonl").unlink()
    again = completed(open_run(run.path, run.path.parent))
    assert [trial.case for trial in again.trials] == [trial.case for trial in run.trials]


def test_an_unknown_power_mode_is_refused_before_the_others_take_their_time(
    measure: Measure, device: LocalDevice, jetson: StatefulBoard, plan: Plan
) -> None:
    outcome, witness = measure({"jetson": device}, replace(plan, power_modes=("15W", "30W")))
    error = outcome.device_errors["jetson"]
    assert isinstance(error, StateError)
    assert str(error) == (
        "the board has no power mode '30W'; it has: MAXN (id 0), 15W (id 1), 10W (id 2)"
    )
    assert not outcome.run.trials and not witness.trials
    assert jetson.calls == []


def test_a_state_that_cannot_be_had_is_that_device_s_error(
    measure: Measure, device: LocalDevice, jetson: StatefulBoard, plan: Plan
) -> None:
    outcome, _ = measure({"jetson": device}, replace(plan, governor="turbo"))
    assert isinstance(outcome.device_errors["jetson"], StateError)
    assert "no governor 'turbo'" in str(outcome.device_errors["jetson"])
    assert not outcome.run.trials


def test_ctrl_c_puts_everything_back(
    measure: Measure, device: LocalDevice, jetson: StatefulBoard, plan: Plan
) -> None:
    class Impatient(Witness):
        def phase(self, device: str, text: str, expected_s: float | None = None) -> None:
            super().phase(device, text, expected_s)
            if text.startswith("measuring"):
                modes.append(jetson.power_mode)
                os.kill(os.getpid(), signal.SIGINT)

    modes: list[str] = []
    long = TINY.model_copy(update={"latency_rounds": 400})
    sweep = replace(plan, procedure=long, power_modes=("15W", "10W"))
    outcome, _ = measure({"jetson": device}, sweep, observer=Impatient())
    assert outcome.run.manifest.interrupted
    assert modes == ["15W"]
    assert jetson.power_mode == "MAXN"
    assert not (Path(device.work_dir) / state.FILE).exists()


def test_a_job_that_dies_is_collected_and_its_state_put_back(
    measure: Measure, device: LocalDevice, jetson: StatefulBoard, plan: Plan
) -> None:
    class Killer(Witness):
        def phase(self, device: str, text: str, expected_s: float | None = None) -> None:
            super().phase(device, text, expected_s)
            if text.startswith("measuring") and not modes:
                modes.append(jetson.power_mode)
                lock = json.loads((Path(settings.work_dir) / "lock").read_text())
                os.kill(lock["pid"], signal.SIGKILL)

    settings = device = device.model_copy(update={"give_up_after": 1})
    modes: list[str] = []
    outcome, _ = measure({"jetson": device}, replace(plan, power_modes=("15W",)), observer=Killer())
    assert modes == ["15W"]
    assert isinstance(outcome.device_errors["jetson"], AgentError)
    assert len(outcome.run.trials) == 1
    assert jetson.power_mode == "MAXN"


def test_a_board_that_cannot_be_put_back_is_an_error_but_its_trials_are_kept(
    measure: Measure, device: LocalDevice, jetson: StatefulBoard, plan: Plan
) -> None:
    class Breaker(Witness):
        def phase(self, device: str, text: str, expected_s: float | None = None) -> None:
            super().phase(device, text, expected_s)
            if text.startswith("measuring"):
                jetson.touch("broken")

    outcome, _ = measure(
        {"jetson": device}, replace(plan, power_modes=("15W",)), observer=Breaker()
    )
    assert outcome.run.trials[0].latency is not None
    error = outcome.device_errors["jetson"]
    assert isinstance(error, StateError)
    assert "is not restored" in str(error) and "NVPM ERROR" in str(error)


def test_any_contact_puts_back_what_a_killed_job_left(
    device: LocalDevice, jetson: StatefulBoard
) -> None:
    leave_behind(device, {"power_mode": "10W"})
    facts = probe_device("orin", device)
    assert facts["state"]["restored"]["job_id"] == "killed"
    assert facts["state"]["power_mode"] == jetson.power_mode == "MAXN"
    assert restore_device("orin", device) is None


@pytest.fixture
def bench(
    tmp_path: Path, device: LocalDevice, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Call ``bench devices``; exit code, stdout and stderr."""
    file = tmp_path / "devices.yaml"
    entry = {"transport": "local", "work_dir": device.work_dir, "lock": "lock", "root": device.root}
    file.write_text(json.dumps({"devices": {"orin": entry}}))

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["devices", *arguments, "--devices", str(file)])
        return (code, *capsys.readouterr())

    return call


def test_devices_restore_says_what_it_did(
    bench: Callable[..., tuple[int, str, str]], device: LocalDevice, jetson: StatefulBoard
) -> None:
    leave_behind(device, {"power_mode": "10W", "clocks": "max"})
    code, _, said = bench("restore", "orin")
    assert code == 0
    assert "orin: restored to what it was before job killed: power mode MAXN" in said
    assert jetson.power_mode == "MAXN"
    assert "nothing to restore" in bench("restore", "orin")[2]
    assert json.loads(bench("restore", "orin", "--json")[1]) == {"restored": None}


def test_devices_probe_shows_the_power_mode_and_what_was_restored(
    bench: Callable[..., tuple[int, str, str]], device: LocalDevice, jetson: StatefulBoard
) -> None:
    leave_behind(device, {"power_mode": "10W"})
    code, table, said = bench("probe", "orin")
    assert code == 0
    assert "MAXN (of MAXN, 15W, 10W)" in table
    assert "job killed had died; restored: power mode MAXN" in said


def test_a_failed_devices_restore_is_a_device_error(
    bench: Callable[..., tuple[int, str, str]], device: LocalDevice, jetson: StatefulBoard
) -> None:
    leave_behind(device, {"power_mode": "10W"})
    jetson.touch("broken")
    code, _, said = bench("restore", "orin")
    assert code == EXIT_DEVICE
    assert "is not restored" in said and "NVPM ERROR" in said
