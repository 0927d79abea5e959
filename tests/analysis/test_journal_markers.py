"""Load markers, and what only a meter measured, in a journal that anybody may have written."""

from __future__ import annotations

from typing import Any

import pytest

from bench.analysis.journal import recordings
from bench.store.raw import segments

S = 1_000_000_000
MARKER = {
    "kind": "marker",
    "where": "before",
    "t_ns": 9 * S,
    "edges_ns": [2 * S, 3 * S, 4 * S, 5 * S],
    "window_ns": [S, 6 * S],
    "spread_ns": 5,
    "cpus": 2,
}


def read(*records: dict[str, Any]) -> Any:
    return recordings(records, [], ["a"])["a"]


def test_markers_reach_every_case() -> None:
    found = read(MARKER, {**MARKER, "where": "after"})
    assert [marker.where for marker in found.markers] == ["before", "after"]
    assert found.markers[0].edges_ns.tolist() == MARKER["edges_ns"]
    assert found.lost == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"where": "between"}, "neither before nor after"),
        ({"edges_ns": [2 * S, 3 * S, 4 * S]}, "no load that sets in and ends"),
        ({"edges_ns": [2 * S, 2 * S]}, "no load that sets in and ends"),
        ({"edges_ns": []}, "no load that sets in and ends"),
        ({"edges_ns": [0, 3 * S]}, "outside window_ns"),
        ({"edges_ns": "soon"}, "edges_ns is no list"),
        ({"window_ns": [6 * S, S]}, "ends before it starts"),
        ({"problem": "a process that plays load markers died"}, "load markers died"),
    ],
)
def test_a_marker_that_is_none_costs_no_more_than_itself(
    changes: dict[str, Any], words: str
) -> None:
    found = read({**MARKER, **changes})
    assert found.markers == ()
    assert words in found.lost[0]


def test_windows_without_a_trace_are_kept_for_the_meter() -> None:
    idle = {"kind": "idle", "where": "before", "cases": ["a"], "window_ns": [S, 2 * S]}
    energy = {
        "kind": "round",
        "case": "a",
        "index": 0,
        "type": "energy",
        "start_ns": 3 * S,
        "durations_ns": [S, S],
        "window_ns": [3 * S, 4 * S],
        "trace": None,
    }
    found = read({**idle, "trace": None}, energy)
    assert [line.trace for line in found.idle] == [None]
    assert found.rounds[0].window_ns == (3 * S, 4 * S)
    assert segments(found) == ()
    assert found.lost == ()
