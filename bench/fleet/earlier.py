"""Jobs of earlier runs whose host is gone: the next run on their board collects them first."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import StoreError
from bench.fleet.collect import Collector, finish
from bench.fleet.contact import Contact
from bench.fleet.observer import Observer
from bench.store.files import MANIFEST_FILE, is_safe_name
from bench.store.reader import open_run
from bench.store.reopen import reopen
from bench.store.writer import RunWriter

_STATES = {
    "running": "still runs: waiting for its end",
    "finished": "has finished: collecting it first",
    "dead": "has died: collecting first what it had",
}


class EarlierRuns:
    """The runs of a results folder that nobody is at work on, held while jobs are put into them.

    Several devices may ask at once.
    """

    def __init__(self, results_dir: Path, observer: Observer, cancel: threading.Event) -> None:
        self._results_dir = results_dir
        self._observer = observer
        self._cancel = cancel
        self._writers: dict[str, RunWriter | None] = {}
        self._got: dict[str, dict[str, None]] = {}
        """By run, the devices whose jobs have been collected."""
        self._lock = threading.Lock()

    def collect(self, board: Contact) -> None:
        """Collect each job on a board that belongs to one of these runs; wait for one that runs.

        Raises:
            DeviceError: the link is lost, or a job does not end.
        """
        for entry in board.client.jobs()["jobs"]:
            if entry["collected"] or entry["state"] not in _STATES or self._cancel.is_set():
                continue
            try:
                self._collect(board, entry)
            except StoreError as error:
                # The earlier run's trouble is no reason not to measure now.
                self._observer.note(board.name, f"job {entry['job_id']}: {error}")

    def close(self) -> list[Path]:
        """Let go of the runs; return the folders of those that got something."""
        held = {run_id: writer for run_id, writer in self._writers.items() if writer is not None}
        for run_id, writer in held.items():
            try:
                if run_id in self._got:
                    finish(writer, self._got[run_id], {}, interrupted=False)
            except StoreError as error:
                self._observer.note("", str(error))
            finally:
                writer.close()
        return [writer.path for run_id, writer in held.items() if run_id in self._got]

    def _collect(self, board: Contact, entry: Mapping[str, Any]) -> None:
        run_id, job_id = str(entry["run_id"]), str(entry["job_id"])
        writer = self._writer(run_id)
        if writer is None:
            return
        jobs = open_run(writer.path, self._results_dir).jobs
        job = next((job for job in jobs if job.facts.job_id == job_id), None)
        if job is None:
            return
        self._observer.note(
            board.name, f"job {job_id} of the earlier run {run_id} {_STATES[entry['state']]}"
        )
        Collector(writer, self._observer, self._cancel).collect(board, job.facts)
        self._got.setdefault(run_id, {})[job.facts.device] = None

    def _writer(self, run_id: str) -> RunWriter | None:
        """Return the writer of a run, ``None`` when it is none of ours or somebody is at it."""
        with self._lock:
            if run_id not in self._writers:
                self._writers[run_id] = self._held(run_id)
            return self._writers[run_id]

    def _held(self, run_id: str) -> RunWriter | None:
        path = self._results_dir / run_id
        # The id comes from the board, so it may be anything.
        if not is_safe_name(run_id) or not (path / MANIFEST_FILE).is_file():
            return None
        try:
            return reopen(path)
        except OSError:
            return None
