"""Removing a run: out of sight at once, then from the disk."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from bench.errors import ConfigError, StoreError, suggest
from bench.store.files import explained, sync_folder
from bench.store.folders import is_run, run_names
from bench.store.hold import hold, is_held
from bench.store.reader import open_run

_ASIDE = ".removing-"
"""How a folder's name begins that is being removed; hidden, so that it is no run any more."""


def find_whole_name(name: str, results_dir: Path) -> Path:
    """Return the folder of a run by its whole id, or by its path in the results folder.

    Raises:
        ConfigError: there is none of that name, it lies elsewhere, or it is a link.
    """
    path = results_dir / Path(name).name
    given = Path(name)
    elsewhere = given.name != name and given.parent.resolve() != results_dir.resolve()
    if elsewhere or not is_run(path):
        raise ConfigError(
            f"no run {name} in {results_dir} (to remove one takes its whole name); "
            f"{suggest(given.name, run_names(results_dir))}"
        )
    if path.is_symlink():
        raise ConfigError(f"{path} is a link to a run; remove the link itself")
    return path


def reason_to_keep(path: Path) -> str:
    """Return in one line why a run should not be removed yet, empty when nothing speaks for it."""
    if is_held(path):
        return f"{path.name}: a bench process is at work on it"
    try:
        waiting = open_run(path, path.parent).to_collect
    except StoreError as error:
        return f"{path.name}: it cannot be told whether boards still have jobs of it ({error})"
    if waiting:
        jobs = ", ".join(job.facts.job_id for job in waiting)
        return f"{path.name}: not collected yet: {jobs}; `bench attach {path.name}` does so"
    return ""


def remove_run(path: Path, *, force: bool) -> None:
    """Remove a run and all that is in its folder; links in it are removed, not followed.

    ``force``: also while a process is at work on it.

    Raises:
        StoreError: it is at work on, may not be removed, or could not be removed whole (then it
            is no run any more, and the message says where the rest lies).
    """
    aside = path.with_name(f"{_ASIDE}{path.name[:100]}-{secrets.token_hex(4)}")
    with explained("remove", path):
        try:
            held = hold(path)
        except BlockingIOError:
            if not force:
                raise StoreError(f"{path.name}: a bench process is at work on it") from None
            held = None
        try:
            path.rename(aside)
        finally:
            if held is not None:
                held.close()
        sync_folder(path.parent)
    try:
        shutil.rmtree(aside)
    except OSError as error:
        raise StoreError(
            f"{path.name} is no run any more, but {aside} could not be removed whole: "
            f"{error.strerror or error}"
        ) from error
