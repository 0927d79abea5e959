"""Results folders that come from somebody else: what is refused, and what is still read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import StoreError
from bench.json_text import MOST_DEPTH, MalformedJson, parse_object
from bench.plan.procedures import PROCEDURES
from bench.records.case import Case
from bench.records.job import JobFacts
from bench.records.manifest import Manifest
from bench.records.recordings import IdleLine, PowerTrace, Recording, Round
from bench.records.status import Status, Verdict
from bench.records.trial import Trial
from bench.store import raw
from bench.store.documents import first_line
from bench.store.files import is_safe_name, require_confined, safe_name
from bench.store.listing import list_runs
from bench.store.reader import open_run
from bench.store.reopen import reopen
from bench.store.writer import RunWriter

VALID = Verdict(status=Status.VALID)
CASE = Case(device="local", model="net")
DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000


def trace(start_ns: int) -> PowerTrace:
    t_ns = np.arange(start_ns, start_ns + 50, 10, dtype=np.int64)
    return PowerTrace(("VDD_IN",), "W", t_ns, t_ns + 3, np.full((5, 1), float(start_ns)))


def recording(loads: int) -> Recording:
    """An idle line before the round of each fresh load, and one at the end."""
    idle, rounds = [], []
    for load in range(loads):
        at_ns = 1000 * (load + 1)
        idle.append(IdleLine("before", (at_ns, at_ns + 50), trace(at_ns)))
        window = (at_ns + 100, at_ns + 140)
        durations = np.array([20, 20])
        rounds.append(
            Round(load, "energy", at_ns + 100, durations, window, trace(at_ns + 100), load=load)
        )
    idle.append(IdleLine("after", (90_000, 90_050), trace(90_000)))
    return Recording("k", None, None, None, tuple(rounds), tuple(idle), (), finished=True)


def write_run(results: Path, run_id: str = "run", loads: int = 1) -> Path:
    writer = RunWriter.create(
        results,
        Manifest(
            run_id=run_id,
            started_at="2026-11-24T03:50:12+00:00",
            command=("bench",),
            git_revision=None,
            versions={},
            procedure=PROCEDURES["quick"],
            devices={"local": {}},
            cases=(CASE,),
        ),
    )
    writer.append(
        Trial(
            trial_id="t001",
            run_id=run_id,
            case=CASE,
            latency_status=VALID,
            energy_status=VALID,
            memory_status=VALID,
        ),
        recording(loads),
    )
    writer.save_job(
        JobFacts(device="local", job_id="job", power=None, without_power=VALID, artifacts={})
    )
    writer.save_journal("job", b"")
    writer.close()
    return writer.path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "results")


def replaced(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DEEP, "nested more than"),
        ('{"a":' * (MOST_DEPTH + 1) + "1" + "}" * (MOST_DEPTH + 1), "nested more than"),
        ('{"a": NaN}', "NaN"),
        ('{"a": [-Infinity]}', "-Infinity"),
        ('{"a": 1e400}', "too large"),
        ('{"a": %s}' % ("9" * 400), "400 digits"),
        ('{"a": -%s}' % ("9" * 5000), "5000 digits"),
        ('{"a": "\\ud800"}', "half a character"),
        ('{"\\udfff": 1}', "half a character"),
        ("[]", "something else than a JSON object"),
        ("", "not JSON"),
        ('{"a": ', "not JSON"),
    ],
)  # fmt: skip
def test_malformed_json_is_told_in_one_line(text: str, said: str) -> None:
    with pytest.raises(MalformedJson, match=said) as caught:
        parse_object(text.encode())
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_json_that_we_write_ourselves_is_read() -> None:
    document = {"a": [1, -2.5e-9, None, True, "é\U0001f600", 2**63 - 1], "b": {"c": {}}}
    assert parse_object(json.dumps(document).encode()) == document
    assert parse_object(json.dumps(document, ensure_ascii=False).encode()) == document
    assert parse_object(b'{"a":' * MOST_DEPTH + b"1" + b"}" * MOST_DEPTH)


def test_an_error_without_words_is_named() -> None:
    assert first_line(ValueError("")) == "ValueError"
    assert first_line(ValueError("one\ntwo")) == "one"


@pytest.mark.parametrize("text", [DEEP, "[]", '{"a": NaN}', "{}"])
def test_a_bad_folder_is_listed_with_the_reason_and_costs_no_other(run: Path, text: str) -> None:
    write_run(run.parent, "other")
    (run / "manifest.json").write_text(text)
    listings = {listing.run_id: listing for listing in list_runs(run.parent)}
    assert listings["other"].problem == "" and listings["other"].trials == 1
    problem = listings["run"].problem
    assert str(run / "manifest.json") in problem and "restore it from a copy" in problem
    assert "\n" not in problem


@pytest.mark.parametrize("text", [DEEP, '{"schema_version": [[[]]]}', "9" * 5000])
def test_a_bad_trial_or_job_costs_itself_alone(run: Path, text: str) -> None:
    with (run / "trials.jsonl").open("a") as file:
        file.write(text + "\n")
    (run / "jobs" / "bad.json").write_text(text)
    found = open_run(run, run.parent)
    assert [trial.trial_id for trial in found.trials] == ["t001"]
    assert [job.facts.job_id for job in found.jobs] == ["job"]
    assert [problem.partition(":")[0] for problem in found.problems] == [
        "trials.jsonl line 2 is damaged",
        "jobs/bad.json is damaged",
    ]


BAD_IDS = ["../../x", "/etc/passwd", "a/b", "..", ".hidden", "-rf", "", "a b", "x" * 300, "a\\nb"]


@pytest.mark.parametrize("bad", BAD_IDS)
def test_ids_that_could_lead_elsewhere_are_refused(run: Path, bad: str) -> None:
    replaced(run / "trials.jsonl", '"t001"', f'"{bad}"')
    replaced(run / "jobs" / "job.json", '"job"', f'"{bad}"')
    found = open_run(run, run.parent)
    assert found.trials == () and found.jobs == ()
    assert all("cannot be a file name" in problem for problem in found.problems)
    assert len(found.problems) == 2
    replaced(run / "manifest.json", '"run_id": "run"', f'"run_id": "{bad}"')
    with pytest.raises(StoreError, match="cannot be a file name"):
        open_run(run, run.parent)


@pytest.mark.parametrize("name", ["nano", "a b", "../x", "", "x" * 300, "é", ".a", "a\n"])
def test_names_that_we_make_are_safe_ones(name: str) -> None:
    assert is_safe_name(safe_name(name))
    assert is_safe_name(name) == (name == "nano")


PARTS = ["manifest.json", "trials.jsonl", "jobs", "jobs/job.json", "journals", "raw", ".lock",
         "charts", "raw/t001.power.parquet", "report.html.tmp", "trials.jsonl.tmp"]  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_links_that_lead_out_of_a_run_are_refused(run: Path, tmp_path: Path, part: str) -> None:
    outside = tmp_path / "outside"
    inside = run / part
    if inside.exists():
        inside.rename(outside)
    else:
        outside.write_text("mine")
    inside.symlink_to(outside)
    with pytest.raises(StoreError, match="is a link that leads out of its run: remove it"):
        open_run(run, run.parent)
    with pytest.raises(StoreError, match="leads out"):
        reopen(run)
    (listing,) = list_runs(run.parent)
    assert "leads out" in listing.problem


def test_pipes_are_refused_and_links_inside_and_to_runs_are_not(run: Path, tmp_path: Path) -> None:
    (run / "latest.parquet").symlink_to("raw/t001.power.parquet")
    (tmp_path / "elsewhere").symlink_to(run)
    assert open_run(tmp_path / "elsewhere", tmp_path).trials
    (run / "trials.jsonl").unlink()
    os.mkfifo(run / "trials.jsonl")
    with pytest.raises(StoreError, match="neither a file nor a folder"):
        open_run(run, run.parent)


def test_the_idle_lines_of_all_loads_come_back(tmp_path: Path) -> None:
    run = write_run(tmp_path, loads=3)
    segments = open_run(run, tmp_path).power("t001")
    assert [segment.where for segment in segments] == [
        "idle-before",
        "round-0",
        "idle-before-2",
        "round-1",
        "idle-before-3",
        "round-2",
        "idle-after",
    ]
    for segment in segments:
        assert segment.trace.t_before_ns.size == 5
        assert (segment.trace.values == segment.trace.t_before_ns[0]).all()
        assert segment.trace.t_before_ns[0] == segment.window_ns[0]


def test_traces_that_share_a_name_as_they_once_did_are_read(tmp_path: Path) -> None:
    run = write_run(tmp_path, loads=3)
    parts = raw.segments(recording(3))
    old = [replace(part, where=part.where.removesuffix("-2").removesuffix("-3")) for part in parts]
    raw.power_path(run, "t001").write_bytes(raw.encode_power(old))
    segments = open_run(run, tmp_path).power("t001")
    (before,) = [segment for segment in segments if segment.where == "idle-before"]
    assert before.trace.t_before_ns.size == 15
    assert len(segments) == 5


def other_table(**columns: list[object]) -> pa.Table:
    return pa.table(columns).replace_schema_metadata({b"bench": b"{}"})


@pytest.mark.parametrize(
    "table",
    [
        other_table(a=[1]),
        other_table(round=["x"], kind=["latency"], t_ns=[1], duration_ns=[1]),
        other_table(round=[1], kind=["latency"], t_ns=[1], duration_ns=[-1]),
        other_table(round=[1], kind=["latency"], t_ns=[1], duration_ns=[None]),
        other_table(round=[1], kind=["latency"], t_ns=[1], duration_ns=[1], copy_ns=[2**60 + 1]),
        other_table(where=["round-0"], t_before_ns=[1], t_after_ns=[2]),
    ],
)
def test_samples_of_another_shape_are_one_line(run: Path, table: pa.Table) -> None:
    for path in (run / "raw").iterdir():
        pq.write_table(table, path)
    found = open_run(run, run.parent)
    for read in (found.latency, found.power):
        with pytest.raises(StoreError, match="cannot read") as caught:
            read("t001")
        assert "\n" not in str(caught.value)


def test_what_vanishes_while_a_run_is_read_is_no_problem_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "passing")
    real = os.scandir

    def scandir(path: Any) -> Iterator[os.DirEntry[str]]:
        for entry in real(path):
            Path(entry.path).unlink()
            yield entry

    monkeypatch.setattr("bench.store.files.os.scandir", scandir)
    require_confined(tmp_path)
    assert not (tmp_path / "passing").exists()
