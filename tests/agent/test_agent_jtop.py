"""Rails by way of jtop: the real client library of jetson-stats against its own manager.

Only the service's main loop is a stand-in (jtop_service.py). jetson-stats 4.3.2 came through the
same tests once, by hand (it does not know Thor's INA238).
"""

from __future__ import annotations

import builtins
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jtop_service
import pytest
from constructed import Described, build
from descriptions import AGX_ORIN, AGX_XAVIER_5, NANO, ORIN_NANO, THOR, TX2
from jtop import service as library_service

from bench.agent import probe
from bench.agent.sensors import jtop
from bench.boards import recognise
from bench.config.power_settings import PowerSettings
from bench.power.choice import choose_power

Serve = Callable[[Described], str]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Builds a board's tree with jtop's socket in it and serves its power there."""
    folder = Path(tempfile.mkdtemp(prefix="jt"))  # short: a socket's path has 107 characters
    processes: list[subprocess.Popen[str]] = []

    def serve(board: Described) -> str:
        root = build(folder, board)
        (folder / "run").mkdir()
        path = folder / jtop.SOCKET.lstrip("/")
        monkeypatch.setattr(library_service, "JTOP_PIPE", str(path))
        process = subprocess.Popen(
            [sys.executable, jtop_service.__file__, str(path), root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None and process.stdout.readline() == "serving\n"
        serve.process = process  # type: ignore[attr-defined]
        return root

    yield serve
    for process in processes:
        process.kill()
        process.communicate()
    shutil.rmtree(folder)


def test_the_real_client_tells_the_rails_and_the_board_says_which_are_the_total(
    served: Serve,
) -> None:
    root = served(AGX_ORIN)
    found = [item for item in probe.sensors(root, {}) if item["name"] == "jtop"]
    assert found[0]["problem"] is None
    assert found[0]["refresh_s"] == jtop_service.INTERVAL_S
    board = recognise(probe.identify(root)["compatible"])
    power, _ = choose_power(board, found, PowerSettings(sensor="jtop"), estimates=False)
    assert power is not None
    assert power.total == ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")
    assert power.scope == "module"
    assert "total is not used" in power.note
    sensor = jtop.open_sensor(root, {}, list(power.channels))
    try:
        first = sensor.take()
        assert [round(sum(values), 2) for _, values in first[:1]] == [round(19.8 * 0.3 + 4.038, 2)]
        deadline_s = time.monotonic() + 10
        while not (later := sensor.take()):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        assert later[0][0] > first[-1][0]  # each update has its own time
    finally:
        sensor.close()


def test_a_service_that_dies_is_a_gap_and_not_its_last_value_for_ever(served: Serve) -> None:
    root = served(ORIN_NANO)
    sensor = jtop.open_sensor(root, {}, ["VDD_IN"])
    sensor.take()
    served.process.kill()  # type: ignore[attr-defined]
    deadline_s = time.monotonic() + 10
    values: list[Any] = []
    while [None] not in values:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
        values += [taken for _, taken in sensor.take()]
    sensor.close()


@pytest.mark.parametrize(
    ("described", "right_w", "jtops_w"),
    [
        # VIN_SYS_5V0 feeds VDDQ_VDD2_1V8AO: jtop adds both.
        (AGX_ORIN, 19.8 * 0.3 + 5.048 * 0.8, 19.8 * 0.3 + 5.048 * 1.1),
        (THOR, 30.0, 30.0),
    ],
)
def test_jtops_own_total_is_not_the_boards(
    tmp_path: Path, described: Described, right_w: float, jtops_w: float
) -> None:
    """The mistake is made by jetson-stats' own code, and ours is not it."""
    build(tmp_path, described)
    power = jtop_service.power_service(tmp_path).get_status()
    assert power["tot"]["power"] / 1e3 == pytest.approx(jtops_w, rel=2e-3)
    rails_w = jtop.rails_w(power)
    total = recognise(described.compatible).total
    assert sum(rails_w[name] for name in total) == pytest.approx(right_w, rel=2e-3)


def test_rails_keep_their_names_whether_jtop_takes_them_for_the_total_or_not(
    tmp_path: Path,
) -> None:
    build(tmp_path, ORIN_NANO)
    power = jtop_service.power_service(tmp_path).get_status()
    assert "VDD_IN" not in power["rail"]  # jetson-stats moves it into "tot"
    assert set(jtop.rails_w(power)) == {"VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"}


def jtop3(*rails: tuple[str, int]) -> tuple[dict[str, int], dict[str, Any]]:
    """What ``jtop.power`` is in jetson-stats 3: a rail with IN in its name becomes the total, and
    loses its name."""
    named = {name: {"cur": milliwatts, "avg": milliwatts} for name, milliwatts in rails}
    for name in named:
        if "IN" in name:
            return named.pop(name), named
    total = {key: sum(rail[key] for rail in named.values()) for key in ("cur", "avg")}
    return total, named


