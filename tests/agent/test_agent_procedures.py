"""What a procedure asks for, in whole jobs: stopping, loads, scenarios, sustained load, pauses."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from board_folder import PROCEDURE, BoardFolder, make_reference, tiny_model

Tree = Callable[[dict[str, str]], Path]
Record = dict[str, Any]

SHORT = {"latency_round_s": 0.01, "warmup_min_s": 0.05}


def of_kind(records: list[Record], kind: str, **fields: Any) -> list[Record]:
    wanted = {"kind": kind, **fields}
    return [r for r in records if all(r.get(key) == value for key, value in wanted.items())]


def test_rounds_go_on_until_the_limit(any_board: BoardFolder) -> None:
    changes = {**SHORT, "latency_rounds_max": 9, "target_ci": 1e-6}
    job = any_board.job([any_board.case("a"), any_board.case("b")], **changes)
    records = any_board.measure(job)
    (stopping,) = of_kind(records, "stopping")
    assert (stopping["reason"], stopping["rounds"]) == ("max-rounds", 9)
    assert set(stopping["half_widths"]) == {"a", "b"}
    assert min(stopping["half_widths"].values()) > 1e-6
    for case in "ab":
        indices = [r["index"] for r in of_kind(records, "round", case=case)]
        assert indices == list(range(9))
    orders = [r["case"] for r in of_kind(records, "round")]
    assert all(set(pair) == {"a", "b"} for pair in zip(orders[::2], orders[1::2], strict=True))


def test_rounds_end_when_the_target_is_met(board: BoardFolder) -> None:
    job = board.job([board.case("a")], **SHORT, latency_rounds_max=500, target_ci=0.4)
    (stopping,) = of_kind(board.measure(job), "stopping")
    assert stopping["reason"] == "target"
    assert stopping["rounds"] < 500
    assert stopping["half_widths"]["a"] <= 0.4


def test_rounds_end_when_the_time_is_up(board: BoardFolder) -> None:
    job = board.job([board.case("a")], **SHORT, max_time_s=0.5, target_ci=1e-6)
    (stopping,) = of_kind(board.measure(job), "stopping")
    assert stopping["reason"] in ("max-time", "settled")
    assert PROCEDURE["latency_rounds"] < stopping["rounds"] < 60


def test_stop_works_between_further_laps(board: BoardFolder) -> None:
    job = board.job([board.case("a")], **SHORT, latency_rounds_max=5000, target_ci=1e-6)
    board.start(job)
    board.wait_for(job, "round")
    assert board.ask("stop", job)["state"] == "finished"
    assert board.records(job)[-1]["reason"] == "stopped"


def test_a_case_that_is_lost_does_not_hold_up_the_others(board: BoardFolder) -> None:
    lost = board.case("lost", graph="artifacts/missing.onnx")
    job = board.job([lost, board.case("a")], **SHORT, latency_rounds_max=6, target_ci=1e-6)
    (stopping,) = of_kind(board.measure(job), "stopping")
    assert list(stopping["half_widths"]) == ["a"]
    assert stopping["rounds"] == 6


def test_rounds_are_spread_over_fresh_loads(board: BoardFolder) -> None:
    changes = {**SHORT, "loads": 3, "latency_rounds": 6, "energy_rounds": 3}
    changes.update(latency_rounds_max=12, target_ci=1e-6)
    job = board.job([board.case("a"), board.case("b")], sensor=board.replay_sensor(), **changes)
    records = board.measure(job)
    assert len(of_kind(records, "solo")) == 2
    assert [r["where"] for r in of_kind(records, "idle")] == ["before"] * 3 + ["after"]
    assert len(of_kind(records, "step")) == 1
    for case in "ab":
        loads = of_kind(records, "warmup", case=case)
        assert [r["load"] for r in loads] == [0, 1, 2]
        assert all(0 < r["steady_rise_bytes"] < r["peak_bytes"] for r in loads)
        for load in range(3):
            taken = of_kind(records, "round", case=case, load=load)
            assert [r["type"] for r in taken].count("latency") == 4
            assert [r["type"] for r in taken].count("energy") == 1
        latency = of_kind(records, "round", case=case, type="latency")
        assert sorted(r["index"] for r in latency) == list(range(12))
    assert [r["load"] for r in of_kind(records, "round")] == sorted(
        r["load"] for r in of_kind(records, "round")
    )
    (stopping,) = of_kind(records, "stopping")
    assert (stopping["reason"], stopping["rounds"]) == ("max-rounds", 12)


def test_a_load_step_is_enclosed_by_its_trace(board: BoardFolder) -> None:
    job = board.job([board.case("a"), board.case("b")], sensor=board.replay_sensor())
    (step,) = of_kind(board.measure(job), "step")
    opens, closes = step["window_ns"]
    assert step["case"] == "a"
    assert step["onset_ns"] - opens >= 1e9
    assert closes - step["onset_ns"] >= 1e9
    assert step["trace"]["t_after_ns"][0] <= opens
    assert step["trace"]["t_before_ns"][-1] >= closes


def test_a_counter_of_energy_has_no_load_step(board: BoardFolder) -> None:
    sensor = {**board.replay_sensor(), "name": "estimate", "unit": "J", "channels": []}
    sensor["options"] = {"idle_w": 1.0, "busy_w": 5.0}
    records = board.measure(board.job([board.case("a")], sensor=sensor))
    assert not of_kind(records, "step")
    assert len(of_kind(records, "idle")) == 2


def test_arrivals_of_a_server_come_by_themselves(any_board: BoardFolder) -> None:
    board = any_board
    changes = {"scenario": "server", "rate_per_s": 200.0, "latency_rounds": 3}
    cases = [board.case("a"), board.case("b")]
    records = board.measure(board.job(cases, sensor=board.replay_sensor(), **changes))
    rounds = of_kind(records, "round", type="latency")
    assert len(rounds) == 6
    for record in rounds:
        arrivals, durations = record["arrivals_ns"], record["durations_ns"]
        assert len(arrivals) == len(durations)
        assert min(durations) > 0
        assert all(a < b for a, b in pairwise(arrivals))
        ends = [a + d for a, d in zip(arrivals, durations, strict=True)]
        assert all(a < b for a, b in pairwise(ends))
        assert arrivals[-1] <= record["start_ns"] + 0.15e9  # 30 arrivals at 200 per second
    assert sum(len(record["arrivals_ns"]) for record in rounds) == pytest.approx(180, abs=60)
    offsets = {
        record["case"]: [a - record["start_ns"] for a in record["arrivals_ns"]]
        for record in rounds
        if record["index"] == 1
    }
    assert offsets["a"] == pytest.approx(offsets["b"], abs=2)
    (energy, _) = of_kind(records, "round", type="energy")
    assert energy["trace"]["t_before_ns"][-1] >= energy["window_ns"][1]


def test_a_server_that_cannot_keep_up_says_so(board: BoardFolder) -> None:
    records = board.measure(board.job([board.case("a")], scenario="server", rate_per_s=1e7))
    (failure,) = of_kind(records, "failure")
    assert failure["reason"] == "timeout"
    assert "cannot keep up with 1e+07 arrivals per second" in failure["text"]
    assert not of_kind(records, "round")


def test_single_stream_has_no_arrivals(board: BoardFolder) -> None:
    rounds = of_kind(board.measure(board.job([board.case("a")], **SHORT)), "round")
    assert all(record["arrivals_ns"] is None for record in rounds)


def test_health_is_read_after_each_round(board: BoardFolder, tree: Tree) -> None:
    zone = "/sys/class/thermal/thermal_zone0"
    cpu = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"
    root = tree({f"{zone}/type": "CPU-therm\n", f"{zone}/temp": "41500\n", cpu: "1479000\n"})
    records = board.measure(board.job([board.case("a")], root=str(root)))
    expected = {"temperature_c": {"CPU-therm": 41.5}, "frequency_khz": {"cpu0": 1479000}}
    expected["throttle"] = {}
    assert all(record["health"] == expected for record in of_kind(records, "round"))


def test_a_hot_board_is_waited_for(board: BoardFolder, tree: Tree) -> None:
    zones = [f"/sys/class/thermal/thermal_zone{number}" for number in (0, 1)]
    files = {f"{zones[0]}/temp": "30000\n", f"{zones[1]}/temp": "60000\n"}
    root = tree(files)
    job = board.job([board.case("a")], root=str(root), cooldown_to_c=45.0, cooldown_max_s=60.0)
    assert board.start(job)["expected_s"] > 50
    board.wait_for(job, "start")
    tree({f"{zones[1]}/temp": "44000\n"})
    board.wait_for_end(job)
    records = board.records(job)
    kinds = [r["kind"] for r in records if r["kind"] != "state"]
    assert kinds[:4] == ["start", "cooldown", "health", "solo"]
    (cooldown,) = of_kind(records, "cooldown")
    assert cooldown["reached"] is True
    assert (cooldown["wanted_c"], cooldown["temperature_c"]) == (45.0, 44.0)


def test_a_board_that_stays_hot_is_measured_all_the_same(board: BoardFolder, tree: Tree) -> None:
    root = tree({"/sys/class/thermal/thermal_zone0/temp": "70000\n"})
    job = board.job([board.case("a")], root=str(root), cooldown_to_c=45.0, cooldown_max_s=0.5)
    records = board.measure(job)
    (cooldown,) = of_kind(records, "cooldown")
    assert (cooldown["reached"], cooldown["temperature_c"]) == (False, 70.0)
    assert len(of_kind(records, "round")) == PROCEDURE["latency_rounds"]


def test_without_a_temperature_there_is_nothing_to_wait_for(board: BoardFolder, tree: Tree) -> None:
    job = board.job([board.case("a")], root=str(tree({})), cooldown_to_c=45.0)
    (cooldown,) = of_kind(board.measure(job), "cooldown")
    assert (cooldown["reached"], cooldown["temperature_c"]) == (False, None)


def slow_case(board: BoardFolder, key: str) -> Record:
    """Runs of about a tenth of a millisecond: fewer times to write down."""
    graph = tiny_model(board.folder / "artifacts" / "slow.onnx", size=1024)
    make_reference(graph, graph.with_suffix(".npz"))
    return board.case(key, graph="artifacts/slow.onnx", reference="artifacts/slow.npz")


def test_a_sustained_load_is_recorded_over_time(board: BoardFolder) -> None:
    cases = [slow_case(board, "a"), slow_case(board, "b")]
    sensor = board.replay_sensor()
    records = board.measure(board.job(cases, sensor=sensor, sustain_s=2.5, loads=3))
    rounds = of_kind(records, "round")
    assert [r["case"] for r in rounds] == sorted(r["case"] for r in rounds)
    for case in "ab":
        taken = of_kind(records, "round", case=case)
        assert [r["index"] for r in taken] == list(range(len(taken)))
        assert taken[-1]["window_ns"][1] - taken[0]["start_ns"] >= 2.5e9
    for record in rounds:
        assert record["type"] == "sustain"
        opens, closes = record["window_ns"]
        assert (opens, closes - opens) == (record["start_ns"], sum(record["durations_ns"]))
        assert record["trace"]["t_after_ns"][0] <= opens
        assert record["trace"]["t_before_ns"][-1] >= closes
        assert "temperature_c" in record["health"]
    assert len(of_kind(records, "idle")) == 2
    assert len(of_kind(records, "warmup")) == 2
    assert not of_kind(records, "stopping")


def test_a_sustained_load_without_a_sensor_has_no_power(board: BoardFolder) -> None:
    rounds = of_kind(board.measure(board.job([slow_case(board, "a")], sustain_s=1.0)), "round")
    assert rounds
    assert all(record["trace"] is None and record["window_ns"] is None for record in rounds)


def test_a_long_job_pauses_when_it_said_it_would(board: BoardFolder) -> None:
    job = board.job([board.case("a")], latency_rounds=60, checkpoint_every_s=4.0)
    started = board.start(job)
    assert started["expected_s"] > 7.0
    assert started["next_checkpoint_s"] == 4.0
    running = board.ask("status", job)
    assert 0 < running["next_checkpoint_s"] < 4.0
    board.wait_for_end(job)
    records = board.records(job)
    checkpoint = of_kind(records, "checkpoint")[0]
    rounds = of_kind(records, "round")
    assert len(rounds) == 60
    pause_ns = [checkpoint["t_ns"], checkpoint["until_ns"]]
    assert pause_ns[1] - pause_ns[0] == pytest.approx(3e9, rel=0.05)
    assert pause_ns[0] - records[0]["t_ns"] >= 3.9e9
    for record in rounds:
        ends_ns = record["start_ns"] + sum(record["durations_ns"])
        assert ends_ns <= pause_ns[0] or record["start_ns"] >= pause_ns[1]


def test_a_job_that_may_go_on_pauses_where_it_was_to_end(board: BoardFolder) -> None:
    """It is expected to take the least number of rounds; at that end it tells how much longer.

    Rounds are so long that there are too few by then to call the target out of reach.
    """
    changes = {"latency_round_s": 0.5, "latency_rounds_max": 500, "max_time_s": 9.0}
    job = board.job([slow_case(board, "a")], **changes, target_ci=1e-6)
    started = board.start(job)
    assert started["next_checkpoint_s"] == max(5.0, started["expected_s"])
    checkpoint = board.wait_for(job, "checkpoint")
    status = board.ask("status", job)
    assert status["state"] == "running"
    # Counted from now, with the rest of the pause.
    assert status["next_checkpoint_s"] > 5.0
    board.wait_for_end(job)
    records = board.records(job)
    assert checkpoint["t_ns"] - records[0]["t_ns"] >= 0.9e9 * started["next_checkpoint_s"]
    for record in of_kind(records, "round"):
        ends_ns = record["start_ns"] + sum(record["durations_ns"])
        assert ends_ns <= checkpoint["t_ns"] or record["start_ns"] >= checkpoint["until_ns"]


def test_a_short_job_announces_no_pause(board: BoardFolder) -> None:
    job = board.job([board.case("a")])
    assert board.start(job)["next_checkpoint_s"] is None
    board.wait_for_end(job)
    assert not of_kind(board.records(job), "checkpoint")
