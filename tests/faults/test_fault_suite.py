"""A few random faults in the everyday tests, and a check that the checks can fail."""

from __future__ import annotations

import fcntl
import json
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fault_checks
import pytest
from board_witness import Witness
from fault_campaign import Campaign, run_campaign

SEED = "everyday 1003"
FAULTS = 2


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """A campaign that is over; its folder is left as it was."""
    folder = tmp_path_factory.mktemp("faults") / "campaign"
    return run_campaign(1, random.Random(SEED), folder, FAULTS, threading.Event())


@pytest.fixture
def results(campaign: Campaign, tmp_path: Path) -> Path:
    """A copy of its results folder, to be spoiled."""
    return shutil.copytree(campaign.folder / "results", tmp_path / "results")


@pytest.fixture
def lines(campaign: Campaign, tmp_path: Path) -> dict[str, list[bytes]]:
    """What was seen of the journals on the board."""
    witness = Witness(campaign.folder / "board" / "jobs", tmp_path / "witness")
    witness.look()
    return {job_id: list(of_job) for job_id, of_job in witness.lines.items()}


def rounds(lines: dict[str, list[bytes]]) -> list[tuple[str, bytes]]:
    return [
        (job, line) for job, of_job in lines.items() for line in of_job if b'"kind":"round"' in line
    ]


def change(path: Path, how: Callable[[Any], None]) -> None:
    document = json.loads(path.read_text())
    how(document)
    path.write_text(json.dumps(document))


def test_random_faults_lose_nothing(campaign: Campaign) -> None:
    assert campaign.held, [campaign.problems, campaign.injections, campaign.said]
    assert len(campaign.injections) == FAULTS


def test_a_whole_run_is_found_whole(results: Path, lines: dict[str, list[bytes]]) -> None:
    assert len(rounds(lines)) >= 24
    assert fault_checks.lost(lines, results) == {}
    assert fault_checks.measured_twice(lines, results) == []


def test_a_round_that_the_stored_journal_lacks_is_lost(
    results: Path, lines: dict[str, list[bytes]]
) -> None:
    job_id, line = rounds(lines)[3]
    (journal,) = results.glob(f"*/journals/{job_id}.jsonl")
    journal.write_bytes(journal.read_bytes().replace(line + b"\n", b""))
    assert [len(gone) for gone in fault_checks.lost(lines, results).values()] == [1]


def test_rounds_without_a_trial_are_lost(results: Path, lines: dict[str, list[bytes]]) -> None:
    for trials in results.glob("*/trials.jsonl"):
        trials.unlink()
    gone = [text for of_job in fault_checks.lost(lines, results).values() for text in of_job]
    assert len(gone) == len(rounds(lines))
    assert all("not among the raw samples" in text for text in gone)


def test_a_job_that_no_run_knows_is_lost(results: Path, lines: dict[str, list[bytes]]) -> None:
    shutil.rmtree(results)
    assert set(fault_checks.lost(lines, results)) == set(lines)


def test_a_case_that_was_measured_twice_is_noticed(
    results: Path, lines: dict[str, list[bytes]]
) -> None:
    job_id = max(lines, key=lambda name: len(lines[name]))
    (facts,) = results.glob(f"*/jobs/{job_id}.json")
    again = facts.with_name("again.json")
    shutil.copy(facts, again)

    def rename(document: dict[str, Any]) -> None:
        document.update(job_id="again", attempt=document["attempt"] + 1)

    change(again, rename)
    found = fault_checks.measured_twice({**lines, "again": lines[job_id]}, results)
    assert f"again: one/dense/onnxruntime/fp32/b1/t1 was whole in {job_id}" in found
    assert any("began before" in text for text in found)

    found = fault_checks.measured_twice({job_id: lines[job_id] * 2}, results)
    assert any("twice" in text for text in found)


def test_a_failure_that_nothing_explains_is_noticed(results: Path) -> None:
    assert fault_checks.unexplained(results, ["worker"]) == []
    for trials in results.glob("*/trials.jsonl"):
        trials.write_text(trials.read_text().replace('"status":"valid"', '"status":"failed"'))
    assert fault_checks.unexplained(results, ["host"])
    assert any("says not why" in text for text in fault_checks.unexplained(results, ["worker"]))


def test_a_lock_that_is_held_is_noticed(campaign: Campaign) -> None:
    board = campaign.folder / "board"
    assert fault_checks.left_over(board) == []
    with (board / "lock").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert fault_checks.left_over(board) == ["the board's lock is held"]
