"""Removing runs: nothing that is still needed, nothing outside, nothing by halves."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from stored_runs import Recipe, store

from bench.errors import ConfigError, StoreError
from bench.records.manifest import Manifest
from bench.store import removal
from bench.store.hold import hold
from bench.store.listing import list_runs
from bench.store.removal import find_whole_name, reason_to_keep, remove_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return store(tmp_path / "results").path


def test_links_in_a_run_are_removed_and_not_followed(run: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("still here")
    (run / "raw" / "out").symlink_to(precious)
    remove_run(run, force=False)
    assert not run.exists() and list(run.parent.glob("[!.]*")) == []
    assert (precious / "file").read_text() == "still here"


def test_a_link_to_a_run_and_a_run_elsewhere_are_refused(run: Path, tmp_path: Path) -> None:
    (run.parent / "link").symlink_to(run)
    with pytest.raises(ConfigError, match="is a link"):
        find_whole_name("link", run.parent)
    other = store(tmp_path / "other").path
    with pytest.raises(ConfigError, match="no run"):
        find_whole_name(str(other), run.parent)
    for name in ("..", ".", "/", "20261124", f"../results/../other/{other.name}"):
        with pytest.raises(ConfigError, match="no run"):
            find_whole_name(name, run.parent)
    assert find_whole_name(str(run), run.parent) == run
    assert find_whole_name(run.name, run.parent) == run


def test_a_run_at_work_is_kept(run: Path) -> None:
    held = hold(run)
    assert "at work" in reason_to_keep(run)
    with pytest.raises(StoreError, match="at work"):
        remove_run(run, force=False)
    assert run.is_dir()
    remove_run(run, force=True)
    held.close()
    assert not run.exists()


def test_a_run_with_jobs_on_boards_is_kept(tmp_path: Path) -> None:
    run = store(tmp_path, Recipe(collected=False)).path
    assert f"bench attach {run.name}" in reason_to_keep(run)
    assert reason_to_keep(store(tmp_path, Recipe("other")).path) == ""


def test_a_run_that_cannot_be_read_may_have_jobs_and_is_kept(run: Path) -> None:
    (run / "manifest.json").write_text("{}")
    assert "cannot be told" in reason_to_keep(run)
    remove_run(run, force=True)
    assert not run.exists()


def test_what_could_not_be_removed_is_no_run_any_more(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(removal.shutil, "rmtree", fails)
    with pytest.raises(StoreError, match="could not be removed whole: Input/output error"):
        remove_run(run, force=False)
    assert list_runs(run.parent) == []
    (left,) = run.parent.glob(".removing-*")
    shutil_rmtree(left)


shutil_rmtree = shutil.rmtree


def test_an_older_run_can_be_removed(tmp_path: Path) -> None:
    """One from before there were jobs and locks."""
    run = tmp_path / "old"
    run.mkdir()
    fields = store(tmp_path / "other").manifest.model_dump(mode="json")
    needed = {name: fields[name] for name, at in Manifest.model_fields.items() if at.is_required()}
    (run / "manifest.json").write_text(Manifest(**needed).model_dump_json())
    assert reason_to_keep(run) == ""
    remove_run(run, force=False)
    assert not run.exists()
