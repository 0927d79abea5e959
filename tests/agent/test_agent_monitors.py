"""INA219, INA226 and INA238 through hwmon, batteries, and the Raspberry Pi 5's power chip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.agent import health, probe
from bench.agent.sensors import battery, ina2xx, rpi_pmic
from bench.boards import recognise
from bench.config.power_settings import PowerSettings
from bench.power.choice import choose_power, period_s
from bench.records.status import Source

Tree = Callable[[dict[str, str]], Path]

CHIP = "/sys/class/hwmon/hwmon2"
INA226 = {
    f"{CHIP}/name": "ina226\n",
    f"{CHIP}/in0_input": "3\n",
    f"{CHIP}/in1_input": "5000\n",
    f"{CHIP}/curr1_input": "750\n",
    f"{CHIP}/power1_input": "3756250\n",
    f"{CHIP}/shunt_resistor": "10000\n",
    f"{CHIP}/update_interval": "36\n",
}


def test_microwatts_are_read_as_watts_with_their_step_and_refresh(tree: Tree) -> None:
    root = str(tree(INA226))
    (found,) = ina2xx.describe(root, {})
    (channel,) = found["channels"]
    assert channel["name"] == "ina226"
    # 25 steps of current of 250 µA each (data sheet, with the driver's calibration for 10 mΩ).
    assert channel["resolution_w"] == pytest.approx(0.00625)
    assert found["refresh_s"] == 0.036
    assert ina2xx.open_sensor(root, {}, []).read() == [3.75625]


def test_a_step_of_an_ina219_is_twenty_of_its_current(tree: Tree) -> None:
    (found,) = ina2xx.describe(str(tree({**INA226, f"{CHIP}/name": "ina219\n"})), {})
    assert found["channels"][0]["resolution_w"] == pytest.approx(0.020)


def test_without_a_power_file_power_is_voltage_times_current(tree: Tree) -> None:
    files = {path: text for path, text in INA226.items() if "power1" not in path}
    root = str(tree(files))
    assert ina2xx.open_sensor(root, {}, []).read() == [3.75]
    assert ina2xx.describe(root, {})[0]["channels"][0]["resolution_w"] is None


def test_a_failed_read_of_a_monitor_is_a_gap(tree: Tree) -> None:
    sensor = ina2xx.open_sensor(str(tree(INA226)), {}, [])
    tree({f"{CHIP}/power1_input": ""})
    assert sensor.read() == [None]
    tree({f"{CHIP}/power1_input": "1000000\n"})
    assert sensor.read() == [1.0]


def test_other_hwmon_chips_are_no_power_monitors(tree: Tree) -> None:
    root = str(tree({**INA226, f"{CHIP}/name": "k10temp\n"}))
    assert ina2xx.describe(root, {}) == []


def test_what_a_monitor_is_wired_to_is_not_guessed(tree: Tree) -> None:
    found = probe.sensors(str(tree(INA226)), {})
    board = recognise([], "aarch64")
    power, verdict = choose_power(board, found, PowerSettings(), estimates=False)
    assert power is None
    assert "power.total" in verdict.detail
    named = PowerSettings(total=("ina226",), scope="5 V input")
    power, _ = choose_power(board, found, named, estimates=False)
    assert power is not None
    assert (power.sensor, power.scope) == ("ina2xx", "5 V input")


BATTERY = "/sys/class/power_supply/BAT0"
DISCHARGING = {
    f"{BATTERY}/type": "Battery\n",
    f"{BATTERY}/status": "Discharging\n",
    f"{BATTERY}/present": "1\n",
    f"{BATTERY}/voltage_now": "12000000\n",
    f"{BATTERY}/current_now": "1500000\n",
}


@pytest.mark.parametrize("current", ["1500000\n", "-1500000\n"])
def test_a_battery_is_read_whatever_the_sign_of_its_current(tree: Tree, current: str) -> None:
    root = str(tree({**DISCHARGING, f"{BATTERY}/current_now": current}))
    (found,) = battery.describe(root, {})
    assert found["problem"] is None
    assert "whole machine" in found["scope"]
    assert battery.open_sensor(root, {}, []).read() == [18.0]


def test_a_battery_that_only_tells_power(tree: Tree) -> None:
    files = {path: text for path, text in DISCHARGING.items() if not path.endswith("_now")}
    root = str(tree({**files, f"{BATTERY}/power_now": "7500000\n"}))
    assert battery.open_sensor(root, {}, []).read() == [7.5]


def test_a_charging_battery_is_a_problem_and_then_a_gap(tree: Tree) -> None:
    root = str(tree(DISCHARGING))
    sensor = battery.open_sensor(root, {}, [])
    tree({f"{BATTERY}/status": "Charging\n"})
    assert sensor.read() == [None]
    (found,) = battery.describe(root, {})
    assert "unplug the charger" in found["problem"]


@pytest.mark.parametrize("change", [{"type": "Mains\n"}, {"scope": "Device\n"}, {"present": "0\n"}])
def test_mains_mice_and_empty_bays_are_no_battery_of_the_machine(
    tree: Tree, change: dict[str, str]
) -> None:
    changed = {f"{BATTERY}/{name}": text for name, text in change.items()}
    assert battery.describe(str(tree({**DISCHARGING, **changed})), {}) == []


# Lines as `vcgencmd pmic_read_adc` prints them on a Raspberry Pi 5; two rails of its twelve.
ADC = """\
   3V3_SYS_A current(1)=0.10000000A
  VDD_CORE_A current(7)=2.00000000A
   3V3_SYS_V volt(9)=3.30000000V
  VDD_CORE_V volt(15)=0.85000000V
     EXT5V_V volt(24)=5.09066000V
      BATT_V volt(25)=0.00000000V
