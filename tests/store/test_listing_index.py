"""The index behind `bench results list` saves time and is never wrong."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from stored_runs import Recipe, age, store

from bench.records.case import Case
from bench.store import listing
from bench.store.files import TRIALS_FILE, append_line
from bench.store.listing import INDEX_FILE, list_runs
from bench.store.probes import encode_probe, probe_path


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for day in (1, 2, 3):
        store(tmp_path / "results", Recipe(f"2026110{day}-run", f"2026-11-0{day}T00:00:00+00:00"))
    return tmp_path / "results"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the runs that are read, and not taken from the index."""
    names: list[str] = []
    really = listing._read

    def told(path: Path) -> listing.RunListing:
        names.append(path.name)
        return really(path)

    monkeypatch.setattr(listing, "_read", told)
    return names


def test_what_has_not_changed_is_not_read_again(results: Path, read: list[str]) -> None:
    first = list_runs(results)
    assert len(read) == 3 and [item.trials for item in first] == [2, 2, 2]
    read.clear()
    assert list_runs(results) == first
    assert read == []


def test_a_run_that_changed_is_read_again(results: Path, read: list[str]) -> None:
    list_runs(results)
    read.clear()
    run = results / "20261102-run"
    lines = (run / TRIALS_FILE).read_bytes().splitlines()
    (run / TRIALS_FILE).write_bytes(lines[0] + b"\n")
    assert [item.trials for item in list_runs(results)] == [2, 1, 2]
    assert read == ["20261102-run"]
    append_line(run / TRIALS_FILE, lines[1])
    assert [item.trials for item in list_runs(results)] == [2, 2, 2]
    assert read == ["20261102-run"] * 2


def test_a_change_that_keeps_size_and_time_is_seen(results: Path) -> None:
    list_runs(results)
    manifest = results / "20261101-run" / "manifest.json"
    before = manifest.stat()
    text = manifest.read_text().replace('"orin"', '"nano"')
    assert len(text) == before.st_size
    new = manifest.with_name("new")
    new.write_text(text)
    os.utime(new, ns=(before.st_mtime_ns, before.st_mtime_ns))
    folder = manifest.parent.stat()
    new.replace(manifest)
    os.utime(manifest.parent, ns=(folder.st_mtime_ns, folder.st_mtime_ns))
    assert list_runs(results)[0].devices == ("nano",)


def test_a_run_that_changed_a_moment_ago_is_read_until_it_rests(
    results: Path, read: list[str]
) -> None:
    store(results, Recipe("20261104-run", "2026-11-04T00:00:00+00:00"), old=False)
    list_runs(results)
    read.clear()
    list_runs(results)
    assert read == ["20261104-run"]
    age(results / "20261104-run")
    list_runs(results)
    read.clear()
    list_runs(results)
    assert read == []


def test_a_job_that_is_collected_changes_its_run(results: Path) -> None:
    run = store(results, Recipe("20261105-run", "2026-11-05T00:00:00+00:00", collected=False))
    assert list_runs(results)[-1].to_collect == 1
    (job,) = (run.path / "jobs").iterdir()
    job.write_text(job.read_text().replace('"end": null', '"end": {"state": "lost"}'))
    assert list_runs(results)[-1].to_collect == 0


def test_what_a_board_told_is_watched_as_well(results: Path) -> None:
    run = results / "20261103-run"
    probe = probe_path(run, "orin")
    probe.write_bytes(encode_probe("orin", {"os": {"kernel": "5.15"}}))
    age(run)
    assert list_runs(results)[-1].problem == ""
    probe.write_text("{")
    assert "probes/orin.json is damaged" in list_runs(results)[-1].problem


def test_a_removed_run_leaves_the_index(results: Path) -> None:
    list_runs(results)
    shutil.rmtree(results / "20261101-run")
    assert [item.run_id for item in list_runs(results)] == ["20261102-run", "20261103-run"]
    assert "20261101-run" not in (results / INDEX_FILE).read_text()


def damaged(index: Path) -> None:
    index.write_text('{"version": 1, "runs": {')


def of_another_shape(index: Path) -> None:
    entry = {"20261101-run": ["x", {"run_id": "20261101-run", "devices": 3}]}
    index.write_text(json.dumps({"version": 1, "runs": entry}))


def of_a_newer_version(index: Path) -> None:
    index.write_text('{"version": 99}')


def a_link(index: Path) -> None:
    index.unlink()
    index.symlink_to("/etc/passwd")


def a_pipe(index: Path) -> None:
    index.unlink()
    os.mkfifo(index)


def a_folder_that_stays(index: Path) -> None:
    index.unlink()
    (index / "in the way").mkdir(parents=True)


@pytest.mark.parametrize(
    "spoil",
    [damaged, of_another_shape, of_a_newer_version, a_link, a_pipe, a_folder_that_stays],
)
def test_a_spoilt_index_is_passed_over(results: Path, spoil) -> None:
    good = list_runs(results)
    spoil(results / INDEX_FILE)
    assert list_runs(results) == good
    assert list_runs(results) == good
    assert not list(results.glob("*.tmp")), "a temporary file was left behind"


def test_several_at_once_agree(results: Path) -> None:
    def lists(number: int) -> list[str]:
        (results / INDEX_FILE).unlink(missing_ok=True)
        return [item.run_id for item in list_runs(results)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lists, range(24)))
    assert all(item == found[0] for item in found) and len(found[0]) == 3


def test_what_is_wrong_with_a_run_is_never_from_the_index(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told with the path by which the folder was reached."""
    bad = results / "20261106-bad"
    bad.mkdir()
    (bad / "manifest.json").write_text("{}")
    age(bad)
    list_runs(results)
    monkeypatch.chdir(results.parent)
    assert list_runs(Path("results"))[0].problem.startswith("results/20261106-bad/manifest.json")


def test_models_and_devices_are_listed(tmp_path: Path) -> None:
    cases = (Case(device="a", model="one"), Case(device="a", model="two"))
    store(tmp_path, Recipe(cases=cases, power=None))
    (item,) = list_runs(tmp_path)
    assert (item.devices, item.models) == (("a",), ("one", "two"))
