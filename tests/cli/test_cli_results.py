"""`bench results`: many runs, chosen, followed, written out and removed; and bad input."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from stored_runs import Recipe, store

from bench.agent import wire
from bench.cli import main
from bench.cli.results import RESULTS_COMMANDS
from bench.records.case import Case
from bench.records.manifest import Manifest
from bench.records.trial import Trial
from bench.store.hold import hold

DAYS = ((1, "orin", "net"), (2, "orin", "other"), (3, "nano", "net"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for day, device, model in DAYS:
        at = f"2026-11-0{day}T12:00:00+00:00"
        store(
            folder,
            Recipe(f"2026110{day}-run", at, (Case(device=device, model=model),), p50_ms=5 + day),
        )
    return folder


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "results"))


class Said:
    """What a command said, with its exit code."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *command: str | Path) -> None:
        self.code = main(["results", *map(str, command)])
        self.out, self.err = capsys.readouterr()

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.mark.parametrize("name", RESULTS_COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, name, "--help")
    assert said.code == 0 and f"Usage: bench results {name}" in said.out


def test_a_misspelt_command_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "lisst")
    assert said.code == 2 and "did you mean 'list'" in said.err


def test_listing_imports_nothing_heavy_once_there_is_an_index(results: Path) -> None:
    heavy = ("numpy", "pyarrow", "duckdb", "pydantic", "scipy", "matplotlib", "paramiko")
    code = (
        "import sys\n"
        "from bench.cli import main\n"
        f"main(['results', 'list', '--results', {str(results)!r}])\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "20261103-run" in done.stdout


@pytest.mark.parametrize(
    ("options", "days"),
    [
        ((), (1, 2, 3)),
        (("--device", "orin"), (1, 2)),
        (("--device", "orin,nano", "--model", "net"), (1, 3)),
        (("--model", "other"), (2,)),
        (("--since", "2026-11-02T12:00:00+00:00"), (2, 3)),
        (("--since", "2026-11-03"), (3,)),
        (("--since", "1m"), ()),
        (("--model", "nobody"), ()),
    ],
)
def test_runs_are_chosen(
    results: Path, options: tuple[str, ...], days: tuple[int, ...], capsys, monkeypatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    where = ("--results", results)
    said = Said(capsys, "list", *options, *where, "--json")
    assert [item["run_id"] for item in said.document] == [f"2026110{day}-run" for day in days]
    said = Said(capsys, "list", *options, *where)
    lines = said.out.splitlines()
    assert said.code == 0
    if days:
        assert [line.split()[0] for line in lines] == ["run", *(f"2026110{d}-run" for d in days)]
    else:
        assert lines == [] and "fits" in said.err


@pytest.mark.parametrize("when", ["yesterday", "2026-13-01", "7", "7y", "999999w"])
def test_a_time_that_is_none_is_one_line(tmp_path: Path, when: str, capsys) -> None:
    said = Said(capsys, "list", "--since", when, "--results", tmp_path)
    assert said.code == 2 and "write it as 2026-11-24" in said.err


def test_a_name_cannot_command_the_terminal_or_break_a_line(tmp_path: Path, capsys) -> None:
    store(tmp_path, Recipe(cases=(Case(device="o\nri\x1b[2Jn", model="net"),), power=None))
    said = Said(capsys, "list", "--results", tmp_path)
    assert len(said.out.splitlines()) == 2 and "\x1b" not in said.out


def test_trend_shows_a_case_over_time(results: Path, capsys) -> None:
    store(
        results,
        Recipe(
            "20261104-run",
            "2026-11-04T12:00:00+00:00",
            (Case(device="orin", model="net"),),
            engine_version="1.24.0",
        ),
    )
    said = Said(capsys, "trend", "--device", "orin", "--model", "net", "--results", results)
    assert said.code == 0
    assert "runtime version: 1.23.0 →" in said.out and "20261103-run" not in said.out
    (trend,) = Said(
        capsys, "trend", "--device", "orin", "--model", "net", "--results", results, "--json"
    ).document
    assert trend["case"]["model"] == "net"
    first, last = trend["points"]
    assert (first["run_id"], last["run_id"]) == ("20261101-run", "20261104-run")
    assert first["p50_s"]["value"] == pytest.approx(0.006, rel=0.01)
    assert last["changes"] == [{"name": "runtime version", "a": "1.23.0", "b": "1.24.0"}]


def test_percentiles_of_all_or_of_named_runs(results: Path, capsys) -> None:
    every = Said(capsys, "percentiles", "--results", results, "--json").document
    assert [item["runs"] for item in every] == [1, 1, 1]
    (one,) = Said(capsys, "percentiles", "20261101", "--results", results, "--json").document
    assert one["p50_s"] == pytest.approx(0.006, rel=0.01) and one["p99.9_s"] is None
    said = Said(capsys, "percentiles", "--results", results)
    assert said.code == 0 and "single-stream" in said.out


def test_export_of_named_and_of_chosen_runs(results: Path, tmp_path: Path, capsys) -> None:
    target = tmp_path / "t.parquet"
    said = Said(capsys, "export", "20261103-run", "20261101", "-o", target, "--results", results)
    assert said.code == 0 and "2 trials" in said.err
    assert pq.read_table(target)["device"].to_pylist() == ["nano", "orin"]
    said = Said(capsys, "export", "-o", target, "--model", "net", "--results", results, "--json")
    assert said.document == {"file": str(target), "format": "parquet", "rows": 2}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("-o", "{}/t.xlsx"), ".parquet, .csv, .json"),
        (("-o", "{}/no/t.csv"), "make it first"),
        (("-o", "{}", "--format", "csv"), "is a folder"),
        (("-o", "{}/t.json", "--samples"), "take parquet or csv"),
        (("20261109-run", "-o", "{}/t.csv"), "no run 20261109-run"),
    ],
)
def test_an_export_that_cannot_be_is_one_line(
    results: Path, tmp_path: Path, more: tuple[str, ...], words: str, capsys
) -> None:
    before = sorted(tmp_path.iterdir())
    arguments = [part.format(tmp_path) for part in more]
    said = Said(capsys, "export", *arguments, "--results", results)
    assert said.code == 2 and words in said.err and len(said.err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_an_export_of_a_folder_that_is_not_there(tmp_path: Path, capsys) -> None:
    target = tmp_path / "t.csv"
    said = Said(capsys, "export", "-o", target, "--results", tmp_path / "gone")
    assert said.code == 2 and not target.exists()
    words = f"there is no results folder {tmp_path / 'gone'}; name it with --results"
    assert said.err == f"bench: {words}\n"


@pytest.mark.parametrize("command", ["trend", "percentiles"])
def test_runs_without_a_trial_are_not_called_missing(
    results: Path, tmp_path: Path, command: str, capsys
) -> None:
    for run in results.glob("2026*"):
        (run / "trials.jsonl").unlink()
        for folder in ("jobs", "journals"):
            shutil.rmtree(run / folder, ignore_errors=True)
    said = Said(capsys, command, "--results", results)
    assert (said.code, said.out) == (0, "")
    assert said.err == f"no run in {results} has a trial; `bench results list` says why\n"


def test_trace_writes_what_perfetto_opens(results: Path, tmp_path: Path, capsys) -> None:
    target = tmp_path / "run.perfetto.json"
    said = Said(capsys, "trace", "20261101", "-o", target, "--results", results, "--every", "50")
    assert said.code == 0 and "left out: all but one in 50" in said.err
    assert json.loads(target.read_text())["traceEvents"]
    said = Said(capsys, "trace", "20261101", "-o", target, "--results", results, "--json")
    assert said.document["every_inference"] == 1 and said.document["left_out"] == []
    for more, words in ((("--device", "x"), "no device"), (("--trial", "x"), "no trial")):
        said = Said(capsys, "trace", "20261101", "-o", target, "--results", results, *more)
        assert said.code == 2 and words in said.err


def test_what_a_lost_host_did_not_evaluate_is_part_of_the_data(tmp_path: Path, capsys) -> None:
    run = store(tmp_path / "results", Recipe(evaluated=False))
    assert run.trials == ()
    found = Said(capsys, "percentiles", "--results", run.path.parent, "--json").document
    assert [item["samples"] for item in found] == [400, 200]


def test_rm_needs_a_yes_without_a_terminal(results: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115, PTH123
    said = Said(capsys, "rm", "20261101-run", "--results", results)
    assert said.code == 2 and "--yes removes 20261101-run" in said.err
    assert (results / "20261101-run").is_dir()
    said = Said(capsys, "rm", "20261101-run", "20261102-run", "--yes", "--results", results)
    assert said.code == 0
    assert [path.name for path in results.iterdir() if path.is_dir()] == ["20261103-run"]
    listed = Said(capsys, "list", "--results", results, "--json").document
    assert [item["run_id"] for item in listed] == ["20261103-run"]


@pytest.mark.parametrize(("answer", "left"), [(b"n\n", True), (b"y\n", False)])
def test_rm_asks_at_a_terminal(results: Path, answer: bytes, left: bool) -> None:
    leader, follower = pty.openpty()
    program = "import sys; from bench.cli import main; sys.exit(main())"
    command = ["results", "rm", "20261101-run", "--results", str(results)]
    os.write(leader, answer)
    done = subprocess.run(
        [sys.executable, "-c", program, *command], stdin=follower, capture_output=True, check=True
    )
    os.close(leader)
    os.close(follower)
    assert b"Remove?" in done.stderr
    assert (results / "20261101-run").is_dir() is left


def test_rm_removes_none_where_one_is_still_needed(results: Path, capsys) -> None:
    waiting = store(results, Recipe("20261105-run", collected=False)).path
    held = hold(results / "20261102-run")
    names = ("20261101-run", "20261102-run", waiting.name)
    said = Said(capsys, "rm", *names, "--yes", "--results", results)
    assert said.code == 2
    assert "20261102-run: a bench process is at work" in said.err
    assert "bench attach 20261105-run" in said.err and "--force" in said.err
    assert all((results / name).is_dir() for name in names)
    said = Said(capsys, "rm", *names, "--yes", "--force", "--results", results, "--json")
    held.close()
    assert said.document == {"removed": list(names)}


def test_rm_takes_whole_names_only(results: Path, capsys) -> None:
    said = Said(capsys, "rm", "2026110", "--yes", "--results", results)
    assert said.code == 2 and "whole name" in said.err
    said = Said(capsys, "rm", results / "20261101-run", "--yes", "--results", results)
    assert said.code == 0 and not (results / "20261101-run").exists()


COMMANDS = (
    ("list",),
    ("show", "odd"),
    ("trend",),
    ("percentiles",),
    ("export", "-o", "{}/t.csv"),
    ("export", "--samples", "-o", "{}/s.parquet"),
)


def all_of_them(results: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> list[Said]:
    return [
        Said(capsys, *(part.format(folder) for part in command), "--results", results)
        for command in COMMANDS
    ]


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("odd", failed=(0, 1)),
        Recipe("odd", power=None),
        Recipe("odd", cases=(Case(device="a", model="net"),)),
        Recipe("odd", collected=False),
        Recipe("odd", manifest={"finished_at": None, "interrupted": True}),
        Recipe("odd", started_at="who knows"),
    ],
    ids=["failed", "no-energy", "one-trial", "nothing-collected", "cut-short", "odd-time"],
)
def test_every_run_is_told_sensibly(
    tmp_path: Path, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    store(tmp_path / "results", recipe)
    for said in all_of_them(tmp_path / "results", tmp_path, capsys):
        assert said.code == 0 and "Traceback" not in said.err
    assert "odd" in Said(capsys, "list", "--results", tmp_path / "results").out


def first_format(run: Path) -> None:
    """Leave nothing in a run that its first version did not have to have."""

    def least(model: type[Any], document: dict[str, Any]) -> dict[str, Any]:
        needed = [name for name, at in model.model_fields.items() if at.is_required()]
        return {name: document[name] for name in needed}

    manifest = run / "manifest.json"
    manifest.write_text(json.dumps(least(Manifest, json.loads(manifest.read_text()))))
    lines = (run / "trials.jsonl").read_text().splitlines()
    kept = ("latency", "energy", "schema_version")
    old = []
    for line in map(json.loads, lines):
        old.append({**least(Trial, line), **{name: line[name] for name in kept}})
    (run / "trials.jsonl").write_text("\n".join(map(json.dumps, old)) + "\n")
    for path in (*(run / "jobs").iterdir(), run / ".lock"):
        path.unlink()


def test_a_run_of_the_first_format_is_read_like_any_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = store(tmp_path / "results", Recipe("odd")).path
    first_format(run)
    for said in all_of_them(run.parent, tmp_path, capsys):
        assert said.code == 0 and "Traceback" not in said.err
    (one, _) = Said(capsys, "percentiles", "--results", run.parent, "--json").document
    assert one["samples"] == 400
    said = Said(capsys, "trace", "odd", "-o", tmp_path / "t.json", "--results", run.parent)
    assert said.code == 2 and "it has no journal with a round" in said.err


@pytest.mark.parametrize(
    ("spoil", "words", "cases"),
    [
        (lambda run: (run / "manifest.json").write_text("{"), "manifest.json is damaged", 3),
        (lambda run: (run / "manifest.json").write_text('{"schema_version": 99}'), "update", 3),
        (lambda run: (run / "raw" / "out").symlink_to("/etc"), "leads out of its run", 3),
        # Its journal still has what the line had.
        (lambda run: (run / "trials.jsonl").write_text("{}\n"), "line 1 is damaged", 4),
    ],
    ids=["damaged", "newer", "link", "line"],
)
def test_a_bad_run_costs_itself_alone(
    results: Path, tmp_path: Path, spoil: Any, words: str, cases: int, capsys
) -> None:
    bad = store(results, Recipe("20261107-bad", "2026-11-07T00:00:00+00:00")).path
    spoil(bad)
    assert words in Said(capsys, "list", "--results", results).out
    for command in COMMANDS[2:]:
        said = Said(capsys, *(part.format(tmp_path) for part in command), "--results", results)
        assert (said.code, words in said.err) == (1, True)
    assert len(Said(capsys, "trend", "--results", results, "--json").document) == cases


def test_a_folder_without_runs_says_so(tmp_path: Path, capsys) -> None:
    (tmp_path / "results" / "no-run").mkdir(parents=True)
    for said in [
        Said(capsys, name, "--results", tmp_path / "results")
        for name in ("list", "trend", "percentiles")
    ]:
        assert said.code == 0 and "`bench run` makes one" in said.err and said.out == ""


def test_a_journal_that_is_missing_leaves_a_timeline_of_the_rest(
    results: Path, tmp_path: Path, capsys
) -> None:
    run = results / "20261101-run"
    (journal,) = (run / "journals").iterdir()
    newer = {"kind": "start", "version": wire.WIRE_VERSION + 1, "t_ns": 1}
    journal.write_bytes(wire.encode_record(newer) + journal.read_bytes())
    said = Said(capsys, "trace", run.name, "-o", tmp_path / "t.json", "--results", results)
    assert said.code == 2 and "update bench" in said.err and len(said.err.splitlines()) == 1