@pytest.mark.parametrize(
    ("board", "power", "watts"),
    [
        (NANO, jtop3(("5V IN", 2500), ("5V GPU", 40), ("5V CPU", 800)), 2.5),
        (TX2, jtop3(("SYS GPU", 380), ("IN", 4750), ("SYS CPU", 1140)), 4.75),
        (
            AGX_XAVIER_5,
            jtop3(("GPU", 1), ("CPU", 2), ("SOC", 3), ("CV", 4), ("VDDRQ", 5), ("SYS5V", 6)),
            0.021,
        ),
        # jetson-stats 3 takes VIN SYS 5V0 alone for the whole AGX Orin.
        (
            AGX_ORIN,
            jtop3(("GPU SOC", 3960), ("CPU CV", 1980), ("VIN SYS 5V0", 4038), ("DDQ", 1514)),
            9.978,
        ),
    ],
    ids=["nano", "tx2", "agx-xavier", "agx-orin"],
)
def test_the_nameless_total_of_jetson_stats_3_is_put_in_its_place(
    board: Described, power: Any, watts: float
) -> None:
    rails_w = jtop.rails_w(power)
    sensor = {
        "name": "jtop",
        "source": "measured",
        "unit": "W",
        "channels": [{"name": name, "resolution_w": None} for name in rails_w],
        "scope": None,
        "problem": None,
    }
    known = recognise(board.compatible)
    chosen, verdict = choose_power(known, [sensor], PowerSettings(), estimates=False)
    assert chosen is not None, verdict.detail
    assert sum(rails_w[name] for name in chosen.total) == pytest.approx(watts)


def test_a_missing_socket_is_explained(tmp_path: Path) -> None:
    root = build(tmp_path, ORIN_NANO)
    (found,) = (item for item in probe.sensors(root, {}) if item["name"] == "jtop")
    assert "/run/jtop.sock is missing" in found["problem"]
    assert "sudo systemctl enable --now jtop.service" in found["problem"]


def test_a_user_outside_the_group_is_told_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = build(tmp_path, ORIN_NANO)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/jtop.sock").touch()
    monkeypatch.setattr("os.access", lambda path, mode: False)  # tests run as root
    (found,) = jtop.describe(root, {})
    assert "usermod -aG jtop $USER" in found["problem"]


def test_a_dead_socket_is_explained_by_the_librarys_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = build(tmp_path, ORIN_NANO)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/jtop.sock").touch()
    monkeypatch.setattr(library_service, "JTOP_PIPE", str(tmp_path / "run/jtop.sock"))
    (found,) = jtop.describe(root, {})
    assert "jtop.service is not active" in found["problem"]
    assert "\n" not in found["problem"]


def test_a_service_that_hangs_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and never says a word, for which the library waits without end."""
    folder = Path(tempfile.mkdtemp(prefix="jt"))
    root = build(folder, ORIN_NANO)
    (folder / "run").mkdir()
    path = str(folder / "run/jtop.sock")
    monkeypatch.setattr(library_service, "JTOP_PIPE", path)
    monkeypatch.setattr(jtop, "CONNECT_S", 0.2)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(path)
        silent.listen()
        (found,) = jtop.describe(root, {})
    shutil.rmtree(folder)
    assert "jtop.service cannot be used: it does not answer within 0.2 s" in found["problem"]


def test_a_library_of_another_mind_costs_its_sensor_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = build(tmp_path, NANO)

    def other(*_: object) -> list[Any]:
        raise KeyError("power")

    monkeypatch.setattr(jtop, "describe", other)
    found = {each["name"]: each for each in probe.sensors(root, {})}
    assert found["jtop"]["problem"] == "KeyError: 'power'"
    assert found["ina3221"]["problem"] is None


@pytest.mark.parametrize(
    ("version", "pin"), [((3, 6, 9), "'jetson-stats<7'"), ((3, 8, 10), "jetson-stats")]
)
def test_a_missing_library_names_the_version_for_this_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], pin: str
) -> None:
    """jetson-stats 7 needs Python 3.7."""
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "jtop":
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(jtop.sys, "version_info", version)
    with pytest.raises(OSError, match="lacks its library") as caught:
        jtop._connect(str(tmp_path))
    assert str(caught.value).endswith(f"pip install {pin}")


@pytest.mark.parametrize(
    ("version", "service"),
    [("3.1.4", "jetson_stats"), ("4.0.0", "jetson_stats"), ("4.3.2", "jtop"), ("7.2.2", "jtop")],
)
def test_service_and_group_are_those_of_the_version(version: str, service: str) -> None:
    assert jtop._service(version) == (f"{service}.service", service)


def test_other_machines_are_not_told_of_jtop(tmp_path: Path) -> None:
    assert jtop.describe(str(tmp_path), {}) == []
