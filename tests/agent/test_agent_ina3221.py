from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.agent.sensors import ina3221

Tree = Callable[[dict[str, str]], Path]

NANO = "/sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
JETPACK4 = {
    f"{NANO}/rail_name_0": "POM_5V_IN\n",
    f"{NANO}/in_power0_input": "2500\n",
    f"{NANO}/in_voltage0_input": "5000\n",
    f"{NANO}/in_current0_input": "500\n",
    f"{NANO}/rail_name_1": "POM_5V_GPU\n",
    f"{NANO}/in_power1_input": "40\n",
    f"{NANO}/rail_name_2": "POM_5V_CPU\n",
    f"{NANO}/in_power2_input": "800\n",
}

ORIN = "/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
JETPACK5 = {
    f"{ORIN}/samples": "512\n",
    f"{ORIN}/update_interval": "430\n",
    f"{ORIN}/in1_label": "VDD_IN\n",
    f"{ORIN}/in1_input": "5000\n",
    f"{ORIN}/curr1_input": "1200\n",
    f"{ORIN}/shunt1_resistor": "5000\n",
    f"{ORIN}/in2_label": "VDD_CPU_GPU_CV\n",
    f"{ORIN}/in2_input": "5000\n",
    f"{ORIN}/curr2_input": "400\n",
    f"{ORIN}/in3_label": "VDD_SOC\n",
    f"{ORIN}/in3_input": "5000\n",
    f"{ORIN}/curr3_input": "200\n",
    f"{ORIN}/in4_input": "6\n",
    f"{ORIN}/curr4_input": "1800\n",
    f"{ORIN}/in7_label": "sum of shunt voltages\n",
    f"{ORIN}/in7_input": "9\n",
}


def rails(root: Path) -> list[str]:
    (description,) = ina3221.describe(str(root), {})
    return [channel["name"] for channel in description["channels"]]


def test_jetpack4_rails_are_read_in_watts(tree: Tree) -> None:
    root = str(tree(JETPACK4))
    sensor = ina3221.open_sensor(root, {}, ["POM_5V_IN", "POM_5V_CPU"])
    assert sensor.channels == ["POM_5V_IN", "POM_5V_CPU"]
    assert sensor.read() == [2.5, 0.8]
    (description,) = ina3221.describe(root, {})
    assert description["lag_s"] is None  # this layout does not tell the averaging
    assert description["problem"] is None


def test_jetpack4_takes_the_shunt_from_the_device_tree(tree: Tree) -> None:
    root = tree(JETPACK4)
    for number, cell in ((0, b"\0\0\0\5"), (2, b"\0\0\0\0")):
        channel = root / NANO.lstrip("/") / f"../of_node/channel@{number}"
        channel.resolve().mkdir(parents=True)
        (channel / "ti,shunt-resistor-mohm").write_bytes(cell)
    (description,) = ina3221.describe(str(root), {})
    steps_w = [channel["resolution_w"] for channel in description["channels"]]
    # 40 µV across 5 mΩ are 8 mA, at 5 V; the others have no shunt, or none of any use.
    assert steps_w == [pytest.approx(0.040), None, None]


def test_jetpack5_power_is_voltage_times_current_of_the_three_rails_only(tree: Tree) -> None:
    root = tree(JETPACK5)
    assert rails(root) == ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]
    assert ina3221.open_sensor(str(root), {}, ["VDD_IN"]).read() == [6.0]


def test_jetpack5_tells_lag_and_resolution(tree: Tree) -> None:
    (description,) = ina3221.describe(str(tree(JETPACK5)), {})
    assert description["samples"] == 512
    assert description["update_interval_ms"] == 430
    assert description["lag_s"] == pytest.approx(0.43)
    first, second, _ = description["channels"]
    assert first["resolution_w"] == pytest.approx(0.040)  # 8 mA at 5 V
    assert second["resolution_w"] is None  # no shunt told


