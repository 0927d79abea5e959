"""`bench compare` as a person or a CI job calls it: output, formats, exit codes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from bench.analysis.validity import NO_SENSOR, evaluate
from bench.cli import cli
from bench.cli.compare import compare_command
from bench.errors import ConfigError, StoreError
from bench.plan.procedures import PROCEDURES
from bench.records.case import Case
from bench.records.manifest import Manifest
from bench.records.recordings import Recording, Round
from bench.store.writer import RunWriter

CASES = ("dense", "basis:0.25", "basis:0.5")


def write_run(results: Path, run_id: str, latencies_s: dict[str, float], **changes) -> None:
    """Store a run of one device without a power sensor, 40 latency rounds of 20 inferences."""
    cases = tuple(Case(device="nano", model="net", scheme=scheme) for scheme in latencies_s)
    procedure = PROCEDURES["standard"]
    fields = {
        "run_id": run_id,
        "started_at": "2026-11-24T03:50:12+00:00",
        "command": ("bench", "run"),
        "git_revision": None,
        "versions": {},
        "procedure": procedure,
        "devices": {"nano": {"transport": "local"}},
        "cases": cases,
    }
    writer = RunWriter.create(results, Manifest(**{**fields, **changes}))
    rng = np.random.default_rng(len(run_id))
    drift = rng.normal(0, 0.02, 40)
    for number, case in enumerate(cases):
        rounds = tuple(
            Round(
                index=i,
                kind="latency",
                start_ns=10**15 + (10 * i + number) * 10**8,
                durations_ns=np.round(
                    1e9 * latencies_s[case.scheme] * np.exp(drift[i] + rng.normal(0, 0.003, 20))
                ).astype(np.int64),
                background=0.0,
            )
            for i in range(40)
        )
        recording = Recording(case.key, None, None, None, rounds, (), (), finished=True)
        trial = evaluate(
            recording,
            case,
            procedure,
            None,
            run_id=run_id,
            trial_id=f"t{number + 1:03d}",
            energy_reason=NO_SENSOR,
        )
        writer.append(trial, recording)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    write_run(folder, "old", {"dense": 0.010, "basis:0.25": 0.0103, "basis:0.5": 0.0100})
    write_run(folder, "new-slower", {"dense": 0.012, "basis:0.25": 0.0124})
    write_run(folder, "other", {"pruned:0.5": 0.010})
    return folder


def call(results: Path, *args: str) -> Result:
    return CliRunner().invoke(
        cli, ["compare", *args, "--results", str(results)], standalone_mode=False
    )


def test_two_cases_of_one_run_are_paired(results):
    slower = call(results, "old#dense", "#basis:0.25")
    assert slower.return_value == 1
    assert "slower" in slower.stdout
    faster = call(results, "old#t002", "old#t001")
    assert faster.return_value == 0
    assert "faster" in faster.stdout
    document = json.loads(call(results, "old#t001", "#t003", "--json").stdout)
    assert document["outcome"] == "same"
    assert document["cases"][0]["quantities"][0]["method"] == "40 paired rounds"


def test_two_runs_match_their_cases(results):
    done = call(results, "old", "new-slower", "--format", "json")
    assert done.return_value == 1
    document = json.loads(done.stdout)
    assert [case["label"] for case in document["cases"]] == ["net dense", "net basis:0.25"]
    assert document["only_a"] == ["net basis:0.5"]
    assert document["cases"][0]["quantities"][0]["method"] == "two intervals"
    assert call(results, str(results / "old"), "new-slower").return_value == 1


def test_the_margin_decides_what_counts(results):
    assert call(results, "old", "new-slower", "--margin", "40%").return_value == 0
    assert call(results, "old", "new-slower", "--margin", "0.4").return_value == 0
    # 3 % on paired rounds against a margin of 3 %: neither within nor beyond.
    assert call(results, "old#dense", "#basis:0.25", "--margin", "3%").return_value == 3


def test_what_shifts_between_runs_is_allowed_for(results):
    """20 % slower: beyond 9 %, not beyond 30 % between runs; verdict and exit code agree."""
    allowed = call(results, "old", "new-slower", "--between-runs", "30%", "--json")
    assert allowed.return_value == 3
    document = json.loads(allowed.stdout)
    assert document["between_runs"] == 0.3
    assert document["cases"][0]["quantities"][0]["outcome"] == "inconclusive"
    lows = []
    for words in ([], ["--between-runs", "0"]):
        document = json.loads(call(results, "old", "new-slower", "--json", *words).stdout)
        lows.append(document["cases"][0]["quantities"][0]["low"])
    assert 1 < lows[0] < lows[1]
    assert "--between-runs" in call(results, "old", "new-slower").stdout
    paired = json.loads(call(results, "old#t001", "#t003", "--json").stdout)
    assert paired["cases"][0]["quantities"][0]["between_runs"] is None


def test_fail_on_chooses_what_decides(results):
    assert call(results, "old", "new-slower", "--fail-on", "size").return_value == 3
    assert call(results, "old", "new-slower", "--fail-on", "latency").return_value == 1


def test_formats_for_a_ci_job(results):
    junit = call(results, "old", "new-slower", "--format", "junit")
    suite = ET.fromstring(junit.stdout)
    assert suite.get("failures") == "2"
    assert junit.return_value == 1
    markdown = call(results, "old", "new-slower", "--format", "markdown")
    assert markdown.stdout.startswith("**worse**")
    explained = call(results, "old", "new-slower", "--explain")
    assert "compared by their intervals" in explained.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["old", "other"], "no case in common"),
        (["old", "old"], "old#t001 old#t002"),
        (["old#t001", "old#t001"], "same trial"),
        (["old#t009", "old#t001"], "names no case"),
        (["old#basis", "old#t001"], "names several cases"),
        (["old", "new-slower", "--fail-on", "speed"], "no quantity 'speed'"),
    ],
)
def test_wrong_usage_is_one_line_that_says_what_to_do(results, args, words):
    done = call(results, *args)
    assert isinstance(done.exception, ConfigError)
    assert words in str(done.exception)
    assert "\n" not in str(done.exception)
    assert done.stdout == ""


def test_a_file_instead_of_stdout(results, tmp_path):
    for style, begin in (("junit", b"<?xml"), ("markdown", b"**worse**"), ("json", b"{")):
        path = tmp_path / f"out.{style}"
        done = call(results, "old", "new-slower", "--format", style, "-o", str(path))
        assert done.return_value == 1
        assert done.stdout == ""
        assert "worse: margin 1 %" in done.stderr
        assert path.read_bytes().startswith(begin)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["-o", "there"], "--format json, markdown or junit"),
        (["--format", "junit", "-o", "no-such-folder/x.xml"], "no folder no-such-folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_said_first(results, args, words):
    done = call(results, "old", "new-slower", *args)
    assert isinstance(done.exception, ConfigError)
    assert words in str(done.exception)


def test_a_run_that_is_not_there(results):
    done = call(results, "old", "nowhere")
    assert isinstance(done.exception, StoreError)
    assert "nowhere" in str(done.exception)


@pytest.mark.parametrize("margin", ["-1%", "much", "100%", "nan"])
def test_a_margin_that_is_none(results, margin):
    done = call(results, "old", "new-slower", "--margin", margin)
    assert "write it as 1% or 0.01" in str(done.exception)


def test_it_is_listed_in_the_help():
    done = CliRunner().invoke(compare_command, ["--help"])
    assert "Exit code: 0 same or better, 1 worse" in " ".join(done.stdout.split())
