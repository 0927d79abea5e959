"""Going on with a run that is on the disk already."""

from __future__ import annotations

from pathlib import Path

from bench.store.files import explained
from bench.store.reader import open_run
from bench.store.writer import FOLDERS, RunWriter


def reopen(path: Path) -> RunWriter:
    """Hold the folder of a stored run for writing.

    Raises:
        BlockingIOError: another process is at work on it.
        OSError: it cannot be written to.
        StoreError: its manifest cannot be read.
    """
    writer = RunWriter(path, open_run(path, path.parent).manifest)
    try:
        # Somebody else may have written it before the folder was ours.
        run = open_run(path, path.parent)
        writer.manifest = run.manifest
        writer.stored.update(trial.trial_id for trial in (*run.trials, *run.superseded))
        with explained("make a folder in", path):
            for name in FOLDERS:
                (path / name).mkdir(exist_ok=True)
    except BaseException:
        writer.close()
        raise
    return writer
