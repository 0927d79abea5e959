"""Power sources in whole runs: a program as meter, `--power`, and what the result says of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from board_folder import tiny_model
from constructed import build
from descriptions import THOR
from witness import Witness

from bench.cli import main
from bench.config.device_settings import LocalDevice
from bench.config.power_settings import EstimateModel, MeterCommand, PowerSettings
from bench.fleet.outcome import Outcome
from bench.plan.plan import Plan
from bench.report.details import details

from .conftest import TINY

Measure = Callable[..., tuple[Outcome, Witness]]

METER = """\
import time
while True:
    print(time.time(), 5.5, flush=True)
    time.sleep(0.004)
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tiny_model(tmp_path / "mine.onnx")
    return Plan(models=("mine",), schemes=("dense",), procedure=TINY, files={"mine": path})


@pytest.fixture
def device(tmp_path: Path) -> LocalDevice:
    """A board with a meter that always says 5.5 W, and an estimate."""
    program = tmp_path / "meter.py"
    program.write_text(METER)
    work_dir = tmp_path / "board"
    work_dir.mkdir()
    power = PowerSettings(
        estimate=EstimateModel(idle_w=2, busy_w=6),
        command=MeterCommand(run=(sys.executable, str(program)), scope="wall"),
    )
    return LocalDevice(transport="local", work_dir=str(work_dir), lock="lock", power=power)


def test_a_program_measures_when_power_names_it(
    measure: Measure, device: LocalDevice, plan: Plan
) -> None:
    outcome, witness = measure({"box": device}, replace(plan, power="command"))
    (trial,) = witness.trials
    assert trial.energy is not None
    assert (trial.energy.source, trial.energy.scope) == ("measured", "wall")
    assert trial.energy.power_w == pytest.approx(5.5, rel=0.01)
    source = trial.facts["power_source"]
    assert source["why"] == "command was asked for by name"
    assert ("why this power source", "command was asked for by name") in details(trial)
    assert any("energy from command: command was asked for by name" in n for n in witness.notes)
    assert outcome.run.manifest.plan.power == "command"


def test_a_sensor_that_is_named_and_not_there_stops_its_device(
    measure: Measure, device: LocalDevice, plan: Plan
) -> None:
    gone = MeterCommand(run=("no-such-meter",), scope="wall")
    power = PowerSettings(sensor="command", command=gone)
    outcome, witness = measure({"box": device.model_copy(update={"power": power})}, plan)
    text = str(outcome.device_errors["box"])
    assert "command: no-such-meter: no such program on the board" in text
    assert "`--power auto`: the best" in text and "\n" not in text
    assert witness.trials == [] and outcome.run.jobs == ()


@pytest.mark.parametrize("sensor", ["command", "replay", "estimate"])
def test_a_sensor_without_its_setting_is_a_matter_of_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sensor: str
) -> None:
    devices = tmp_path / "devices.yaml"
    devices.write_text(f"devices:\n  box:\n    transport: local\n    power: {{sensor: {sensor}}}\n")
    asked = ["run", "--device", "box", "--devices", str(devices), "--results", str(tmp_path)]
    assert main(asked) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"device 'box': key 'power': the power sensor '{sensor}' needs power.{sensor}" in said
    devices.write_text("devices:\n  box:\n    transport: local\n")
    model = str(tiny_model(tmp_path / "mine.onnx"))
    assert main([*asked, "--model", model, "--power", sensor]) == 2
    said = capsys.readouterr().err
    assert f"box: the power sensor '{sensor}' needs power.{sensor} in devices.yaml" in said


def test_devices_probe_tells_sensors_and_board(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = build(tmp_path / "root", THOR)
    devices = tmp_path / "devices.yaml"
    devices.write_text(
        "devices:\n  thor:\n    transport: local\n    lock: lock\n"
        f"    root: {root}\n    work_dir: {tmp_path / 'board'}\n"
    )
    asked = ["devices", "probe", "thor", "--devices", str(devices)]
    assert main(asked) == 0
    table = " ".join(capsys.readouterr().out.split())
    assert "ina2xx: VIN (board input (with carrier), measured)" in table
    assert "auto: the board's own rails come first; passed over: ina3221: the total of" in table
    assert "JetPack 7: Python 3.12" in table
    assert "jetson_clocks" in table and "soctherm_oc" in table
    assert "VDD_GPU in steps of 96 mW" in table
    assert "renewed every 430 ms; gain error unknown; a read takes" in table
    assert main([*asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["recognised"] == "jetson-agx-thor"
    assert told["known"]["rails"][0]["name"] == "VIN"
    assert told["known"]["jetpack"]["tensorrt"] == "10.13"
    assert told["power"]["why"].startswith("auto: ")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["run", "--power", "ina322"], "did you mean 'ina3221'"),
        (["run", "--power", "rapl", "--resume", "x"], "leave out --power"),
    ],
)
def test_a_wrong_power_is_exit_2(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{sensor: command, command: {run: meter}}", "'power.command.scope' is missing"),
        ("{command: {run: '', scope: wall}}", "power.command.run"),
        ("{command: {run: 'meter \"', scope: wall}}", "power.command.run"),
        ("{sensor: joulescope}", "power.sensor"),
    ],
)
def test_bad_power_settings_name_the_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    devices = tmp_path / "devices.yaml"
    devices.write_text(f"devices:\n  box:\n    transport: local\n    power: {text}\n")
    assert main(["devices", "list", "--devices", str(devices)]) == 2
    assert said in capsys.readouterr().err
