"""What boards answer is data: an answer of another shape costs that board, in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzzing import fuzz, places, with_value
from hypothesis import given
from hypothesis import strategies as st

from bench.cli import main
from bench.device.answers import shaped
from bench.device.client import AgentClient
from bench.device.local import LocalTransport
from bench.errors import AgentError

SENSOR = {
    "name": "ina3221",
    "source": "measured",
    "unit": "W",
    "channels": [
        {
            "name": "VDD_IN",
            "resolution_w": 0.04,
            "resolution_j": None,
            "voltage_v": 5.0,
            "problem": None,
        }
    ],
    "lag_s": None,
    "scope": None,
    "samples": 4,
    "update_interval_ms": 2,
    "problem": None,
    "read_s": 1e-4,
    "refresh_s": 0.002,
    "gain_error": None,
    "period_s": 0.1,
    "note": "one",
}
PROBE: dict[str, Any] = {
    "version": 1,
    "board": {"model": "a board", "compatible": ["x"]},
    "boot_id": "b",
    "monotonic_ns": 10**15,
    "wall_s": 1.7e9,
    "os": {"pretty_name": None, "kernel": "5", "machine": "aarch64", "l4t": None},
    "python": {
        "version": "3.6.9",
        "executable": "/opt/my python/bin/python3",
        "implementation": "cpython",
        "abi_flags": "m",
        "platform": "linux-aarch64",
        "bits": 64,
        "glibc": "2.27",
    },
    "packages": {"folder": "cp36m-aarch64-1", "key": "1", "versions": {"numpy": "1.19.5"}},
    "numpy": {"version": "1.19.5", "problem": None},
    "runtimes": {"onnxruntime": {"version": "1.12.1", "providers": ["CPU"], "problem": None}},
    "cpu": {"model": None, "count": 4, "governor": {"cpu0": "x"}, "frequency_khz": {"cpu0": 1}},
    "memory": {"total_bytes": 1, "available_bytes": None},
    "disk": {"free_bytes": 1},
    "temperature_c": {"cpu": 41.5},
    "lock": {"path": "/run/lock/x", "problem": None},
    "state": {"power_mode": None, "power_modes": {}, "restored": None, "problem": None},
    "sensors": [SENSOR],
}
JOB = {
    "job_id": "j",
    "run_id": "r",
    "owner": None,
    "state": "running",
    "collected": False,
    "created_wall_s": 1.7e9,
    "remaining_s": 5.0,
    "journal_bytes": 3,
    "cases": 1,
}
BUSY = {"job_id": "j", "pid": 0, "owner": "o", "user": "u", "since_wall_s": 1.0, "left_s": None}
SETTABLE = {"applies": True, "problem": "needs root"}
DOCTOR: dict[str, Any] = {
    "processes": [{"pid": 7, "name": "stress", "cpus": 0.9}],
    "swap": [{"name": "/dev/zram0", "bytes": 4096, "used_bytes": 0}],
    "headroom_c": {"CPU-therm": 40.0},
    "state": {"power_mode": SETTABLE, "clocks": SETTABLE, "governor": SETTABLE},
    "pinned": None,
    "jetpack": {"nvidia-jetpack": "4.6.1"},
    "loads": [
        {
            "sensor": "ina3221",
            "unit": "W",
            "channels": [{"name": "VDD_IN", "idle_w": 2.5, "busy_w": None}],
            "reads": 400,
            "failed_reads": 1,
            "change_s": 0.1,
            "problem": None,
        }
    ],
    "idle_s": 2.0,
    "busy_s": 2.0,
    "wall_s": 1.7e9,
}
ANSWERS: dict[str, dict[str, Any]] = {
    "probe": PROBE,
    "jobs": {"jobs": [JOB], "busy": BUSY},
    "status": {"state": "dead", "remaining_s": None, "next_checkpoint_s": None, "rebooted": True},
    "start": {"pid": 1, "expected_s": 3.0, "next_checkpoint_s": None},
    "clean": {"removable": [{"what": "job", "path": "p", "bytes": 1}], "kept": []},
    "restore": {"restored": None, "problem": None},
    "doctor": DOCTOR,
    "provision": {"folder": "/w/packages/x", "versions": {"numpy": "1.19.5"}, "problem": None},
    "unprovision": {"removed": "x"},
}
ASK: dict[str, Callable[[AgentClient], object]] = {
    "probe": lambda client: client.probe(),
    "jobs": lambda client: client.jobs(),
    "status": lambda client: client.status("j"),
    "start": lambda client: client.start("j", {}),
    "clean": lambda client: client.clean(False),
    "restore": lambda client: client.restore(),
    "doctor": lambda client: client.doctor(),
    "provision": lambda client: client.provision("k", []),
    "unprovision": lambda client: client.unprovision(),
}
NONSENSE = [None, True, -1, 1e300, "x", [], {}, [[1]], {"a": {}}, 10**18, "", "running"]


def answering(text: str, folder: Path) -> AgentClient:
    path = folder / "agent.py"
    path.write_text(f"print({text!r})", encoding="utf-8")
    return AgentClient(LocalTransport(), sys.executable, str(path), f"{folder}/board", "lock")


@pytest.mark.parametrize("command", ANSWERS)
def test_answers_as_they_should_be_come_through(command: str) -> None:
    known = shaped(command, ANSWERS[command])
    assert all(known[name] == ANSWERS[command][name] for name in known)


@fuzz(300)
@given(st.data())
def test_no_value_of_an_answer_is_trusted(data: st.DataObject) -> None:
    command = data.draw(st.sampled_from(sorted(ANSWERS)))
    path = data.draw(st.sampled_from(places(ANSWERS[command])))
    answer = with_value(ANSWERS[command], path, data.draw(st.sampled_from(NONSENSE)))
    try:
        shaped(command, answer)
    except ValueError as error:
        assert "\n" not in str(error) and len(str(error)) < 300


@pytest.mark.parametrize("command", ANSWERS)
@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        '{"a":' * 900 + "1" + "}" * 900,
        '{"state": NaN}',
        '{"state": 1e999}',
        '{"state": ' + "9" * 5000 + "}",
        '{"state": "\\udc80"}',
        "{}",
        '{"busy": {}}',
        '{"busy": {"job_id": "j", "since_wall_s": 1e300}}',
        '{"refused": 1}',
        "[1]",
    ],
    ids=["lists", "objects", "deep", "nan", "inf", "digits", "half", "empty", "busy", "since",
         "refused", "list"],
)  # fmt: skip
def test_malformed_answers_are_one_line(command: str, text: str, tmp_path: Path) -> None:
    client = answering(text, tmp_path)
    with pytest.raises(AgentError) as caught:
        ASK[command](client)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    assert command in str(caught.value)


def test_the_message_names_device_place_and_fix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The board's interpreter is a program that answers with nonsense, whatever it is asked."""
    answer = with_value(PROBE, ("sensors", 0, "unit"), "volts")
    (tmp_path / "answer").write_text(json.dumps(answer))
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\ncat {tmp_path}/answer\n")
    python.chmod(0o755)
    devices = tmp_path / "devices.yaml"
    settings = {"transport": "local", "work_dir": f"{tmp_path}/w", "python": str(python)}
    devices.write_text(json.dumps({"devices": {"nano": settings}}))
    assert main(["devices", "probe", "nano", "--devices", str(devices)]) == 4
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("bench: nano: the answer to probe is not that of an agent (sensors.0.un")
    assert "remove" in last and "agent-" in last
