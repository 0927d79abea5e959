"""The board folder belongs to its user alone, and a job cannot make the agent leave it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from board_folder import LOCK, BoardFolder

from bench.agent import wire

PACKED = "agent-0123456789abcdef.pyz"


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def refusal(board: BoardFolder, job: Path) -> str:
    answer = board.start(job)
    assert answer["refused"]["kind"] == "job", answer
    text: str = answer["refused"]["text"]
    assert "\n" not in text
    assert not (job / wire.JOURNAL_FILE).exists()
    return text


def one_line(board: BoardFolder, *arguments: str | Path) -> str:
    done = board.agent(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_a_folder_that_is_open_to_others_is_closed(any_board: BoardFolder) -> None:
    board = any_board
    board.pack(PACKED)
    board.folder.chmod(0o755)
    board.ask("jobs", LOCK)
    assert mode(board.folder) == 0o700


def test_a_folder_that_no_host_made_is_left_as_it_is(board: BoardFolder) -> None:
    board.folder.chmod(0o755)
    assert "chmod 700" in one_line(board, "jobs", LOCK)
    board.pack("agent.pyz")
    assert "chmod 700" in one_line(board, "jobs", LOCK)
    assert mode(board.folder) == 0o755


def test_a_shared_folder_like_tmp_is_left_as_it_is(board: BoardFolder) -> None:
    board.pack(PACKED)
    board.folder.chmod(0o1777)
    assert "open to others" in one_line(board, "probe", "/", "{}", LOCK)
    assert mode(board.folder) == 0o1777


def test_a_folder_that_is_a_link_is_refused(board: BoardFolder, tmp_path: Path) -> None:
    board.pack(PACKED)
    (tmp_path / "link").symlink_to(board.folder)
    board.program = [str(tmp_path / "link" / PACKED)]
    for command in (("probe", "/", "{}", LOCK), ("jobs", LOCK), ("status", "jobs/x")):
        assert "is a link: set `work_dir`" in one_line(board, *command)


def test_a_folder_of_somebody_else_is_refused(board: BoardFolder) -> None:
    """Every system has folders of other users; as root one is made."""
    folder = Path("/proc/1")
    if os.getuid() == 0:
        board.pack(PACKED)
        os.chown(board.folder, 12345, 12345)
        folder = board.folder
    done = board.agent("jobs", LOCK, cwd=folder)
    assert done.returncode == 1
    assert "belongs to" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("field", ["graph", "reference"])
@pytest.mark.parametrize("how", ["..", "absolute", "link", "linked folder", "nul", "number"])
def test_a_job_cannot_name_files_outside_the_board_folder(
    board: BoardFolder, tmp_path: Path, field: str, how: str
) -> None:
    case = board.case("a")
    outside = tmp_path / "outside.onnx"
    outside.write_bytes((board.folder / case["graph"]).read_bytes())
    paths: dict[str, Any] = {
        "..": "artifacts/../../outside.onnx",
        "absolute": str(outside),
        "link": "artifacts/link.onnx",
        "linked folder": "artifacts/up/outside.onnx",
        "nul": "artifacts/tiny.onnx\0",
        "number": 7,
    }
    (board.folder / "artifacts" / "link.onnx").symlink_to(outside)
    (board.folder / "artifacts" / "up").symlink_to(tmp_path)
    text = refusal(board, board.job([{**case, field: paths[how]}]))
    assert text.startswith("case a names ")


@pytest.mark.parametrize(
    "path",
    [
        "artifacts/tiny.onnx",
        "jobs/other/x.onnx",
        "jobs/job-1/../../x.onnx",
        "jobs/job-1/link.onnx",
        "/dev/shm/x.onnx",
        "jobs/job-1/journal.jsonl",
        "jobs/job-1",
    ],
)
def test_a_job_makes_the_worker_write_only_into_its_own_folder(
    board: BoardFolder, path: str
) -> None:
    options = {"threads": 1, "optimized_model_path": path}
    job = board.job([board.case("a", options=options)])
    (job / "link.onnx").symlink_to(board.folder / "artifacts" / "tiny.onnx")
    assert "case a" in refusal(board, job)


def test_a_job_has_the_name_of_its_folder(board: BoardFolder) -> None:
    job = board.job([board.case("a")])
    job.rename(job.with_name("renamed"))
    assert "'job-1'" in refusal(board, job.with_name("renamed"))


def test_a_missing_or_damaged_job_is_refused(board: BoardFolder) -> None:
    job = board.job([board.case("a")])
    (job / wire.JOB_FILE).write_text("{")
    assert "job.json cannot be read" in refusal(board, job)
    assert "job.json cannot be read" in refusal(board, job.with_name("missing"))


def test_only_folders_of_jobs_are_jobs(board: BoardFolder, tmp_path: Path) -> None:
    job = board.job([board.case("a")])
    elsewhere = tmp_path / "jobs" / "job-1"
    elsewhere.parent.mkdir()
    job.rename(elsewhere)
    job.symlink_to(elsewhere)
    for path in (elsewhere, job, board.folder, board.folder / "jobs", "/", "jobs/../jobs"):
        assert "is no job folder of" in one_line(board, "status", path)
        assert "is no job folder of" in one_line(board, "stop", path)
        assert "is no job folder of" in refusal_text(board, path)
    assert not (elsewhere / wire.STOP_FILE).exists()


def refusal_text(board: BoardFolder, path: str | Path) -> str:
    return str(board.ask("start", path, LOCK)["refused"]["text"])


def test_links_within_the_board_folder_are_fine(any_board: BoardFolder) -> None:
    board = any_board
    case = board.case("a")
    (board.folder / "artifacts" / "same.onnx").symlink_to("tiny.onnx")
    job = board.job([{**case, "graph": "artifacts/same.onnx"}])
    assert board.measure(job)[-1]["reason"] == "finished"


def test_nothing_that_the_agent_makes_can_be_read_by_others(board: BoardFolder) -> None:
    job = board.job([board.case("a")], sensor=board.replay_sensor())
    previous = os.umask(0)
    try:
        board.measure(job)
    finally:
        os.umask(previous)
    assert mode(job / wire.JOURNAL_FILE) == 0o600
    assert mode(board.folder) == 0o700
    assert json.loads((job / wire.JOB_FILE).read_text())["owner"] == "ada@laptop"
