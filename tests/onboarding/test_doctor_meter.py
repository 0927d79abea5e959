"""`bench doctor` and the external meter of a device: it is read for a moment, as a run would."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.config.power_settings import MeterSettings
from bench.meters import recorder
from bench.onboarding.checks import Check, Result
from bench.onboarding.meter_check import meter_check

METER = """import sys, time
at_s = 1e9
while True:
    at_s += float(sys.argv[1])
    print(f"{at_s:.6f} 2.5", flush=True)
    time.sleep(0.02)
"""


def check(*command: str) -> Check:
    settings = MeterSettings.model_validate(
        {"kind": "command", "command": command, "scope": "board input"}
    )
    return meter_check("nano", settings)


def test_the_meter_of_a_device_is_examined_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    device: dict[str, Any] = {"transport": "local", "work_dir": str(tmp_path / "w"), "lock": "lock"}
    meter = {"kind": "command", "command": "no-such-meter", "scope": "wall"}
    document = {"devices": {"pc": {**device, "meter": meter}, "bare": device}}
    (tmp_path / "devices.yaml").write_text(json.dumps(document))

    def doctor(name: str) -> tuple[int, dict[str, Any]]:
        code = main(["doctor", name, "--json"])
        checks = json.loads(capsys.readouterr().out)["checks"]
        return code, next(check for check in checks if check["name"] == "meter")

    code, found = doctor("pc")
    assert code == 1
    assert (found["result"], found["prevents"]) == ("failed", True)
    assert "cannot start no-such-meter" in found["found"]
    assert "`meter` of pc" in found["fix"]
    code, found = doctor("bare")
    assert (code, found["result"]) == (0, "not applicable")


def test_a_meter_that_gives_readings(tmp_path: Path) -> None:
    found = check(sys.executable, "-c", METER, "0.05")
    assert found.result is Result.OK
    assert found.found == "command; scope board input; a reading every 0.05 s"


def test_a_mute_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "START_S", 0.5)
    found = check(sys.executable, "-c", "import time; time.sleep(600)")
    assert found.is_fatal and "no two readings" in found.found


def test_a_meter_that_is_too_slow_for_load_markers() -> None:
    found = check(sys.executable, "-c", METER, "20")
    assert found.is_fatal and "and load markers work up to 10 s" in found.found
