"""How the runs of a results folder stand, read from the disk alone: no board is asked.

That is for ``bench status --watch``: a board that measures must not be looked at every few seconds.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import StoreError
from bench.records.status import Status
from bench.records.trial import Trial
from bench.run.live import BoardView, read_live
from bench.store.files import MANIFEST_FILE, TRIALS_FILE
from bench.store.hold import is_held
from bench.store.jobs import Job
from bench.store.reader import open_run

ON_BOARD = "on board"
RECENT_S = 3 * 86_400.0
"""A run that lacks cases is shown for so long after its last change, which spans a weekend."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job of a run as it is known here. ``state``: how it ended (``finished``, ``dead`` or
    ``lost``), else ``collected`` (its whole journal is here) or ``on board``, running or not."""

    job_id: str
    device: str
    state: str


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run at work, one that boards still have something of, or one that stopped before its end.

    ``trials``: how many have which status, the worst of all quantities that were asked for.
    ``queue``: cases without a trial, by device. ``jobs``: what boards were asked to do;
    ``to_collect``: how many of them boards may still have.
    ``boards``: what the process at work on it told last, by device; empty where there is none.
    ``device_errors``: boards that could not be used.
    """

    run_id: str
    path: str
    started_at: str
    running: bool
    cases: int
    trials: Mapping[str, int]
    queue: Mapping[str, int]
    jobs: tuple[JobStatus, ...]
    to_collect: int
    device_errors: Mapping[str, str]
    boards: Mapping[str, BoardView]


class RunWatch:
    """Looks at a results folder again and again; a run that has not changed is not read again."""

    def __init__(self, results_dir: Path) -> None:
        self._results_dir = results_dir
        self._seen: dict[Path, tuple[tuple[int, ...], RunStatus | None]] = {}

    def look(self) -> list[RunStatus]:
        """Return the runs at work, those with jobs to collect, and those that changed in the last
        :data:`RECENT_S` and lack cases, oldest first.

        Raises:
            StoreError: the results folder cannot be read.
        """
        try:
            folders = sorted(path.parent for path in self._results_dir.glob(f"*/{MANIFEST_FILE}"))
        except OSError as error:
            raise StoreError(f"cannot read {self._results_dir}: {error.strerror}") from error
        found = (self._status(folder) for folder in folders)
        return [status for status in found if status is not None]

    def _status(self, folder: Path) -> RunStatus | None:
        """Return how a run stands, ``None`` for one that there is nothing to be done about."""
        mark = _mark(folder)
        if folder not in self._seen or self._seen[folder][0] != mark:
            self._seen[folder] = mark, _read(folder)
        stored = self._seen[folder][1]
        if stored is None:
            return None
        if is_held(folder):
            return replace(stored, running=True, boards=read_live(folder))
        recent = time.time() - max(mark[::2]) / 1e9 < RECENT_S
        return stored if stored.to_collect or (stored.queue and recent) else None


def _mark(folder: Path) -> tuple[int, ...]:
    """Return what changes with everything that is read of a run: times (ns) and sizes in turn."""
    marks: list[int] = []
    for name in (MANIFEST_FILE, TRIALS_FILE, "jobs", "journals"):
        try:
            status = (folder / name).stat()
            marks += [status.st_mtime_ns, status.st_size]
        except OSError:
            marks += [0, 0]
    return tuple(marks)


def _read(folder: Path) -> RunStatus | None:
    try:
        run = open_run(folder, folder.parent)
        jobs = tuple(map(_job, run.jobs))
    except StoreError:
        # `bench results list` says what is wrong with it.
        return None
    counts = Counter(map(_worst_asked_for, run.trials))
    return RunStatus(
        run_id=run.manifest.run_id,
        path=str(folder),
        started_at=run.manifest.started_at,
        running=False,
        cases=len(run.manifest.cases),
        trials={status.value: counts[status] for status in Status if counts[status]},
        queue=dict(Counter(case.device for case in run.missing)),
        jobs=jobs,
        to_collect=sum(job.state == ON_BOARD for job in jobs),
        device_errors=run.manifest.device_errors,
        boards={},
    )


def _job(job: Job) -> JobStatus:
    facts = job.facts
    if facts.end is not None:
        state: str = facts.end.state
    else:
        state = "collected" if job.is_whole else ON_BOARD
    return JobStatus(facts.job_id, facts.device, state)


def _worst_asked_for(trial: Trial) -> Status:
    """Return the worst status of a trial; energy that nobody asked for, or that nothing there
    reads, is no fault of it."""
    verdicts = (*trial.verdicts, *((trial.meter.status,) if trial.meter is not None else ()))
    found = {verdict.status for verdict in verdicts} - {Status.UNMEASURED}
    order = (Status.FAILED, Status.SKIPPED, Status.INCONCLUSIVE, Status.VALID)
    return next((status for status in order if status in found), Status.UNMEASURED)
