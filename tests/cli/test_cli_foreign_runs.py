"""`bench` on results folders of others: what can be read is shown, the rest is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.agent import wire
from bench.analysis.validity import NO_SENSOR, evaluate
from bench.cli import main
from bench.plan.procedures import PROCEDURES
from bench.records.artifact import ArtifactFacts
from bench.records.case import Case
from bench.records.job import JobFacts
from bench.records.manifest import Manifest
from bench.records.recordings import Recording, Round
from bench.records.status import Status, Verdict
from bench.store.writer import RunWriter

CASES = tuple(Case(device="nano", model="net", scheme=f"basis:0.{n}") for n in (25, 5, 75))
ARTIFACT = ArtifactFacts(
    graph_sha256="0" * 64, weights_sha256=None, file_bytes=1, opset=15, ir_version=8
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two trials, and a journal of an agent that is newer than this program."""
    writer = RunWriter.create(
        tmp_path / "results",
        Manifest(
            run_id="run",
            started_at="2026-11-24T03:50:12+00:00",
            command=("bench",),
            git_revision=None,
            versions={},
            procedure=PROCEDURES["quick"],
            devices={"nano": {}},
            cases=CASES,
        ),
    )
    for number, case in enumerate(CASES[:2]):
        rounds = tuple(
            Round(i, "latency", 10**12 * (i + 1), np.array([10**6 + 1000 * i] * 20))
            for i in range(10)
        )
        recording = Recording(case.key, None, None, None, rounds, (), (), finished=True)
        trial = evaluate(
            recording,
            case,
            PROCEDURES["quick"],
            None,
            run_id="run",
            trial_id=f"t00{number + 1}",
            energy_reason=NO_SENSOR,
        )
        writer.append(trial, recording)
    writer.save_job(
        JobFacts(
            device="nano",
            job_id="job",
            power=None,
            without_power=Verdict(status=Status.UNMEASURED),
            artifacts={CASES[2].key: ARTIFACT},
        )
    )
    records: list[dict[str, Any]] = [
        {"kind": "start", "version": wire.WIRE_VERSION + 1, "t_ns": 1},
        {"kind": "end", "t_ns": 2, "reason": "finished"},
    ]
    writer.save_journal("job", b"".join(map(wire.encode_record, records)))
    writer.close()
    return writer.path


def said_by(capsys: pytest.CaptureFixture[str], *command: str) -> tuple[int, str, str]:
    code = main(command)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


NEWER = f"journals/job.jsonl: the journal has version {wire.WIRE_VERSION + 1}"


def test_show_shows_what_can_be_read_and_names_the_journal_of_a_newer_agent(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--results", str(run.parent))
    code, out, err = said_by(capsys, "results", "show", "run", *where)
    assert code == 0
    assert "basis:0.25" in out and "basis:0.5" in out
    assert NEWER in err and "update bench" in err
    code, out, _ = said_by(capsys, "results", "show", "run", "--json", *where)
    document = json.loads(out)
    assert [trial["trial_id"] for trial in document["trials"]] == ["t001", "t002"]
    assert [case["scheme"] for case in document["missing"]] == ["basis:0.75"]
    assert NEWER in document["problems"][0]


def test_compare_does_so_too(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("compare", "run#t001", "#t002", "--json", "--results", str(run.parent))
    code, out, err = said_by(capsys, *command)
    assert code in (0, 1, 3)
    assert json.loads(out)["cases"]
    assert NEWER in err


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": NaN}', "9" * 5000])
def test_a_damaged_run_is_left_out_of_the_list_in_words(
    run: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = run.parent / "bad"
    bad.mkdir()
    (bad / "manifest.json").write_text(text)
    where = ("--results", str(run.parent))
    code, out, _ = said_by(capsys, "results", "list", *where)
    assert code == 0
    # However long the path is, at which the table breaks its lines.
    words = " ".join(out.replace("│", " ").split())
    assert "2 of 3" in words and "is damaged" in words
    code, out, _ = said_by(capsys, "results", "list", "--json", *where)
    listed = {entry["run_id"]: entry for entry in json.loads(out)}
    assert listed["run"]["trials"] == 2
    assert "restore it from a copy" in listed["bad"]["problem"]
    code, _, err = said_by(capsys, "results", "show", "bad", *where)
    assert code == 2
    assert err.startswith("bench: ") and len(err.splitlines()) == 1


def test_nothing_is_written_through_a_link(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (run / "charts").symlink_to(mine)
    for command in (("report", "run"), ("results", "show", "run")):
        code, _, err = said_by(capsys, *command, "--results", str(run.parent))
        assert code == 2
        assert "charts is a link that leads out of its run: remove it" in err
    assert list(mine.iterdir()) == []
