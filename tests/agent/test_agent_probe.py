from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from board_folder import LOCK, BoardFolder

from bench.agent import probe

Tree = Callable[[dict[str, str]], Path]

CHIP = "/sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
THERMAL = "/sys/class/thermal"
CPUFREQ = "/sys/devices/system/cpu/cpu0/cpufreq"
NANO = {
    "/proc/device-tree/model": "NVIDIA Jetson Nano Developer Kit\0",
    "/proc/device-tree/compatible": "nvidia,p3450-0000\0nvidia,jetson-nano\0nvidia,tegra210\0",
    "/etc/os-release": 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 18.04.6 LTS"\n',
    "/etc/nv_tegra_release": "# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref\n",
    "/proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd07\n",
    "/proc/meminfo": "MemTotal:        4059292 kB\nMemAvailable:    3000000 kB\n",
    f"{CPUFREQ}/scaling_governor": "schedutil\n",
    f"{CPUFREQ}/scaling_cur_freq": "1479000\n",
    f"{THERMAL}/thermal_zone0/type": "CPU-therm\n",
    f"{THERMAL}/thermal_zone0/temp": "41500\n",
    f"{THERMAL}/thermal_zone1/type": "PMIC-Die\n",
    f"{THERMAL}/thermal_zone1/temp": "100000\n",
    f"{THERMAL}/thermal_zone2/type": "cv0-therm\n",
    f"{THERMAL}/thermal_zone2/temp": "-256000\n",
    f"{THERMAL}/thermal_zone3/type": "GPU-therm\n",
    f"{CHIP}/rail_name_0": "POM_5V_IN\n",
    f"{CHIP}/in_power0_input": "2500\n",
}


def test_a_jetson_nano_is_recognisable(any_board: BoardFolder, tree: Tree) -> None:
    facts = any_board.ask("probe", tree(NANO), "{}", LOCK)
    assert facts["board"] == {
        "model": "NVIDIA Jetson Nano Developer Kit",
        "compatible": ["nvidia,p3450-0000", "nvidia,jetson-nano", "nvidia,tegra210"],
    }
    assert facts["os"]["l4t"] == "32.7.1"
    assert facts["os"]["pretty_name"] == "Ubuntu 18.04.6 LTS"
    assert facts["cpu"]["model"] == "Arm part 0xd07 (implementer 0x41)"
    assert facts["cpu"]["governor"] == {"cpu0": "schedutil"}
    assert facts["cpu"]["frequency_khz"] == {"cpu0": 1479000}
    assert facts["memory"]["total_bytes"] == 4059292 * 1024
    # A gated zone, a placeholder and an offline zone are no temperatures.
    assert facts["temperature_c"] == {"CPU-therm": 41.5}
    sensor = next(item for item in facts["sensors"] if item["name"] == "ina3221")
    assert [channel["name"] for channel in sensor["channels"]] == ["POM_5V_IN"]
    assert sensor["read_s"] > 0


def test_this_machine(any_board: BoardFolder) -> None:
    options = {"estimate": {"idle_w": 1.0, "busy_w": 2.0}}
    facts = any_board.ask("probe", "/", json.dumps(options), LOCK)
    runtime = facts["runtimes"]["onnxruntime"]
    assert "CPUExecutionProvider" in runtime["providers"]
    assert runtime["problem"] is None
    assert facts["numpy"]
    assert facts["disk"]["free_bytes"] > 0
    assert facts["boot_id"]
    assert "estimated" in [sensor["source"] for sensor in facts["sensors"]]


def test_a_bare_tree_leaves_facts_unknown(board: BoardFolder, tree: Tree) -> None:
    facts = board.ask("probe", tree({}), "{}", LOCK)
    assert facts["board"] == {"model": None, "compatible": []}
    assert facts["os"]["l4t"] is None
    assert facts["memory"] == {"total_bytes": None, "available_bytes": None}
    assert facts["sensors"] == []


def test_imports_that_fail_are_told_apart() -> None:
    def problem(code: str) -> Any:
        found = probe.probe_import(code)
        return found and found["problem"]

    assert probe.probe_import("import no_such_engine") is None
    assert "SIGILL" in problem("import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    assert "GLIBC" in problem("raise ImportError('version GLIBC_2.27 not found')")


def test_an_unknown_command_says_what_there_is(board: BoardFolder) -> None:
    done = board.agent("measure")
    assert done.returncode == 2
    assert "usage" in done.stderr
