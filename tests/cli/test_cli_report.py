"""`bench report` as a person calls it: of one run and of several, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.analysis.validity import NO_SENSOR, evaluate
from bench.cli import main
from bench.plan.procedures import PROCEDURES
from bench.records.case import Case
from bench.records.manifest import Manifest
from bench.records.recordings import Recording, Round
from bench.store.writer import RunWriter


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two runs of a case, a day apart, and a run without any trial."""
    folder = tmp_path / "results"
    case = Case(device="nano", model="net")
    for day, p50_ns in ((24, 10**6), (25, 2 * 10**6), (26, None)):
        manifest = Manifest(
            run_id=f"202611{day}-nano",
            started_at=f"2026-11-{day}T03:50:12+00:00",
            command=("bench", "run"),
            git_revision=None,
            versions={},
            procedure=PROCEDURES["standard"],
            devices={"nano": {}},
            cases=(case,),
        )
        writer = RunWriter.create(folder, manifest)
        if p50_ns is None:
            continue
        rounds = tuple(
            Round(i, "latency", 10**12 * (i + 1), np.full(20, p50_ns + 100 * i)) for i in range(10)
        )
        recording = Recording(case.key, None, None, None, rounds, (), (), finished=True)
        trial = evaluate(
            recording,
            case,
            manifest.procedure,
            None,
            run_id=manifest.run_id,
            trial_id="t001",
            energy_reason=NO_SENSOR,
        )
        writer.append(trial, recording)
    return folder


def said_by(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = main(list(args))
    out, err = capsys.readouterr()
    return code, out, err


def test_the_latest_run_with_a_trial_unless_one_is_named(results, capsys) -> None:
    where = ("--results", str(results))
    code, _, err = said_by(capsys, "report", *where)
    assert code == 0
    assert err.splitlines()[0] == str(results / "20261125-nano" / "report.html")
    code, out, _ = said_by(capsys, "report", "20261124", "--json", *where)
    assert code == 0
    found = json.loads(out)
    assert found["run_id"] == "20261124-nano"
    assert all(Path(path).is_file() for path in found["files"])


def test_a_page_elsewhere_leaves_the_run_as_it_is(results, tmp_path, capsys) -> None:
    page = tmp_path / "here.html"
    code, _, err = said_by(capsys, "report", "-o", str(page), "--results", str(results))
    assert (code, err.strip()) == (0, str(page))
    assert "1.000 ms" not in page.read_text() and "2.000 ms" in page.read_text()
    assert not (results / "20261125-nano" / "charts").exists()


def test_several_runs_make_one_page_in_the_results_folder(results, capsys) -> None:
    where = ("--results", str(results))
    code, out, _ = said_by(capsys, "report", "20261125", "20261124", "--json", *where)
    assert code == 0
    found = json.loads(out)
    assert found["run_ids"] == ["20261125-nano", "20261124-nano"]
    (page,) = map(Path, found["files"])
    assert page == results / "report-20261125-nano-and-1-more.html"
    text = page.read_text()
    assert "latency inconclusive: +100.0 %" in text, "both were interrupted"
    # The page is no run.
    code, out, _ = said_by(capsys, "results", "list", "--json", *where)
    assert len(json.loads(out)) == 3


@pytest.mark.parametrize(
    "odd", ["who knows", "0001-01-01T00:00:00", "9999-12-31T23:59:59-05:00", "2026-11-24T03:50:12"]
)
def test_a_run_with_an_odd_time_is_on_the_page_of_several(results, capsys, odd) -> None:
    """Of no zone, in no year that can be, or no time at all: it may come from anybody."""
    manifest = results / "20261124-nano" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("2026-11-24T03:50:12+00:00", odd))
    names = ("20261124", "20261125")
    code, _, err = said_by(capsys, "report", *names, "--results", str(results))
    assert (code, len(err.splitlines())) == (0, 1)
    text = Path(err.strip()).read_text()
    assert "energy of each case over time" in text and odd[:16].replace("T", " ") in text


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("20261124", "20261124-nano"), "20261124-nano is named twice; name every run once"),
        (("20261124", "nothing"), "no run nothing in"),
        (("20261124", "-o", "{tmp}"), "it is a folder; name a file"),
        (("20261124", "-o", "{tmp}/missing/page.html"), "missing; make it first"),
        (("20261124", "20261125", "-o", "{tmp}/missing/page.html"), "missing; make it first"),
    ],
)
def test_what_cannot_be_done_is_one_line(results, tmp_path, capsys, args, words) -> None:
    filled = [arg.format(tmp=tmp_path) for arg in args]
    code, _, err = said_by(capsys, "report", *filled, "--results", str(results))
    assert code == 2
    assert words in err
    assert len(err.splitlines()) == 1


def test_a_run_without_a_trial_has_a_page_too(results, capsys) -> None:
    code, _, err = said_by(capsys, "report", "20261126", "--results", str(results))
    assert code == 0
    assert "Nothing to say" in Path(err.splitlines()[0]).read_text()
    code, _, _ = said_by(capsys, "report", "20261126", "20261125", "--results", str(results))
    assert code == 0
