"""Every board of the table, from its constructed tree through the agent's probe to the total."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from constructed import Chip, Described, Line, build, write
from descriptions import (
    AGX_ORIN,
    AGX_XAVIER_5,
    NANO,
    NX_LINES,
    ORIN_NANO,
    ORIN_NX,
    THOR,
    TX2,
    ina3221,
)
from expectations import TABLE, Expected

from bench.agent import probe
from bench.agent.sensors import SENSORS
from bench.boards import BOARDS, GENERIC, recognise
from bench.boards.jetpack import jetpack
from bench.config.power_settings import PowerSettings
from bench.power.choice import choose_power
from bench.records.power import PowerSource
from bench.records.status import Reason, Source, Status, Verdict
from bench.runtimes import RUNTIMES, graph_limits

REPOSITORY = Path(__file__).parents[2]


def choose(root: str, machine: str = "", **settings: Any) -> tuple[PowerSource | None, Verdict]:
    """What bench takes for the source on the board below ``root``."""
    board = recognise(probe.identify(root)["compatible"], machine)
    found = probe.sensors(root, {})
    return choose_power(board, found, PowerSettings(**settings), estimates=False)


def read_w(root: str, power: PowerSource) -> float:
    """One reading of the total, as the sampler takes it."""
    sensor = SENSORS[power.sensor].open_sensor(root, power.options, list(power.channels))
    return float(sum(sensor.read()))


@pytest.mark.parametrize(("board", "expected"), TABLE.values(), ids=TABLE)
def test_a_board_gives_the_right_rails_total_and_scope(
    tmp_path: Path, board: Described, expected: Expected
) -> None:
    root = build(tmp_path, board)
    assert recognise(probe.identify(root)["compatible"], board.machine).name == expected.name
    power, verdict = choose(root, board.machine)
    if expected.sensor is None:
        assert power is None
        assert verdict.reasons == (Reason.NO_SENSOR,)
        assert "no power sensor" in verdict.detail
        return
    assert power is not None, verdict.detail
    assert (power.sensor, power.total, power.scope) == (
        expected.sensor,
        expected.total,
        expected.scope,
    )
    assert power.source is expected.source
    assert power.resolution_w == (expected.step_w and pytest.approx(expected.step_w))
    if expected.source is Source.MEASURED:
        assert read_w(root, power) == pytest.approx(expected.watts, rel=1e-3)


@pytest.mark.parametrize(
    ("board", "expected"),
    [TABLE[name] for name in ("agx-orin", "orin-nx", "orin-nano")],
    ids=lambda each: each.name if isinstance(each, Expected) else "",
)
def test_the_boards_own_shunts_give_the_step_that_the_kernel_tells(
    tmp_path: Path, board: Described, expected: Expected
) -> None:
    root = build(tmp_path, board)
    for path in tmp_path.rglob("shunt*_resistor"):
        path.unlink(missing_ok=True)  # one folder is found by several names
    power, _ = choose(root)
    assert power is not None
    assert power.resolution_w == pytest.approx(expected.step_w)


@pytest.mark.python36
def test_python_3_6_finds_the_same_on_every_board(tmp_path: Path, python36: Path) -> None:
    roots = {name: build(tmp_path / name, board) for name, (board, _) in TABLE.items()}
    code = (
        "import json, sys\nfrom bench.agent import probe\n"
        "print(json.dumps({n: [probe.identify(r), probe.sensors(r, {})]"
        " for n, r in json.loads(sys.argv[1]).items()}))"
    )
    done = subprocess.run(
        [python36, "-c", code, json.dumps(roots)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name, (identity, sensors) in json.loads(done.stdout).items():
        board = recognise(identity["compatible"], TABLE[name][0].machine)
        power, _ = choose_power(board, sensors, PowerSettings(), estimates=False)
        assert (None if power is None else power.sensor) == TABLE[name][1].sensor
        assert (() if power is None else power.total) == TABLE[name][1].total


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_no_total_counts_a_rail_twice_or_leaves_one_out(board: Any) -> None:
    parents = {rail.name: rail.fed_by for rail in board.rails}
    assert set(board.total) <= set(parents)

    def above(name: str) -> list[str]:
        parent = parents[name]
        return [] if parent is None else [parent, *above(parent)]

    for name in parents:
        counted = [rail for rail in (name, *above(name)) if rail in board.total]
        assert len(counted) == 1, f"{name} counts {len(counted)} times in the total"


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_usual_runtimes_are_runtimes_and_a_total_has_a_scope(board: Any) -> None:
    assert set(board.runtimes) <= set(RUNTIMES)
    assert bool(board.total) == bool(board.scope)
    assert {rail.sensor for rail in board.rails} <= set(SENSORS)


def test_a_wrong_model_string_changes_nothing(tmp_path: Path) -> None:
    wrong = replace(ORIN_NANO, model="NVIDIA Jetson AGX Orin Developer Kit")
    root = build(tmp_path, wrong)
    assert recognise(probe.identify(root)["compatible"]).name == "jetson-orin-nano"


def test_a_model_string_alone_recognises_nothing(tmp_path: Path) -> None:
    root = build(tmp_path, replace(ORIN_NANO, compatible=("acme,box", "nvidia,tegra234")))
    board = recognise(probe.identify(root)["compatible"], "aarch64")
    assert board.name == "generic-arm"
    assert "Jetson that bench does not know" in board.note
    power, verdict = choose(root)
    assert power is None
    assert "VDD_IN" in verdict.detail and "power.total" in verdict.detail
    named, _ = choose(root, total=("VDD_IN",))
    assert named is not None and named.scope == "rails named in devices.yaml"


def test_a_custom_carrier_does_not_hide_the_module(tmp_path: Path) -> None:
    custom = replace(
        ORIN_NX, model="ACME Vision Box", compatible=("acme,vision", "nvidia,p3767-0000")
    )
    power, _ = choose(build(tmp_path, custom))
    assert power is not None and power.total == ("VDD_IN",)


def test_an_unknown_sku_of_a_known_module_is_taken_for_its_family_and_says_so(
    tmp_path: Path,
) -> None:
    odd = replace(ORIN_NX, compatible=("nvidia,p3768-0000+p3767-0009", "nvidia,tegra234"))
    root = build(tmp_path, odd)
    power, _ = choose(root)
    assert power is not None and power.total == ("VDD_IN",)
    assert "p3767-0009" in power.note and "check them" in power.note


def test_a_nano_2gb_in_the_skin_of_a_nano_is_not_read_from_rails_it_lacks(tmp_path: Path) -> None:
    """Wrong SKU in the device tree: the board has no chip, whatever it is called."""
    power, verdict = choose(build(tmp_path, replace(NANO, chips=())))
    assert power is None
    assert verdict.status is Status.UNMEASURED


def test_rails_that_do_not_fit_the_board_are_never_guessed(tmp_path: Path) -> None:
    """An AGX device tree on a board with the rails of an NX."""
    power, verdict = choose(
        build(tmp_path, replace(AGX_ORIN, chips=(ina3221("1-0040", *NX_LINES),)))
    )
    assert power is None
    assert "VDD_GPU_SOC" in verdict.detail


def test_missing_labels_give_channels_but_no_total(tmp_path: Path) -> None:
    bare = tuple(Line(None, line.millivolts, line.milliamperes) for line in NX_LINES)
    root = build(tmp_path, replace(ORIN_NANO, chips=(ina3221("1-0040", *bare),)))
    power, verdict = choose(root)
    assert power is None
    assert "chip-0x40 ch1" in verdict.detail
    named, _ = choose(root, total=("chip-0x40 ch1",))
    assert named is not None and read_w(root, named) == pytest.approx(5.048 * 1.2)


def test_hwmon_numbers_decide_nothing(tmp_path: Path) -> None:
    swapped = tuple(
        replace(chip, number=number)
        for chip, number in zip(AGX_XAVIER_5.chips, (9, 2), strict=True)
    )
    power, _ = choose(build(tmp_path, replace(AGX_XAVIER_5, chips=swapped)))
    assert power is not None and power.total == ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V")


def test_shunt_voltages_and_their_sum_are_no_rails(tmp_path: Path) -> None:
    found = {item["name"]: item for item in probe.sensors(build(tmp_path, ORIN_NX), {})}
    names = [channel["name"] for channel in found["ina3221"]["channels"]]
    assert names == ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]


def test_thor_without_its_input_monitor_has_no_total(tmp_path: Path) -> None:
    """A custom carrier may lack the INA238: the rails below it are not the whole."""
    power, verdict = choose(build(tmp_path, replace(THOR, chips=THOR.chips[:1])))
    assert power is None
    assert "ina2xx" in verdict.detail


def test_two_monitors_of_one_kind_are_told_apart_and_neither_is_taken_for_the_total(
    tmp_path: Path,
) -> None:
    chips = tuple(
        Chip("ina238", f"2-004{n}", (Line(None, 20000, 500 * n),), number=n) for n in (4, 5)
    )
    root = build(tmp_path, replace(THOR, chips=chips))
    power, verdict = choose(root)
    assert power is None
    assert "ina238 at 2-0044" in verdict.detail and "ina238 at 2-0045" in verdict.detail


def test_a_step_comes_from_the_boards_own_shunt_where_the_kernel_does_not_tell(
    tmp_path: Path,
) -> None:
    """JetPack 4 of the TX2: 40 µV over 5 mΩ are 8 mA, at 19 V; and not on the Nano, whose shunts
    are not known."""
    tx2, _ = choose(build(tmp_path / "tx2", TX2))
    nano, _ = choose(build(tmp_path / "nano", NANO))
    assert tx2 is not None and tx2.resolution_w == pytest.approx(0.152)
    assert nano is not None and nano.resolution_w is None


def test_a_machine_without_a_device_tree_is_known_by_its_processor() -> None:
    assert recognise([], "x86_64").name == "generic-x86"
    assert recognise([], "aarch64").name == "generic-arm"
    assert recognise([], "riscv64") is GENERIC


@pytest.mark.parametrize(
    ("l4t", "name", "python", "opset"),
    [
        ("32.6.1", "4.6", "3.6", 13),
        ("32.7.4", "4.6.1 or later 4.6", "3.6", 13),
        ("35.4.1", "5.1", "3.8", 17),
        ("36.3", "6", "3.10", None),
        ("38.2.0", "7", "3.12", None),
    ],
)
def test_a_release_of_l4t_tells_python_and_what_its_tensorrt_parses(
    l4t: str, name: str, python: str, opset: int | None
) -> None:
    line = jetpack(l4t)
    assert line is not None and (line.name, line.python) == (name, python)
    if opset is not None:
        assert graph_limits("tensorrt", line.tensorrt).opset == opset


@pytest.mark.parametrize("l4t", [None, "", "3", "32.5.1", "350.1"])
def test_other_releases_are_not_guessed(l4t: str | None) -> None:
    assert jetpack(l4t) is None


def test_nuls_blanks_and_broken_bytes_in_the_device_tree_do_no_harm(tmp_path: Path) -> None:
    root = build(tmp_path, ORIN_NANO)
    path = tmp_path / "proc/device-tree/compatible"
    path.write_bytes(b"\0\0nvidia,p3767-0005\0\xff\xfe\0 nvidia,tegra234 \0\0")
    assert recognise(probe.identify(root)["compatible"]).name == "jetson-orin-nano"
    write(tmp_path, "proc/device-tree/model", "\0\0")
    assert probe.identify(root)["model"] is None
