"""The two sensors that measure nothing: replayed traces and the estimate."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.agent.sensors import estimate, replay

Tree = Callable[[dict[str, str]], Path]


def read_at(sensor: replay.Replay, t_s: float, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the sensor reads ``t_s`` after its opening."""
    now_s = sensor._opened_s + t_s
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now_s)
        values: list[float] = sensor.read()
    return values


def test_replay_holds_each_value_until_the_next_and_the_last_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("t_s,VDD,CPU\n0,2,1\n0.5,,1\n1,6,3\n")
    sensor = replay.open_sensor("/", {"path": str(trace)}, ["VDD", "CPU"])
    assert read_at(sensor, 0.4, monkeypatch) == [2, 1]
    assert read_at(sensor, 0.6, monkeypatch) == [None, 1]
    assert read_at(sensor, 50.0, monkeypatch) == [6, 3]


def test_replay_loops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = tmp_path / "trace.json"
    trace.write_text(json.dumps({"t_s": [0, 1, 2], "VDD": [5, 7, 5]}))
    sensor = replay.open_sensor("/", {"path": str(trace), "loop": True}, [])
    assert [read_at(sensor, t, monkeypatch)[0] for t in (0.5, 1.5, 2.5, 3.5)] == [5, 7, 5, 7]


def test_a_replayed_trace_is_never_called_measured(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("t_s,VDD\n0,2\n")
    (description,) = replay.describe("/", {"path": str(trace)})
    assert description["source"] == "estimated"
    assert replay.describe("/", {}) == []


@pytest.mark.parametrize("text", ["", "t_s,VDD\n1,2\n", "t_s,VDD\n0,2\n0,3\n", "t_s\n0\n"])
def test_a_bad_trace_is_a_problem_not_a_crash(tmp_path: Path, text: str) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text(text)
    (description,) = replay.describe("/", {"path": str(trace)})
    assert str(trace) in description["problem"]
    with pytest.raises(ValueError, match="needs"):
        replay.open_sensor("/", {"path": str(trace)}, [])


def stat(busy_ticks: int, idle_ticks: int) -> dict[str, str]:
    return {"/proc/stat": f"cpu  {busy_ticks} 0 0 {idle_ticks} 0 0 0 0 0 0\ncpu0 1\ncpu1 1\n"}


def test_estimate_adds_busy_cpu_time_to_the_idle_power(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(tree(stat(1000, 1000)))
    sensor = estimate.open_sensor(root, {"idle_w": 2.0, "busy_w": 10.0}, [])
    opened_s = sensor._opened_s
    tree(stat(1000 + 100, 1000 + 100))  # 1 s with one of two CPUs busy
    monkeypatch.setattr(time, "monotonic", lambda: opened_s + 1.0)
    assert sensor.unit == "J"
    assert sensor.read() == [pytest.approx(2.0 + 8.0 / 2)]
    tree({"/proc/stat": ""})
    assert sensor.read() == [None]


def test_estimate_never_exceeds_the_power_of_all_cpus_busy(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(tree(stat(1000, 1000)))
    sensor = estimate.open_sensor(root, {"idle_w": 10.0, "busy_w": 30.0}, [])
    opened_s = sensor._opened_s
    # All CPUs are busy all the time, and ticks are counted late: 15 within the first 50 ms.
    counted = {0.05: 15, 0.1: 20, 0.2: 40}
    told = [0.0]
    for t_s, ticks in counted.items():
        tree(stat(1000 + ticks, 1000))
        monkeypatch.setattr(time, "monotonic", lambda t_s=t_s: opened_s + t_s)
        told += sensor.read()
    assert told == pytest.approx([0.0, 30 * 0.05, 30 * 0.1, 30 * 0.2])
    # What was carried over is not lost: a rest catches up on it.
    tree(stat(1000 + 90, 1000))
    monkeypatch.setattr(time, "monotonic", lambda: opened_s + 0.4)
    at_most_j = sensor.read()[0]
    tree(stat(1000 + 90, 1010))
    monkeypatch.setattr(time, "monotonic", lambda: opened_s + 0.5)
    assert at_most_j == pytest.approx(30 * 0.4)
    assert sensor.read()[0] == pytest.approx(10 * 0.5 + 20 * 90 / 100 / 2)


def test_estimate_needs_both_ends_of_its_model(tree: Tree) -> None:
    root = str(tree(stat(1, 1)))
    with pytest.raises(ValueError, match="busy_w"):
        estimate.open_sensor(root, {"idle_w": 2.0}, [])
    assert estimate.describe(root, {}) == []
    (description,) = estimate.describe(root, {"idle_w": 2.0, "busy_w": 4.0})
    assert (description["source"], description["problem"]) == ("estimated", None)


def test_estimate_says_when_cpu_time_is_not_counted(tree: Tree) -> None:
    root = str(tree({"/proc/stat": "cpu  0 0 0 0 0 0 0 0 0 0\n"}))
    (description,) = estimate.describe(root, {"idle_w": 2.0, "busy_w": 4.0})
    assert "/proc/stat" in description["problem"]
