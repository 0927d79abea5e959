"""Journals to recordings: whole, cut, damaged."""

from __future__ import annotations

import numpy as np

from bench.agent import wire
from bench.analysis.journal import recordings

S = 1_000_000_000
TRACE = {
    "channels": ["VDD_IN"],
    "unit": "W",
    "t_before_ns": [0, 10],
    "t_after_ns": [1, 11],
    "values": [[5.0], [None]],
}
SOLO = {
    "kind": "solo",
    "case": "a",
    "t_ns": 1,
    "runtime_version": "1.32.0",
    "import_s": 0.5,
    "load_s": 0.1,
    "first_s": 0.02,
    "imported_bytes": 1,
    "load_rise_bytes": 2,
    "steady_rise_bytes": 3,
    "peak_bytes": 4,
    "parity": {"passed": True, "max_abs_error": 0.0},
}


def idle(where, start_s):
    return {
        "kind": "idle",
        "where": where,
        "window_ns": [start_s * S, (start_s + 1) * S],
        "trace": TRACE,
    }


def round_of(case, index, start_s, kind="latency"):
    energy = kind == "energy"
    return {
        "kind": "round",
        "case": case,
        "index": index,
        "type": kind,
        "start_ns": start_s * S,
        "durations_ns": [10, 11, 12],
        "window_ns": [start_s * S, start_s * S + 20] if energy else None,
        "trace": TRACE if energy else None,
        "background": 0.02,
    }


WHOLE = [
    {"kind": "start", "job_id": "j", "t_ns": 0},
    {"kind": "health", "where": "before", "governor": {"cpu0": "performance"}},
    SOLO,
    idle("before", 1),
    idle("before", 3),
    {"kind": "warmup", "case": "a", "steady": True, "took_s": 1.0, "runs": 9},
    round_of("a", 0, 10),
    round_of("a", 1, 12, "energy"),
    idle("after", 20),
    idle("after", 30),
    {"kind": "end", "t_ns": 99, "reason": "finished"},
]


def test_a_whole_journal():
    found = recordings(WHOLE, [], ["a", "b"])
    assert list(found) == ["a", "b"]
    case = found["a"]
    assert case.finished
    assert case.lost == ()
    assert case.solo["peak_bytes"] == 4
    assert [item.kind for item in case.rounds] == ["latency", "energy"]
    assert case.rounds[0].durations_ns.tolist() == [10, 11, 12]
    assert np.isnan(case.rounds[1].trace.values[1, 0])
    assert [line.window_ns[0] // S for line in case.idle] == [3, 20]
    assert found["b"].rounds == ()
    assert found["b"].idle == ()


def test_a_journal_cut_anywhere_gives_its_finished_rounds():
    data = b"".join(wire.encode_record(record) for record in WHOLE)
    for size in range(0, len(data), 37):
        records, problems = wire.decode_records(data[:size])
        case = recordings(records, problems, ["a"])["a"]
        assert not case.finished
        assert case.lost == tuple(problems)
        assert len(case.rounds) == sum(record["kind"] == "round" for record in records)


def test_a_malformed_record_is_listed_and_costs_only_itself():
    broken = [
        {**round_of("a", 2, 14), "durations_ns": []},
        {**round_of("a", 3, 15), "durations_ns": ["x"]},
        {key: value for key, value in round_of("a", 4, 16).items() if key != "start_ns"},
        {**round_of("a", 5, 17, "energy"), "trace": {**TRACE, "values": [[1.0]]}},
        {**SOLO, "peak_bytes": "much"},
        {**idle("before", 1), "window_ns": [5, 5]},
        {"kind": "round", "case": "who"},
        {"kind": "from-the-future", "x": 1},
    ]
    case = recordings([*WHOLE, *broken], ["journal line 9 is damaged"], ["a"])["a"]
    assert len(case.rounds) == 2
    assert case.solo["peak_bytes"] == 4
    text = "\n".join(case.lost)
    assert len(case.lost) == 9
    assert "journal line 9 is damaged" in text
    assert "'start_ns' is missing" in text
    assert "names an unknown case" in text
    assert "of an unknown kind: 'from-the-future'" in text


def test_a_stopped_job_is_not_finished():
    stopped = [*WHOLE[:-1], {"kind": "end", "t_ns": 99, "reason": "stopped"}]
    assert not recordings(stopped, [], ["a"])["a"].finished
