"""Runs of others, and runs that a failing disk left behind: readable, or refused in one line."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzzing import POWER, fuzz, places, with_value
from hypothesis import given
from hypothesis import strategies as st

from bench.agent import wire
from bench.analysis.compare import compare
from bench.analysis.conditions import match, subject
from bench.analysis.journal import recordings
from bench.analysis.validity import evaluate
from bench.cli.output import tables
from bench.errors import StoreError
from bench.fleet.evaluation import completed
from bench.plan.procedures import PROCEDURES
from bench.records.artifact import ArtifactFacts
from bench.records.case import Case
from bench.records.figures import SustainPoint, SustainStats
from bench.records.job import JobFacts
from bench.records.manifest import Manifest
from bench.records.status import Status, Verdict
from bench.report.details import details
from bench.report.page import write_report
from bench.report.rows import rows_by_device
from bench.report.sections import flattened
from bench.report.table import summary_table
from bench.store.listing import list_runs
from bench.store.reader import Run, open_run
from bench.store.writer import RunWriter

RECORDED = Path(__file__).with_name("recorded-journal.jsonl").read_bytes()
CASES = (
    Case(device="nano", model="net"),
    Case(device="nano", model="broken"),
    Case(device="nano", model="late"),
)
ARTIFACT = ArtifactFacts(
    graph_sha256="0" * 64, weights_sha256=None, file_bytes=1, opset=15, ir_version=8
)
POINT = SustainPoint(
    at_s=0, duration_s=1, p50_s=0.1, power_w=2, temperature_c=40, frequency_khz=1e6
)
PROBE = {
    "board": {"model": "a board", "compatible": ["x"]},
    "os": {"kernel": "5", "l4t": None},
    "sensors": [{"name": "ina3221", "channels": [{"name": "VDD_IN", "resolution_w": 0.04}]}],
}


def write_run(results: Path) -> Path:
    """A run with everything in it: measured, broken, and one case that waits to be evaluated."""
    manifest = Manifest(
        run_id="20261124-035012-nano-a1b2",
        started_at="2026-11-24T03:50:12+00:00",
        command=("bench", "run"),
        git_revision=None,
        versions={"python": "3.11"},
        procedure=PROCEDURES["quick"],
        devices={"nano": {"transport": "local"}},
        cases=CASES,
        probes={"nano": PROBE},
        device_errors={"nano": "lost"},
    )
    writer = RunWriter.create(results, manifest)
    keys = [case.key for case in CASES]
    records, _ = wire.decode_records(RECORDED)
    found = recordings(records, [], keys)
    for number, case in enumerate(CASES[:2], 1):
        trial = evaluate(
            found[case.key],
            case,
            PROCEDURES["quick"],
            POWER,
            run_id=manifest.run_id,
            trial_id=f"t00{number}",
            artifact=ARTIFACT,
        )
        sustain = SustainStats(
            points=(POINT, POINT),
            first_p50_s=0.1,
            steady_p50_s=0.1,
            steady_from_s=0,
            steady_power_w=2,
        )
        writer.append(trial.model_copy(update={"sustain": sustain}), found[case.key])
    renamed = [json.loads(json.dumps(record).replace(keys[0], keys[2])) for record in records]
    writer.save_job(
        JobFacts(
            device="nano",
            job_id="job",
            power=POWER,
            without_power=Verdict(status=Status.VALID),
            artifacts={keys[2]: ARTIFACT},
        )
    )
    end = {"kind": "end", "t_ns": 1, "reason": "finished"}
    journal = [*(record for record in renamed if record["kind"] != "end"), end]
    writer.save_journal("job", b"".join(map(wire.encode_record, journal)))
    writer.close()
    return writer.path


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("original"))


@pytest.fixture
def fresh(original: Path, tmp_path: Path) -> Callable[[], Path]:
    """Makes a new copy of the run, each time in the same place."""

    def copied() -> Path:
        path = tmp_path / original.name
        shutil.rmtree(path, ignore_errors=True)
        return Path(shutil.copytree(original, path))

    return copied


def used(path: Path) -> Run | None:
    """Everything that commands do with a run; ``None`` when it is refused in words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        (listed,) = list_runs(path.parent)
        assert "\n" not in listed.problem
        try:
            run = completed(open_run(path, path.parent))
        except StoreError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000
            assert path.name in str(error)
            return None
        assert all("\n" not in problem and len(problem) < 1000 for problem in run.problems)
        console = tables()
        with console.capture():
            console.print(summary_table(run))
        assert rows_by_device(run)
        json.dumps([trial.model_dump(mode="json") for trial in run.trials], allow_nan=False)
        subjects = [subject(trial, run.manifest) for trial in run.trials]
        for trial in run.trials:
            details(trial)
            list(flattened(run.manifest.probes.get(trial.case.device, {})))
            for read in (run.latency, run.power):
                try:
                    read(trial.trial_id)
                except StoreError as error:
                    assert "\n" not in str(error)
        for one, two in match(subjects, subjects)[0]:
            compare(one, two, 0.01)
        return run