def test_values_follow_the_file_while_it_stays_open(tree: Tree) -> None:
    sensor = ina3221.open_sensor(str(tree(JETPACK5)), {}, ["VDD_IN"])
    assert sensor.read() == [6.0]
    tree({f"{ORIN}/curr1_input": "900\n"})
    assert sensor.read() == [4.5]


def test_a_failed_read_is_a_gap_and_the_next_one_recovers(tree: Tree) -> None:
    root = tree(JETPACK5)
    sensor = ina3221.open_sensor(str(root), {}, ["VDD_IN", "VDD_SOC"])
    current = root / f"{ORIN}/curr1_input".lstrip("/")
    current.write_text("")
    assert sensor.read() == [None, 1.0]
    current.unlink()
    assert sensor.read() == [None, 1.0]
    current.write_text("1000\n")
    assert sensor.read() == [5.0, 1.0]


def test_hwmon_numbers_do_not_matter(tree: Tree) -> None:
    root = tree(JETPACK5)
    folder = root / ORIN.lstrip("/")
    folder.rename(folder.with_name("hwmon5"))
    assert ina3221.open_sensor(str(root), {}, ["VDD_IN"]).read() == [6.0]


def test_rails_without_labels_are_named_by_chip_and_channel(tree: Tree) -> None:
    unlabelled = {k: v for k, v in JETPACK5.items() if "label" not in k}
    assert rails(tree(unlabelled)) == ["chip-0x40 ch1", "chip-0x40 ch2", "chip-0x40 ch3"]


def test_labels_that_occur_twice_are_told_apart_by_chip(tree: Tree) -> None:
    other = {
        k.replace("1-0040/hwmon/hwmon3", "1-0041/hwmon/hwmon4"): v for k, v in JETPACK5.items()
    }
    names = rails(tree({**JETPACK5, **other}))
    assert len(set(names)) == 6
    assert "chip-0x41 VDD_IN" in names


def test_unconnected_and_disabled_channels_are_left_out(tree: Tree) -> None:
    changes = {f"{ORIN}/in2_label": "NC\n", f"{ORIN}/in3_enable": "0\n"}
    assert rails(tree({**JETPACK5, **changes})) == ["VDD_IN"]


def test_a_wrong_rail_is_refused_with_the_names_that_exist(tree: Tree) -> None:
    with pytest.raises(ValueError, match="POM_5V_IN"):
        ina3221.open_sensor(str(tree(JETPACK4)), {}, ["VDD_IN"])


def test_an_unreadable_rail_is_that_rail_s_problem_and_no_other_s(tree: Tree) -> None:
    (description,) = ina3221.describe(str(tree({**JETPACK5, f"{ORIN}/in3_input": ""})), {})
    problems = {rail["name"]: rail["problem"] for rail in description["channels"]}
    assert problems.pop("VDD_SOC") == "cannot be read"
    assert set(problems.values()) == {None}
    assert description["problem"] is None


def test_no_chip_no_sensor(tree: Tree) -> None:
    root = tree(JETPACK5)
    shutil.rmtree(root / "sys")
    assert ina3221.describe(str(root), {}) == []


@pytest.mark.parametrize(
    ("samples", "interval_ms", "lag_s"),
    [
        (512, 430, 0.43),  # NVIDIA: the interval holds all samples
        (512, 1, 0.430),  # mainline: one sweep of 0.84 ms, in whole milliseconds
        (16, 7, 0.1056),  # mainline: one sweep of 6.6 ms
        (1, 7, 0.007),
        (16, 14, None),  # both are possible
        (None, 430, None),
    ],
)
def test_lag_is_told_only_where_it_is_certain(
    samples: int | None, interval_ms: int, lag_s: float | None
) -> None:
    expected = None if lag_s is None else pytest.approx(lag_s, rel=0.01)
    assert ina3221.filter_lag_s(samples, interval_ms, 3) == expected
