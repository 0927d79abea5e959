"""sysfs, procfs and traces with anything in them: a value, nothing, or a problem in one line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fuzzing import fuzz
from hypothesis import given
from hypothesis import strategies as st

from bench.agent import clocks, cooldown, cpu, health, power_mode, probe, sysfs, wire
from bench.agent.privilege import StateProblem
from bench.agent.sensors import (
    battery,
    command,
    estimate,
    ina2xx,
    ina3221,
    jtop,
    rapl,
    replay,
    rpi_pmic,
)

CHIP = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
OLD_CHIP = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
MONITOR = "sys/class/hwmon/hwmon2"
BATTERY = "sys/class/power_supply/BAT0"
ZONE = "sys/class/powercap/intel-rapl:0"
POLICY = "sys/devices/system/cpu/cpu0/cpufreq"
GOOD = {
    f"{CHIP}/in1_label": "VDD_IN\n",
    f"{CHIP}/in1_input": "5000\n",
    f"{CHIP}/curr1_input": "800\n",
    f"{CHIP}/in1_enable": "1\n",
    f"{CHIP}/shunt1_resistor": "5000\n",
    f"{CHIP}/curr2_input": "100\n",
    f"{CHIP}/in2_label": "VDD_SOC\n",
    f"{CHIP}/samples": "16\n",
    f"{CHIP}/update_interval": "7\n",
    f"{OLD_CHIP}/rail_name_0": "VDD_IN\n",
    f"{OLD_CHIP}/in_power0_input": "2500\n",
    f"{ZONE}/name": "package-0\n",
    f"{ZONE}/energy_uj": "123456\n",
    f"{ZONE}/max_energy_range_uj": "262143328850\n",
    f"{ZONE}:0/name": "dram\n",
    f"{ZONE}:0/energy_uj": "99\n",
    f"{ZONE}:0/max_energy_range_uj": "65532610987\n",
    "sys/class/thermal/thermal_zone0/type": "CPU-therm\n",
    "sys/class/thermal/thermal_zone0/temp": "41500\n",
    "sys/class/thermal/cooling_device0/type": "cpu-throttle-alert\n",
    "sys/class/thermal/cooling_device0/cur_state": "0\n",
    "sys/class/hwmon/hwmon1/name": "soctherm_oc\n",
    "sys/class/hwmon/hwmon1/oc1_event_cnt": "0\n",
    f"{MONITOR}/name": "ina226\n",
    f"{MONITOR}/in1_label": "5V\n",
    f"{MONITOR}/in1_input": "5000\n",
    f"{MONITOR}/curr1_input": "700\n",
    f"{MONITOR}/power1_input": "3500000\n",
    f"{MONITOR}/shunt_resistor": "10000\n",
    f"{MONITOR}/update_interval": "36\n",
    f"{BATTERY}/type": "Battery\n",
    f"{BATTERY}/status": "Discharging\n",
    f"{BATTERY}/voltage_now": "12000000\n",
    f"{BATTERY}/current_now": "-1500000\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50001\n",
    f"{POLICY}/scaling_cur_freq": "1200000\n",
    f"{POLICY}/scaling_min_freq": "115200\n",
    f"{POLICY}/scaling_max_freq": "1984000\n",
    f"{POLICY}/scaling_governor": "schedutil\n",
    "proc/loadavg": "0.52 0.58 0.59 1/489 12345\n",
    "proc/meminfo": "MemTotal: 4000 kB\nMemAvailable: 2000 kB\n",
    "proc/stat": "cpu 10 0 10 80 0 0 0 0 0 0\ncpu0 10 0 10 80 0 0 0 0 0 0\n",
    "proc/cpuinfo": "model name : Fine CPU\n",
    "proc/device-tree/model": "NVIDIA Jetson\0",
    "proc/device-tree/compatible": "nvidia,p3450\0nvidia,tegra210\0",
    "etc/os-release": 'PRETTY_NAME="Some Linux"\n',
    "etc/nv_tegra_release": "# R32 (release), REVISION: 7.1, GCID: 1\n",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\n",
}
FOLDER, LOOP, MISSING = "<folder>", "<loop>", "<missing>"
CONTENTS = st.one_of(
    st.sampled_from([FOLDER, LOOP, MISSING]),
    st.sampled_from(
        [
            b"",
            b"\n",
            b"\0\0",
            b"-1\n",
            b"0",
            b"1_0",
            "²³".encode(),
            "１２".encode(),
            b"nan",
            b"inf 1 1",
            b"1e9",
            b"9" * 18,
            b"9" * 40,
            b"9" * 5000,
            b"-" + b"9" * 400,
            b"<unknown>",
            b"\xff\xfe",
            b"x" * 100_000,
            b"\x1b[2J<script>\n../../x\n",
            b"cpu -1 x",
            b"cpu 1",
            b"cpu 1 2 3 4\ncpu",
            b"MemTotal:\nMemAvailable: many kB",
            b"MemTotal: " + b"9" * 400,
            b"R1 " * 30_000,
            b"package-0\0\n",
            b"dram",
            b"NC",
        ]
    ),
    st.binary(max_size=20),
    st.integers().map(lambda value: str(value).encode()),
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "root"
    shutil.rmtree(tmp_path / "root", ignore_errors=True)


def made(root: Path, changes: dict[str, Any]) -> str:
    """A board with some of its files changed."""
    shutil.rmtree(root, ignore_errors=True)
    for name, content in {**GOOD, **changes}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content == FOLDER:
            path.mkdir()
        elif content == LOOP:
            path.symlink_to(path.name)
        elif content != MISSING:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(root)


def storable(value: Any) -> None:
    """What is told can be journalled, and comes back as it was."""
    record = {"kind": "x", "value": value}
    (found,), problems = wire.decode_records(wire.encode_record(record))
    assert problems == [] and len(str(found)) < 100_000
    for text in strings(found["value"]):
        assert len(text) <= 400 and "\n" not in text


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


@fuzz(40)
@given(changes=st.dictionaries(st.sampled_from(sorted(GOOD)), CONTENTS, min_size=1, max_size=8))
def test_any_board_is_described_and_read(folder: Path, changes: dict[str, Any]) -> None:
    root = made(folder, changes)
    options = {"estimate": {"idle_w": 1.0, "busy_w": 2.0}}
    found = probe.sensors(root, options)
    storable(found)
    assert all(sensor["problem"] or sensor["read_s"] is not None for sensor in found)
    for sensor in (ina3221, ina2xx, battery, rapl, estimate):
        try:
            opened = sensor.open_sensor(root, options["estimate"], [])
        except (OSError, ValueError) as error:
            assert "\n" not in str(error)
            continue
        values = opened.read()
        storable(values)
        assert len(values) == len(opened.channels) == len(set(opened.channels))
        shutil.rmtree(folder)
        assert len(opened.read()) == len(values)
        made(folder, changes)
    for facts in (
        health.read_health(root),
        health.read_briefly(root),
        probe.identify(root),
        probe.operating_system(root),
        probe.cpu_model(root),
        cpu.read_times(root),
        cooldown.hottest_c(root),
        {str(number): name for number, name in power_mode.modes(root).items()},
    ):
        storable(facts)


@fuzz(200)
@given(line=st.one_of(st.binary(max_size=60), st.text("0123456789.-+e naif,", max_size=40)))
def test_any_line_of_a_meter_is_a_reading_or_nothing(line: bytes | str) -> None:
    meter = command.Meter(["true"])
    meter._add(line if isinstance(line, bytes) else line.encode(), 0.0)
    storable([[t_s, values] for t_s, values in meter._ready])
    storable(meter._odd)
    meter.close()


@fuzz(200)
@given(text=st.text("VDD_COREAX 0123456789=.()VA\n", max_size=200))
def test_any_answer_of_vcgencmd_is_a_power_or_none(text: str) -> None:
    storable(rpi_pmic.power_w(text))


RAIL = st.dictionaries(
    st.sampled_from(["power", "cur", "avg", "name", "volt"]),
    st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=5), st.booleans()),
)
RAILS = st.dictionaries(st.text(max_size=8), RAIL, max_size=4)


@fuzz(200)
@given(power=st.one_of(st.fixed_dictionaries({"rail": RAILS, "tot": RAIL}), st.tuples(RAIL, RAILS)))
def test_any_power_of_jtop_is_rails_in_watts(power: Any) -> None:
    rails_w = jtop.rails_w(power)
    storable(rails_w)
    assert all(isinstance(watts, float) for watts in rails_w.values())


@fuzz(40)
@given(
    first=st.dictionaries(st.sampled_from(sorted(GOOD)), CONTENTS, max_size=4),
    then=st.dictionaries(st.sampled_from(sorted(GOOD)), CONTENTS, max_size=4),
)
def test_clocks_of_any_board(folder: Path, first: dict[str, Any], then: dict[str, Any]) -> None:
    root = made(folder, first)
    policies = clocks.snapshot(root)
    made(folder, then)
    clocks.differences(root, policies)
    clocks.unpinned(root)
    clocks.other_governors(root, "performance")
    try:
        clocks.pin(root)
        clocks.restore(root, policies, None)
    except StateProblem as problem:
        assert "\n" not in problem.text


@fuzz(120)
@given(
    content=st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [
                b"",
                b"t_s,a\n0,1\n",
                b"t_s,a,a\n0,1,2\n",
                b"t_s,a\n0,nan\n",
                b"t_s,a\n0,1\n0,2\n",
                b"t_s,a\n0," + b"9" * 200_000,
                b'{"t_s": [0], "a": [1e400]}',
                b'{"t_s": [0, ' + b"9" * 400 + b'], "a": [1, 2]}',
                b'{"t_s": "x"}',
                b'{"a": ' + b"[" * 100_000,
                b"\xff",
                b"t_s,\n0,\n",
            ]
        ),
        st.text("t_sab,0123456789.-\n\"'{}[]: ", max_size=60).map(str.encode),
    ),
    loop=st.booleans(),
)
def test_any_trace(tmp_path: Path, content: bytes, loop: bool) -> None:
    path = tmp_path / "trace"
    path.write_bytes(content)
    options = {"path": str(path), "loop": loop}
    (described,) = replay.describe("/", options)
    storable(described)
    if described["problem"] is None:
        storable(replay.open_sensor("/", options, []).read())


def test_two_chips_of_one_address_lose_no_rail(folder: Path) -> None:
    other = {name.replace("1-0040", "7-0040"): text for name, text in GOOD.items()}
    found = ina3221.describe(made(folder, other), {})[0]
    names = [channel["name"] for channel in found["channels"]]
    assert len(names) == len(set(names)) == 5


def test_a_counter_that_reads_beyond_its_range_is_a_failed_read(folder: Path) -> None:
    root = made(folder, {})
    counter = rapl.open_sensor(root, {}, ["package-0"])
    path = Path(root) / ZONE / "energy_uj"
    for text, joules in (("9" * 17, None), ("-5", None), ("1123456", 1.0)):
        path.write_text(text)
        assert counter.read() == [joules]


def test_numbers_are_read_as_they_are_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "value"
    for text, value in (("42\n", 42), (" -7", -7), ("5\0", 5), ("1_0", None), ("4 2", None)):
        path.write_text(text)
        assert sysfs.read_int(str(path)) == value
