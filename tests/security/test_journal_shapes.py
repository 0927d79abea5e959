"""The checks on journal records let through everything that a real agent writes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from board_folder import BoardFolder
from labelled import classifier, labelled
from stateful_board import StatefulBoard

from bench.analysis.journal import recordings
from bench.analysis.journal_shapes import KINDS, round_health, shaped


def test_nothing_that_a_real_agent_writes_is_refused_or_left_out(tmp_path: Path) -> None:
    board = BoardFolder(tmp_path / "board", Path(sys.executable))
    jetson = StatefulBoard(tmp_path / "root")
    changes: dict[str, Any] = {
        "sensor": board.replay_sensor(),
        "cooldown_to_c": 90.0,
        "markers": {"before": [0.05], "after": [0.05], "rest_s": 0.05, "meter_period_s": 0.01},
        "loads": 2,
        "energy_rounds": 2,
    }
    classifier(board.folder / "artifacts" / "net.onnx", batch=1)
    parts, _, _ = labelled(board.folder, (3,))
    files = {"graph": "artifacts/net.onnx", "reference": "artifacts/net.npz"}
    case = board.case("a", accuracy=parts, **files)
    changes.update(root=str(jetson.root), latency_round_s=0.01, state={"clocks": "max"})
    job = board.job([case], **changes)
    board.measure(job)
    records = board.records(job)
    assert {record["kind"] for record in records} >= KINDS - {"failure", "sensor", "checkpoint"}
    (recording,) = recordings(records, [], ["a"]).values()
    assert recording.lost == () and recording.finished
    assert len(recording.markers) == 2
    assert len(recording.rounds) == sum(record["kind"] == "round" for record in records)
    for record in records:
        if record["kind"] == "round":
            assert round_health(record["health"]) == record["health"]
        elif record["kind"] not in ("idle", "marker", "step", "start"):
            assert shaped(record["kind"], record) == record
