"""Load markers for a meter on the host, through the agent's command line."""

from __future__ import annotations

from itertools import pairwise

from board_folder import PROCEDURE, BoardFolder

MARKERS = {
    "before": [0.05, 0.1, 0.15],
    "after": [0.1, 0.05, 0.05, 0.1, 0.05],
    "rest_s": 0.1,
    "meter_period_s": 0.02,
}


def test_markers_are_played_around_all_rounds(any_board: BoardFolder) -> None:
    board = any_board
    job = board.job([board.case("a")], sensor=board.replay_sensor(), markers=MARKERS)
    records = board.measure(job)
    kinds = [record["kind"] for record in records]
    before, after = (place for place, kind in enumerate(kinds) if kind == "marker")
    measured = [i for i, kind in enumerate(kinds) if kind in ("idle", "step", "warmup", "round")]
    assert before < min(measured)
    assert max(measured) < after
    for record in (records[before], records[after]):
        edges_ns, wanted_s = record["edges_ns"], MARKERS[record["where"]]
        assert len(edges_ns) == len(wanted_s) + 1
        assert all(one < two for one, two in pairwise(edges_ns))
        # Load may set in late on a busy machine: what is journaled is when it did.
        assert edges_ns[0] >= record["window_ns"][0] + MARKERS["rest_s"] * 1e9
        planned_s = MARKERS["rest_s"] + sum(wanted_s)
        assert edges_ns[-1] >= record["window_ns"][0] + planned_s * 1e9
        assert record["window_ns"][1] >= edges_ns[-1] + MARKERS["rest_s"] * 1e9


def test_a_meter_alone_has_energy_rounds_and_idle_lines(board: BoardFolder) -> None:
    records = board.measure(board.job([board.case("a")], sensor=None, markers=MARKERS))
    idle = [record for record in records if record["kind"] == "idle"]
    energy = [record for record in records if record.get("type") == "energy"]
    assert [line["where"] for line in idle] == ["before", "after"]
    assert len(energy) == PROCEDURE["energy_rounds"]
    for record in idle + energy:
        assert record["trace"] is None
        assert record["window_ns"][1] > record["window_ns"][0]
    for record in energy:
        # A reading may be a mean over the meter's period: load goes on for so long.
        ends_ns = record["start_ns"] + sum(record["durations_ns"])
        assert ends_ns >= record["window_ns"][1] + MARKERS["meter_period_s"] * 1e9
    assert not any(record["kind"] == "step" for record in records)


def test_without_a_meter_nothing_is_played_or_read(board: BoardFolder) -> None:
    records = board.measure(board.job([board.case("a")], sensor=None))
    kinds = {record["kind"] for record in records}
    assert not kinds & {"marker", "idle", "step"}
    assert all(record["type"] == "latency" for record in records if record["kind"] == "round")