def text_of(document: Any) -> bytes:
    return json.dumps(document).encode()


DEEP = 100_000
NONSENSE = [
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e300",
    b"-1e300",
    b"1e-300",
    b"1e999",
    b"NaN",
    b"-Infinity",
    b"9" * 400,
    b"9" * 5000,
    b"9" * 19,
    b'""',
    b'"x"',
    b'"../../x"',
    b'"\\ud800"',
    b'"\\u001b[2J\\u202e"',
    b'"' + b"long " * 1000 + b'"',
    b"[]",
    b"{}",
    b"[[1]]",
    b'{"a": {"b": [{}]}}',
    b"[" * 40 + b"]" * 40,
    b"[" * 600 + b"]" * 600,
    b"[" * DEEP + b"]" * DEEP,
    b'{"a":' * DEEP + b"1" + b"}" * DEEP,
]
DOCUMENTS = ("manifest.json", "trials.jsonl", "jobs/job.json")


@fuzz(80)
@given(st.data())
def test_any_value_may_be_nonsense(fresh: Callable[[], Path], data: st.DataObject) -> None:
    path = fresh()
    file = path / data.draw(st.sampled_from(DOCUMENTS))
    first, _, rest = file.read_bytes().partition(b"\n" if file.suffix == ".jsonl" else b"\0")
    document = json.loads(first)
    place = data.draw(st.sampled_from(places(document)))
    text = data.draw(st.sampled_from(NONSENSE))
    marked = text_of(with_value(document, place, "@"))
    file.write_bytes(marked.replace(b'"@"', text) + b"\n" + rest)
    run = used(path)
    if run is not None and file.name == "trials.jsonl":
        assert "t002" in {trial.trial_id for trial in run.trials}


@fuzz(40)
@given(st.data())
def test_any_file_may_be_cut_or_spoilt(fresh: Callable[[], Path], data: st.DataObject) -> None:
    path = fresh()
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size)
    file = data.draw(st.sampled_from(files))
    content = bytearray(file.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:at]
    else:
        content[at : at + 4] = data.draw(st.binary(max_size=4))
    file.write_bytes(content)
    used(path)


@pytest.mark.parametrize("file", DOCUMENTS)
@pytest.mark.parametrize("text", [b"", b"[1]", b"1", b'"x"', b"null", b"\xff\xfe", b"{" * DEEP])
def test_documents_may_be_something_else(fresh: Callable[[], Path], file: str, text: bytes) -> None:
    path = fresh()
    (path / file).write_bytes(text)
    run = used(path)
    assert (run is None) == (file == "manifest.json")


SPOILT = {
    "no source of power": (("facts", "power_source"), b"null"),
    "large figures": (("energy", "gross_j"), b"1e59"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_page_is_drawn_of_what_is_left(fresh: Callable[[], Path], what: str) -> None:
    path = fresh()
    file = path / "trials.jsonl"
    first, _, rest = file.read_bytes().partition(b"\n")
    place, text = SPOILT[what]
    marked = text_of(with_value(json.loads(first), place, "@"))
    file.write_bytes(marked.replace(b'"@"', text) + b"\n" + rest)
    run = used(path)
    assert run is not None
    assert write_report(run).page.is_file()
