"""What a user without hardware relies on: `bench` on virtual boards, and the truth beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from board_program import RUN, BoardProgram
from virtual_board.board import Board
from virtual_board.build import build
from virtual_board.cli import main as command
from virtual_board.truth import WindowTruth, compare

from bench.store.reader import Run

pytestmark = [pytest.mark.virtual_board, pytest.mark.timeout(1200)]

WINDOW_S = 10.0
WAVEFORMS = {"constant": "const:6", "square": "square:4:10:1", "load-driven": "load:4:10"}
HWMON = "/sys/bus/i2c/drivers/ina3221/*-0040/hwmon/hwmon*"


@pytest.fixture(scope="module")
def boards() -> Iterator[tuple[Board, Board]]:
    """Two boards that are on at the same time."""
    made = build(print)
    pair = (Board(f"test-{os.getpid()}-a"), Board(f"test-{os.getpid()}-b"))
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda board: board.up(made), pair))
        yield pair
    finally:
        for board in pair:
            assert command(["down", "--forget", board.name]) == 0


@pytest.fixture
def bench(boards: tuple[Board, Board], tmp_path: Path) -> BoardProgram:
    """`bench` with the first of them."""
    program = BoardProgram(tmp_path, board=boards[0], sensor="auto")
    program.write_devices()
    return program


@pytest.fixture(scope="module")
def runs(
    boards: tuple[Board, Board], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Run, list[WindowTruth]]]:
    """A run on each waveform, with its energy rounds beside the truth; two runs at a time."""

    def measure(board: Board, names: list[str]) -> dict[str, tuple[Run, list[WindowTruth]]]:
        found = {}
        for name in names:
            bench = BoardProgram(tmp_path_factory.mktemp(name), board=board, sensor="auto")
            bench.write_devices()
            bench.plan("one", energy_window_s=WINDOW_S, settle_s=0.5)
            assert command(["power", board.name, WAVEFORMS[name]]) == 0
            done = bench.run(*RUN)
            assert done.returncode == 0, done.stderr
            run = bench.the_run()
            found[name] = (run, compare(run, board))
        return found

    with ThreadPoolExecutor() as pool:
        one, two = pool.map(measure, boards, (["constant", "load-driven"], ["square"]))
    return {**one, **two}


def power_w(board: Board) -> float:
    """Mean power of the input rail over two seconds, as the kernel's driver shows it."""
    command = f"cd {HWMON} && for n in $(seq 20); do cat in1_input curr1_input; sleep 0.1; done"
    numbers = [int(word) for word in board.way.run(command).stdout.split()]
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    return sum(millivolt * milliampere for millivolt, milliampere in pairs) / len(pairs) / 1e6


def test_bench_finds_an_aarch64_jetson_that_says_that_it_is_virtual(bench: BoardProgram) -> None:
    facts = bench.json("devices", "probe", "board")
    assert facts["os"]["machine"] == "aarch64"
    assert "nvidia,p3767-0005" in facts["board"]["compatible"]
    assert "Jetson Orin Nano" in facts["board"]["model"]
    assert "virtual board" in facts["board"]["model"]
    assert facts["runtimes"]["onnxruntime"]["problem"] is None
    (sensor,) = [sensor for sensor in facts["sensors"] if sensor["name"] == "ina3221"]
    assert sensor["problem"] is None
    names = [channel["name"] for channel in sensor["channels"]]
    assert names == ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]


def test_the_rails_come_from_the_kernels_own_driver(bench: BoardProgram) -> None:
    assert bench.on_board("uname -m").strip() == "aarch64"
    assert "ina3221 " in bench.on_board("cat /proc/modules")
    found = bench.on_board(f"cd {HWMON} && cat name in1_label in2_label in3_label")
    assert found.split() == ["ina3221", "VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]


def test_two_boards_at_once_draw_what_each_was_told(boards: tuple[Board, Board]) -> None:
    boot_ids = {board.read("/proc/sys/kernel/random/boot_id") for board in boards}
    assert len(boot_ids) == 2
    for first_w, second_w in ((3, 8), (12, 5)):
        for board, watts in zip(boards, (first_w, second_w), strict=True):
            assert command(["power", board.name, f"const:{watts}"]) == 0
        found = [power_w(board) for board in boards]
        assert found == pytest.approx([first_w, second_w], rel=0.01)


def test_a_wrong_waveform_is_refused_in_words(
    boards: tuple[Board, Board], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["power", boards[0].name, "sine:4:10"]) == 2
    assert "no waveform 'sine:4:10'" in capsys.readouterr().err


def test_a_board_keeps_its_disk_and_its_waveform_when_it_is_off(
    boards: tuple[Board, Board],
) -> None:
    board = boards[1]
    assert command(["power", board.name, "const:7"]) == 0
    board.way.run("echo kept > /root/file && sync")
    assert command(["down", board.name]) == 0
    assert board.pid is None
    assert command(["up", board.name]) == 0
    assert board.read("/root/file") == b"kept\n"
    assert power_w(board) == pytest.approx(7, rel=0.01)


@pytest.mark.parametrize("name", WAVEFORMS)
def test_reported_energy_is_the_injected_one(
    runs: dict[str, tuple[Run, list[WindowTruth]]], name: str
) -> None:
    _, windows = runs[name]
    assert len(windows) == 2
    for window in windows:
        assert window.span_s == pytest.approx(WINDOW_S)
        assert abs(window.error) < 0.01, window


def test_a_run_on_a_virtual_board_shows_that_it_is_one(
    runs: dict[str, tuple[Run, list[WindowTruth]]],
) -> None:
    run, _ = runs["load-driven"]
    (trial,) = run.trials
    assert trial.latency is not None and trial.energy is not None
    assert trial.energy.source == "measured"
    assert trial.energy.scope == "emulated module"
    # Idle, and then a worker on the only CPU that leaves some of it to the injector.
    assert trial.energy.idle_w == pytest.approx(4, abs=0.3)
    assert 8 < trial.energy.power_w < 10
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "virtual board" in page and "emulated module" in page
