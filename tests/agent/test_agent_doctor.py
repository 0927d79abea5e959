"""What the agent finds for `bench doctor`, on constructed boards and on each Python."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from board_folder import LOCK, BoardFolder
from stateful_board import NO_SUDO, StatefulBoard

from bench.agent import doctor

Tree = Callable[[dict[str, str]], Path]

THERMAL = "/sys/class/thermal/thermal_zone0"
CHIP = "/sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
JETSON = {
    "/etc/nv_tegra_release": "# R32 (release), REVISION: 7.1, GCID: 29818004\n",
    "/proc/swaps": "Filename Type Size Used Priority\n/dev/zram0 partition 507392 1024 5\n",
    f"{THERMAL}/type": "CPU-therm\n",
    f"{THERMAL}/temp": "60000\n",
    f"{THERMAL}/trip_point_0_type": "active\n",
    f"{THERMAL}/trip_point_0_temp": "50000\n",
    f"{THERMAL}/trip_point_1_type": "passive\n",
    f"{THERMAL}/trip_point_1_temp": "97000\n",
    f"{THERMAL}/trip_point_2_type": "critical\n",
    f"{THERMAL}/trip_point_2_temp": "-273000\n",
    f"{CHIP}/rail_name_0": "POM_5V_IN\n",
    f"{CHIP}/in_power0_input": "2500\n",
}
DPKG = """#!/bin/sh
echo 'nvidia-l4t-core 32.7.1 install ok installed'
echo 'libnvinfer8 8.2.1-1 install ok installed'
echo 'libcudnn7 7.0 deinstall ok config-files'
exit 1
"""


def test_a_jetson_is_described(any_board: BoardFolder, tree: Tree) -> None:
    root = tree({**JETSON, "/usr/bin/dpkg-query": DPKG})
    (root / "usr/bin/dpkg-query").chmod(0o755)
    burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        found = any_board.ask("doctor", root, "{}", LOCK)
    finally:
        burner.kill()
        burner.wait()
    assert found["swap"] == [{"name": "/dev/zram0", "bytes": 507392 * 1024, "used_bytes": 2**20}]
    assert found["headroom_c"] == {"CPU-therm": 37.0}
    assert found["jetpack"] == {"nvidia-l4t-core": "32.7.1", "libnvinfer8": "8.2.1-1"}
    assert burner.pid in [process["pid"] for process in found["processes"]]
    assert found["pinned"] is None
    (load,) = found["loads"]
    # A file that never changes: a sensor that is stuck.
    assert load["channels"] == [{"name": "POM_5V_IN", "idle_w": 2.5, "busy_w": 2.5}]
    assert load["reads"] > 10 and load["failed_reads"] == 0 and load["change_s"] is None


def test_a_bare_board_and_what_may_be_set(board: BoardFolder, tmp_path: Path) -> None:
    jetson = StatefulBoard(tmp_path / "root")
    found = board.ask("doctor", jetson.root, "{}", LOCK)
    assert {name: state["applies"] for name, state in found["state"].items()} == {
        "power_mode": True,
        "clocks": True,
        "governor": True,
    }
    assert found["pinned"] is False and found["swap"] == [] and found["jetpack"] is None
    assert not jetson.calls, "nothing is changed"


def test_a_state_that_sudo_refuses_is_told_with_the_line_that_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    refused = StatefulBoard(tmp_path / "refused", sudo=NO_SUDO)
    granted = StatefulBoard(tmp_path / "granted")
    for name, found in doctor.settable(str(refused.root)).items():
        assert found["applies"], name
        assert "`sudo -n` was refused (sudo: a password is required)" in found["problem"], name
        assert "NOPASSWD: " in found["problem"], name
    every = doctor.settable(str(granted.root)).values()
    assert list(every) == [{"applies": True, "problem": None}] * 3
    assert not refused.calls and not granted.calls, "nothing is changed"


def test_a_board_without_modes_or_clocks_has_nothing_to_set(tmp_path: Path) -> None:
    found = doctor.settable(str(tmp_path))
    assert list(found.values()) == [{"applies": False, "problem": None}] * 3


def test_a_busy_board_is_left_alone(board: BoardFolder) -> None:
    job = board.job([board.case("a")], latency_rounds=400)
    board.start(job)
    for command in (("doctor", "/", "{}"), ("provision",), ("unprovision",)):
        arguments = {"provision": (LOCK, "k", "[]")}.get(command[0], (LOCK,))
        assert board.ask(*command, *arguments)["busy"]["job_id"] == "job-1"
    board.ask("stop", job)


def test_wheels_outside_of_their_folder_are_not_unpacked(board: BoardFolder) -> None:
    answer = board.ask("provision", LOCK, "../../k", '["../../etc/passwd"]')
    assert "lies outside of" in answer["problem"]
    assert not list((board.folder / "packages").iterdir())
