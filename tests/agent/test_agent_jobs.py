"""What ``status``, ``jobs`` and ``clean`` say of a board folder."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from board_folder import LOCK, BoardFolder, make_reference, tiny_model

from bench.agent import identity, jobs, wire


def job_named(board: BoardFolder, name: str, **changes: Any) -> Path:
    return board.job([board.case("a")], job_id=name, **changes)


def journal_of(board: BoardFolder, name: str, *records: dict[str, Any], boot_id: str = "") -> Path:
    """A job folder whose journal was written by a conductor that is gone."""
    job = job_named(board, name)
    start = {"kind": "start", "version": 1, "boot_id": boot_id or identity.boot_id()}
    lines = [wire.encode_record(record) for record in (start, *records)]
    (job / wire.JOURNAL_FILE).write_bytes(b"".join(lines))
    return job


def state(board: BoardFolder, job: Path) -> tuple[str, bool]:
    answer = board.ask("status", job)
    return answer["state"], answer["rebooted"]


def names(answer: dict[str, Any], what: str) -> list[str]:
    return [Path(item["path"]).name for item in answer["removable"] if item["what"] == what]


def test_states_of_jobs(any_board: BoardFolder) -> None:
    board = any_board
    end = {"kind": "end", "t_ns": 1, "reason": "finished"}
    assert state(board, board.folder / "jobs" / "nowhere") == ("absent", False)
    assert state(board, job_named(board, "new")) == ("new", False)
    assert state(board, journal_of(board, "finished", end)) == ("finished", False)
    assert state(board, journal_of(board, "dead")) == ("dead", False)
    assert state(board, journal_of(board, "off", boot_id="an earlier boot")) == ("dead", True)
    assert state(board, journal_of(board, "done", end, boot_id="earlier")) == ("finished", False)


def test_a_refused_job_was_never_begun(board: BoardFolder) -> None:
    job = job_named(board, "refused", state={"power_mode": "15W"})
    assert board.start(job)["refused"]["kind"] == "state"
    assert state(board, job) == ("new", False)


@pytest.mark.parametrize("torn", [b"", b'{"kind":"end"', b"\0" * 5000, b"x" * 9000 + b"\n"])
def test_an_end_that_is_not_whole_is_none(board: BoardFolder, torn: bytes) -> None:
    job = journal_of(board, "torn", {"kind": "round", "durations_ns": [1] * 9000})
    with (job / wire.JOURNAL_FILE).open("ab") as stream:
        stream.write(torn)
    assert state(board, job) == ("dead", False)


def test_notes_that_a_power_cut_left_empty_are_no_obstacle(board: BoardFolder) -> None:
    job = journal_of(board, "cut")
    for name in ("conductor.json", "progress.json"):
        (job / name).write_bytes(b"\0" * 40)
    assert state(board, job) == ("dead", False)


def test_jobs_lists_everything_oldest_first_without_reading_journals(
    any_board: BoardFolder,
) -> None:
    board = any_board
    for age, name in enumerate(("young", "old")):
        job = journal_of(board, name, {"kind": "round", "x": "y" * 1000})
        os.utime(job / wire.JOB_FILE, (1e9 - age, 1e9 - age))
    (job / wire.COLLECTED_FILE).touch()
    damaged = board.folder / "jobs" / "damaged"
    damaged.mkdir()
    (damaged / wire.JOB_FILE).write_text("{")
    (board.folder / "jobs" / "elsewhere").symlink_to(job)
    answer = board.ask("jobs", LOCK)
    assert answer["busy"] is None
    assert [entry["job_id"] for entry in answer["jobs"]] == ["old", "young", "damaged"]
    old, young, third = answer["jobs"]
    size = (job / wire.JOURNAL_FILE).stat().st_size
    assert old == {
        "job_id": "old",
        "run_id": "run-1",
        "owner": "ada@laptop",
        "state": "dead",
        "collected": True,
        "created_wall_s": 1e9 - 1,
        "remaining_s": None,
        "journal_bytes": size,
        "cases": 1,
    }
    assert not young["collected"]
    assert (third["state"], third["run_id"], third["cases"]) == ("new", None, None)


def test_a_running_job_is_listed_with_its_time(board: BoardFolder) -> None:
    job = job_named(board, "long", latency_rounds=400, latency_round_s=0.05)
    board.start(job)
    board.wait_for(job, "round")
    answer = board.ask("jobs", LOCK)
    (entry,) = answer["jobs"]
    assert entry["state"] == "running" and entry["remaining_s"] > 0
    assert answer["busy"]["job_id"] == "long"
    assert board.ask("clean", LOCK, "yes")["busy"]["job_id"] == "long"
    os.kill(board.conductors[-1], signal.SIGKILL)
    board.wait_for_end(job)
    assert state(board, job) == ("dead", False)


def test_only_the_ends_of_a_journal_are_read(board: BoardFolder) -> None:
    journal = journal_of(board, "large", {"kind": "end"}) / wire.JOURNAL_FILE
    with journal.open("r+b") as stream:
        stream.seek(200 << 30)  # a hole: reading it whole would take minutes
        stream.write(b"\n" + wire.encode_record({"kind": "end"}))
    assert jobs.state(str(journal.parent))["state"] == "finished"


def artifact(board: BoardFolder, name: str) -> dict[str, str]:
    """A graph with its reference and a weights file that only the graph names."""
    folder = board.folder / "artifacts"
    graph = tiny_model(folder / f"{name}.onnx")
    make_reference(graph, graph.with_suffix(".npz"))
    (folder / f"{name}.weights").write_bytes(b"w" * 100)
    with graph.open("ab") as stream:
        stream.write(f"location {name}.weights".encode())
    return {"graph": f"artifacts/{name}.onnx", "reference": f"artifacts/{name}.npz"}


def test_clean_shows_and_then_removes_what_is_not_needed(any_board: BoardFolder) -> None:
    board = any_board
    used, unused = artifact(board, "used"), artifact(board, "unused")
    uncollected = board.job([board.case("a", **used)], job_id="uncollected")
    (uncollected / wire.JOURNAL_FILE).write_bytes(wire.encode_record({"kind": "start"}))
    collected = board.job([board.case("a", **unused)], job_id="collected")
    (collected / wire.JOURNAL_FILE).write_bytes(wire.encode_record({"kind": "end"}))
    (collected / wire.COLLECTED_FILE).touch()
    job_named(board, "never-begun")
    (board.folder / "jobs" / "half" / "x").mkdir(parents=True)
    board.pack("agent-0123456789abcdef.pyz")
    (board.folder / "agent-fedcba9876543210.pyz").write_bytes(b"old")
    (board.folder / "artifacts" / "x.onnx.1234abcd.part").write_bytes(b"cut off")
    (board.folder / "own-notes.txt").write_text("of the user")
    (board.folder / "state.json.new").touch()
    (board.folder / "outside").mkdir()
    (board.folder / "outside" / "precious").touch()
    (collected / "link").symlink_to(board.folder / "outside")

    shown = board.ask("clean", LOCK, "no")
    assert names(shown, "agent") == ["agent-fedcba9876543210.pyz"]
    assert names(shown, "job") == ["collected", "never-begun"]
    wanted = ["tiny.npz", "tiny.onnx", "unused.npz", "unused.onnx", "unused.weights"]
    assert names(shown, "artifact") == wanted
    assert names(shown, "leftover") == ["state.json.new", "x.onnx.1234abcd.part", "half"]
    assert shown["kept"] == [
        {
            "job_id": "uncollected",
            "why": "it ended early and its results were not collected",
        }
    ]
    sizes = {Path(item["path"]).name: item["bytes"] for item in shown["removable"]}
    assert sizes["unused.weights"] == 100
    assert sizes["collected"] >= sum(f.lstat().st_size for f in collected.iterdir())
    assert all(Path(item["path"]).exists() for item in shown["removable"])

    assert board.ask("clean", LOCK, "yes") == shown
    left = {str(p.relative_to(board.folder)) for p in board.folder.rglob("*") if p.is_file()}
    assert left == {
        "agent-0123456789abcdef.pyz",
        "artifacts/used.npz",
        "artifacts/used.onnx",
        "artifacts/used.weights",
        "jobs/uncollected/job.json",
        "jobs/uncollected/journal.jsonl",
        "lock",
        "outside/precious",
        "own-notes.txt",
    }
    assert board.ask("clean", LOCK, "no")["removable"] == []


def test_clean_keeps_all_artifacts_where_a_kept_job_does_not_tell_what_it_uses(
    board: BoardFolder,
) -> None:
    artifact(board, "maybe")
    job = journal_of(board, "damaged")
    (job / wire.JOB_FILE).write_text(json.dumps({"job_id": "damaged"}))
    answer = board.ask("clean", LOCK, "no")
    assert answer["removable"] == []
    assert [job["job_id"] for job in answer["kept"]] == ["damaged"]


def test_clean_of_a_board_folder_behind_a_linked_path_keeps_what_is_used(
    board: BoardFolder, tmp_path: Path
) -> None:
    """Home folders are links on some boards."""
    (tmp_path / "home").symlink_to(tmp_path)
    (job_named(board, "kept") / wire.JOURNAL_FILE).write_bytes(b"")
    board.pack("agent-0123456789abcdef.pyz")
    board.program = [str(tmp_path / "home" / "board" / "agent-0123456789abcdef.pyz")]
    assert board.ask("clean", LOCK, "no")["removable"] == []
