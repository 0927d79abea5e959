"""Facts of boards that no rail depends on: ids, gain error, what sets their state, what tells that
they throttle. Expected values are those of public sources, written down apart from bench's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from constructed import Described, build, write
from expectations import TABLE, Expected

from bench.agent import clocks, health, privilege
from bench.agent.sensors import rpi_pmic
from bench.boards import BOARDS, GENERIC, recognise

JETSON = ("nvpmodel", "jetson_clocks", "cpufreq")
CPU = ("cpufreq",)
EVENTS = {"oc1", "oc2", "oc3", "cpu-throttle-alert", "gpu-throttle-alert"}
BITS = ("under-voltage", "clock capped by the firmware", "throttled by the firmware", "too hot")
FIRMWARE = {*BITS, *(f"{bit} since boot" for bit in BITS)}

# Name: gain error, what sets the state, words of what tells throttling, and what is read of it.
FACTS: dict[str, tuple[float | None, tuple[str, ...], tuple[str, ...], set[str]]] = {
    "jetson-nano": (0.05, JETSON, ("clocks only",), set()),
    "jetson-nano-2gb": (None, JETSON, ("clocks only",), set()),
    "jetson-tx2": (0.05, JETSON, ("clocks only",), set()),
    "jetson-tx2-nx": (0.05, JETSON, ("clocks only",), set()),
    "jetson-xavier-nx": (0.05, JETSON, ("soctherm_oc", "-throttle-alert"), EVENTS),
    "jetson-agx-xavier": (0.05, JETSON, ("soctherm_oc", "-throttle-alert"), EVENTS),
    "jetson-orin-nano": (0.05, JETSON, ("soctherm_oc", "-throttle-alert"), EVENTS),
    "jetson-orin-nx": (0.05, JETSON, ("soctherm_oc", "-throttle-alert"), EVENTS),
    "jetson-agx-orin": (0.05, JETSON, ("soctherm_oc", "-throttle-alert"), EVENTS),
    "jetson-agx-thor": (None, JETSON, ("soctherm_oc", "-throttle-alert"), EVENTS),
    "raspberry-pi-5": (None, CPU, ("get_throttled",), FIRMWARE),
    "raspberry-pi-4": (None, CPU, ("get_throttled",), FIRMWARE),
    "raspberry-pi-3": (None, CPU, ("get_throttled",), FIRMWARE),
    "raspberry-pi": (None, CPU, ("get_throttled",), FIRMWARE),
    "generic-arm": (None, CPU, (), set()),
    "generic-x86": (None, CPU, (), set()),
}
IDS = {
    "nvidia,p3450-0000": "jetson-nano",
    "nvidia,p3450-0002": "jetson-nano",
    "nvidia,p3448-0000": "jetson-nano",
    "nvidia,p3448-0002": "jetson-nano",
    "nvidia,jetson-nano": "jetson-nano",
    "nvidia,p3542-0000+p3448-0003": "jetson-nano-2gb",
    "nvidia,jetson-nano-2gb": "jetson-nano-2gb",
    "nvidia,p2771-0000": "jetson-tx2",
    "nvidia,p3489-0000": "jetson-tx2",
    "nvidia,p3489-0888": "jetson-tx2",
    "nvidia,p2597-0000+p3310-1000": "jetson-tx2",
    "nvidia,p3509-0000+p3636-0001": "jetson-tx2-nx",
    "nvidia,p2972-0000": "jetson-agx-xavier",
    "nvidia,p2972-0006": "jetson-agx-xavier",
    "nvidia,p2822-0000+p2888-0001": "jetson-agx-xavier",
    "nvidia,p3449-0000+p3668-0000": "jetson-xavier-nx",
    "nvidia,p3509-0000+p3668-0000": "jetson-xavier-nx",
    "nvidia,p3509-0000+p3668-0001": "jetson-xavier-nx",
    "nvidia,p3509-0000+p3668-0003": "jetson-xavier-nx",
    "nvidia,p3737-0000+p3701-0000": "jetson-agx-orin",
    "nvidia,p3737-0000+p3701-0004": "jetson-agx-orin",
    "nvidia,p3737-0000+p3701-0005": "jetson-agx-orin",
    "nvidia,p3768-0000+p3767-0000": "jetson-orin-nx",
    "nvidia,p3768-0000+p3767-0001": "jetson-orin-nx",
    "nvidia,p3509-0000+p3767-0001": "jetson-orin-nx",
    "nvidia,p3768-0000+p3767-0003": "jetson-orin-nano",
    "nvidia,p3768-0000+p3767-0004": "jetson-orin-nano",
    "nvidia,p3768-0000+p3767-0005": "jetson-orin-nano",
    "nvidia,p3509-0000+p3767-0003": "jetson-orin-nano",
    "nvidia,p4071-0000+p3834-0008": "jetson-agx-thor",
    "raspberrypi,5-model-b": "raspberry-pi-5",
    "raspberrypi,5-compute-module": "raspberry-pi-5",
    "raspberrypi,500": "raspberry-pi-5",
    "raspberrypi,4-model-b": "raspberry-pi-4",
    "raspberrypi,400": "raspberry-pi-4",
    "raspberrypi,3-model-b-plus": "raspberry-pi-3",
    "raspberrypi,model-zero-2-w": "raspberry-pi",
}
# Their kernels could count more than those of JetPack 4 show.
NEWEST = {name: each for name, each in TABLE.items() if not name.endswith("-jetpack4")}


@pytest.mark.parametrize(("identity", "name"), IDS.items(), ids=str)
def test_a_known_module_is_known_by_each_of_its_ids(identity: str, name: str) -> None:
    board = recognise([identity])
    assert board.name == name
    # An SKU that bench does not know is taken for its family with such a note.
    assert "bench knows" not in board.note


@pytest.mark.parametrize(("name", "facts"), FACTS.items(), ids=lambda value: str(value)[:20])
def test_what_is_known_of_a_board(
    name: str, facts: tuple[float | None, tuple[str, ...], tuple[str, ...], set[str]]
) -> None:
    (board,) = (board for board in BOARDS if board.name == name)
    gain_error, state, words, _ = facts
    assert (board.gain_error, board.state) == (gain_error, state)
    assert len(board.throttle) == len(words)
    assert all(word in said for word, said in zip(words, board.throttle, strict=True))


def test_every_board_is_held_against_something() -> None:
    assert {board.name for board in BOARDS if not board.emulated} == set(FACTS)
    assert {expected.name for _, expected in TABLE.values()} == set(FACTS)
    assert set(IDS.values()) == {name for name in FACTS if "generic" not in name}
    assert GENERIC.state == CPU


@pytest.mark.parametrize(("described", "expected"), NEWEST.values(), ids=NEWEST)
def test_the_agent_finds_what_a_board_says_that_it_has(
    tmp_path: Path, described: Described, expected: Expected
) -> None:
    """What sets its state, and what tells throttling: the agent looks for the same everywhere."""
    root = build(tmp_path, described)
    board = recognise(described.compatible, described.machine)
    commands = [name for name in JETSON[:2] if privilege.find_command(root, name)]
    assert (*commands, *(CPU if clocks.snapshot(root) else ())) == board.state
    counts = health.throttle_counts(root)
    assert set(counts) == FACTS[expected.name][3]
    assert bool(counts) == (board.throttle != () and "clocks only" not in board.throttle[0])


def test_the_power_chip_is_looked_for_on_just_the_boards_that_have_it(tmp_path: Path) -> None:
    """The agent knows them by itself, since it cannot import what bench knows of boards."""
    for number, (identity, name) in enumerate(IDS.items()):
        root = tmp_path / str(number)
        write(root, "proc/device-tree/compatible", identity + "\0")
        assert bool(rpi_pmic.describe(str(root), {})) == (name == "raspberry-pi-5"), identity
    (board,) = (board for board in BOARDS if board.name == "raspberry-pi-5")
    assert set(rpi_pmic.BOARDS) == set(board.compatible)
