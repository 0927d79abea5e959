"""`bench doctor`: what it finds on boards and on this machine, and its exit codes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from new_board import NewBoard

from bench.cli import main
from bench.onboarding.checks import Result, clock_check, surroundings_checks
from bench.onboarding.sensor_checks import sensor_checks
from bench.records.power import PowerSource
from bench.records.status import Reason, Source, Status, Verdict

Make = Callable[..., NewBoard]
Capture = pytest.CaptureFixture[str]
VALID = Verdict(status=Status.VALID)
RAILS = PowerSource(
    sensor="ina3221",
    source=Source.MEASURED,
    scope="module",
    total=("VDD_IN",),
    channels=("VDD_IN",),
    unit="W",
    lag_s=0.43,
    resolution_w=0.04,
    gain_error=0.05,
)
SENSOR: dict[str, Any] = {
    "name": "ina3221",
    "source": "measured",
    "channels": [{"name": "VDD_IN", "problem": None}],
    "lag_s": 0.43,
    "read_s": 0.002,
    "problem": None,
}


def doctor(capsys: Capture, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code, and the checks by name."""
    capsys.readouterr()
    code = main(["doctor", *arguments, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["can_measure"] is (code == 0)
    return code, {check["name"]: check for check in document["checks"]}


def test_a_board_that_is_in_order(new_board: Make, capsys: Capture) -> None:
    board = new_board()
    assert board.add("--name", "pc") == 0
    code, checks = doctor(capsys, "pc")
    assert code == 0
    good = ("ssh", "host key", "login", "work folder", "python", "numpy", "runtimes", "clock")
    assert {checks[name]["result"] for name in good} == {"ok"}
    # Where the package is installed, it has no GPU here; neither keeps one from measuring.
    assert (
        checks["runtime tensorrt"]["result"] != "ok" and not checks["runtime tensorrt"]["prevents"]
    )
    assert main(["devices", "doctor", "pc"]) == 0
    assert "✓ ssh" in capsys.readouterr().out


def test_a_board_without_numpy_cannot_measure(
    new_board: Make, bare_python: Path, capsys: Capture
) -> None:
    board = new_board(bare_python)
    assert board.add("--name", "nano") == 0
    code, checks = doctor(capsys, "nano")
    assert code == 1
    assert "`bench devices provision nano`" in checks["numpy"]["fix"]
    assert main(["doctor", "nano"]) == 1
    said = capsys.readouterr().out.splitlines()
    (number,) = (i for i, line in enumerate(said) if line.startswith("✗ numpy"))
    assert "→ `bench devices provision nano`" in said[number + 1]


def test_how_far_one_gets_to_a_board_is_told(new_board: Make, capsys: Capture) -> None:
    board = new_board()
    assert board.add("--name", "pc") == 0
    entry = board.devices.read_text()
    known = board.known_hosts.read_text()

    board.known_hosts.write_text("")
    code, checks = doctor(capsys, "pc")
    assert code == 4 and checks["ssh"]["result"] == "ok"
    assert checks["host key"]["fix"] == "`bench devices trust pc`"
    assert checks["login"]["result"] == "not applicable"

    board.known_hosts.write_text(known)
    board.devices.write_text(entry.replace(str(board.server.key), str(board.server.host_keys[0])))
    code, checks = doctor(capsys, "pc")
    assert code == 4 and checks["host key"]["result"] == "ok"
    key = board.server.host_keys[0]
    command = f"ssh-copy-id -i {key}.pub -p {board.server.port} {board.address.partition(':')[0]}"
    assert f"`{command}`" in checks["login"]["fix"]
    assert f"`{command}`" in checks["login"]["found"]

    board.server.stop()
    code, checks = doctor(capsys, "pc")
    assert code == 4 and checks["ssh"]["result"] == "failed"


def test_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_DEVICES", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    code, checks = doctor(capsys)
    assert code == 0
    assert checks["ssh server"]["result"] == "not applicable"
    assert checks["extra models"]["result"] == checks["cache"]["result"] == "ok"
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    extras = {f"extra {name}" for name in project["project"]["optional-dependencies"]}
    assert {name for name in checks if name.startswith("extra ")} == extras
    (tmp_path / "devices.yaml").write_text("devices: [")
    monkeypatch.setenv("BENCH_CACHE", "/proc/no-such-folder")
    code, checks = doctor(capsys)
    assert code == 1
    assert checks["cache"]["result"] == checks["devices"]["result"] == "failed"
    for text, words in (("", "is empty; the least that"), ("devices:\n", "must map names to")):
        (tmp_path / "devices.yaml").write_text(text)
        code, checks = doctor(capsys)
        assert words in checks["devices"]["found"]
        assert "line" not in checks["devices"]["fix"]


def load(idle_w: float | None, busy_w: float | None, **changes: Any) -> dict[str, Any]:
    rail = {"name": "VDD_IN", "idle_w": idle_w, "busy_w": busy_w}
    found = {"sensor": "ina3221", "channels": [rail], "reads": 400, "failed_reads": 0}
    return {**found, "change_s": 0.1, "problem": None, **changes}


@pytest.mark.parametrize(
    ("found", "sensor", "plausible"),
    [
        (load(2.5, 6.0), "ok", "ok"),
        (load(2.5, 2.51), "ok", "failed"),
        (load(2.5, 2.5, change_s=None), "ok", "failed"),
        (load(-0.1, 6.0), "ok", "failed"),
        (load(2500.0, 6000.0), "ok", "failed"),
        (load(None, 6.0, failed_reads=200), "failed", "failed"),
        (load(None, None, problem="No such device"), "failed", "failed"),
    ],
)
def test_what_a_sensor_says_is_weighed(found: dict[str, Any], sensor: str, plausible: str) -> None:
    deep = {"loads": [found], "idle_s": 2.0, "busy_s": 2.0}
    every = sensor_checks({"sensors": [SENSOR]}, deep, RAILS, VALID, is_named=False)
    checks = {check.name: check for check in every}
    assert checks["sensor ina3221"].result == sensor
    assert checks["power is plausible"].result == plausible
    failed = [check for check in checks.values() if check.result is Result.FAILED]
    assert all(check.fix for check in failed)


def test_a_sensor_that_is_named_and_missing_prevents_measuring() -> None:
    verdict = Verdict(
        status=Status.UNMEASURED,
        reasons=(Reason.NO_SENSOR,),
        detail="nvml: not found on the board",
    )
    (named,) = sensor_checks({"sensors": []}, None, None, verdict, is_named=True)
    assert named.is_fatal and "power.sensor" in named.fix
    (auto,) = sensor_checks({"sensors": []}, None, None, verdict, is_named=False)
    assert auto.result is Result.NOT_APPLICABLE


def test_a_sensor_that_is_not_needed_is_not_missed() -> None:
    broken = {**SENSOR, "name": "jtop", "problem": "the service is not active"}
    facts = {"sensors": [SENSOR, broken]}
    checks = {each.name: each for each in sensor_checks(facts, None, RAILS, VALID, is_named=False)}
    assert checks["sensor jtop"].result is Result.NOT_APPLICABLE
    estimate = RAILS.model_copy(update={"sensor": "estimate", "source": Source.ESTIMATED})
    checks = {
        each.name: each for each in sensor_checks(facts, None, estimate, VALID, is_named=False)
    }
    assert checks["sensor jtop"].result is Result.FAILED


def test_what_disturbs_is_named() -> None:
    facts = {
        "temperature_c": {"CPU": 80.0, "GPU": 60.0},
        "lock": {"path": "x", "problem": "/x/lock cannot be used"},
        "os": {"l4t": "32.7.1"},
    }
    deep = {
        "headroom_c": {"CPU": 5.0},
        "swap": [{"name": "/dev/zram0", "bytes": 2**30, "used_bytes": 2**28}],
        "processes": [{"pid": 9, "name": "tracker", "cpus": 0.8}],
        "jetpack": {"nvidia-l4t-core": "32.7.1"},
    }
    checks = {check.name: check for check in surroundings_checks(facts, deep, "/x/lock")}
    assert {name for name, check in checks.items() if check.result is Result.FAILED} == {
        "temperature",
        "swap",
        "other processes",
        "JetPack",
        "lock",
    }
    assert "/dev/null /x/lock`" in checks["lock"].fix
    assert "zram, 256 MiB" in checks["swap"].found
    assert "tracker (9): 80%" in checks["other processes"].found
    assert not any(check.prevents for check in checks.values())


def test_a_clock_is_only_wrong_beyond_what_asking_took() -> None:
    assert clock_check(3.0, 1.5).result is Result.OK
    assert clock_check(-86400.0, 0.1).result is Result.FAILED