"""
PI5 = {"/proc/device-tree/compatible": "raspberrypi,5-model-b\0brcm,bcm2712\0"}


def with_vcgencmd(root: Path, text: str, status: int = 0) -> str:
    """Put a stand-in for vcgencmd on the board."""
    program = root / "usr/bin/vcgencmd"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(
        f"#!/bin/sh\n[ \"$1\" = pmic_read_adc ] || exit 2\ncat <<'END'\n{text}END\nexit {status}\n"
    )
    program.chmod(0o755)
    return str(root)


def test_a_raspberry_pi_5_is_measured_by_its_power_chip(tree: Tree) -> None:
    root = with_vcgencmd(tree(PI5), ADC)
    found = probe.sensors(root, {})
    board = recognise(probe.identify(root)["compatible"])
    assert board.name == "raspberry-pi-5"
    power, _ = choose_power(board, found, PowerSettings(), estimates=False)
    assert power is not None
    assert (power.sensor, power.source) == ("rpi-pmic", Source.MEASURED)
    assert "without USB, HAT, NVMe" in power.scope
    assert rpi_pmic.open_sensor(root, {}, []).read() == [pytest.approx(0.33 + 1.7)]
    # It starts a program each time: read seldom, unless devices.yaml wants it otherwise.
    assert period_s(PowerSettings(), power) == rpi_pmic.PERIOD_S
    assert period_s(PowerSettings(period_s=0.02), power) == 0.02


def test_the_input_voltage_without_a_current_adds_nothing() -> None:
    assert rpi_pmic.power_w(ADC) == pytest.approx(2.03)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ADC.replace("  VDD_CORE_V volt(15)=0.85000000V\n", ""),
        ADC.replace("=2.00000000A", "=nanA"),
        "Command not registered\n",
    ],
)
def test_a_part_of_the_rails_is_a_gap_and_not_a_smaller_total(text: str) -> None:
    assert rpi_pmic.power_w(text) is None


def test_vcgencmd_that_fails_or_is_missing_is_explained(tree: Tree) -> None:
    root = tree(PI5)
    (missing,) = rpi_pmic.describe(str(root), {})
    assert "apt install" in missing["problem"]
    with_vcgencmd(root, "VCHI initialization failed\n", status=255)
    (refused,) = rpi_pmic.describe(str(root), {})
    assert "usermod -aG video" in refused["problem"]


@pytest.mark.parametrize("name", ["raspberrypi,4-model-b", "raspberrypi,3-model-b-plus"])
def test_older_boards_have_no_such_chip(tree: Tree, name: str) -> None:
    root = with_vcgencmd(tree({"/proc/device-tree/compatible": name + "\0"}), ADC)
    assert rpi_pmic.describe(root, {}) == []


FIRMWARE = "/sys/devices/platform/soc/soc:firmware/get_throttled"


def test_the_firmwares_flags_tell_throttling_now_and_since_boot(tree: Tree) -> None:
    counts: Any = health.throttle_counts(str(tree({FIRMWARE: "50001\n"})))
    assert counts["under-voltage"] == 1
    assert counts["throttled by the firmware"] == 0
    assert counts["under-voltage since boot"] == 1
    assert counts["throttled by the firmware since boot"] == 1
    assert counts["too hot since boot"] == 0
