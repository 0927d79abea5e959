"""From a job on a board to trials on this disk.

The order makes that nothing is lost, wherever it is cut: the journal is flushed to the disk here
before the board is told that it has been collected, and evaluated after that. What was cut is done
by whoever comes next: ``bench attach``, or the next run on that board.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bench.device.client import Started
from bench.device.follow import follow
from bench.errors import (
    AgentError,
    DeviceError,
    DiedError,
    HangError,
    LeaseError,
    StoreError,
    TransportError,
)
from bench.fleet.contact import Contact
from bench.fleet.evaluation import evaluate_job
from bench.fleet.observer import Observer
from bench.records.job import JobEnd, JobFacts
from bench.records.procedure import BoardState
from bench.store.jobs import Job, journal_path
from bench.store.reader import open_run
from bench.store.writer import RunWriter

REBOOTED = "the board was switched off or restarted during the job"
DIED = "the agent died before the job was done"
ABSENT = "the board has no such job (any more): it never got there, or its folder was removed"
NEW = "the job was never started"


@dataclass(frozen=True, slots=True)
class Collected:
    """How a job ended of which everything is here; ``log``: the last words of its processes, if
    they died."""

    end: JobEnd
    log: str = ""


@dataclass(frozen=True, slots=True)
class Collector:
    """Collects jobs into one run. ``cancel`` asks a job to stop after the round it is in."""

    writer: RunWriter
    observer: Observer
    cancel: threading.Event

    def collect(self, board: Contact, facts: JobFacts, started: Started | None = None) -> Collected:
        """Wait for the end of a job, fetch its journal and store its trials.

        ``started`` is what was said when it was started just now, ``None`` when that was earlier.

        Raises:
            DeviceError: the link is lost, or the job does not end; it can be collected later.
            StateError: what the job changed on the board cannot be put back; its trials are kept.
            StoreError: the results folder cannot be written.
        """
        run_id = self.writer.manifest.run_id
        with _with_way_out(run_id):
            status = self._ended(board, facts.job_id, started)
            collected = self._fetch(board, facts, status)
        job = Job(
            facts.model_copy(update={"end": collected.end}),
            journal_path(self.writer.path, facts.job_id),
        )
        with _with_way_out(run_id):
            for trial in evaluate_job(self.writer, job):
                self.observer.trial(trial)
        if facts.state != BoardState():
            # Nothing is left to do unless the job died or could not put everything back. Whoever
            # measures there by now has put it back before.
            with suppress(LeaseError):
                board.client.restore()
        return collected

    def require_own_end(self, collected: Collected) -> None:
        """Raise DiedError when a job died; what it had measured is stored by then."""
        if collected.end.state == "dead":
            raise DiedError(
                f"{collected.end.text}; what it had measured is kept, and "
                f"`bench run --resume {self.writer.manifest.run_id}` measures what is missing",
                detail=collected.log,
            )

    def _ended(self, board: Contact, job_id: str, started: Started | None) -> Mapping[str, Any]:
        """Return the job's status once it no longer runs, leaving the board alone until then."""
        client, name = board.client, board.name
        if started is None:
            status = client.status(job_id)
            if status["state"] != "running":
                return status
            started = Started(status["remaining_s"] or 0.0, status["next_checkpoint_s"])

        def expect(remaining_s: float) -> None:
            self.observer.phase(name, "measuring, link silent", remaining_s)

        def late(remaining_s: float) -> None:
            self.observer.heard(name, f"running, about {remaining_s:.0f} s more")
            expect(remaining_s)

        expect(started.expected_s)
        if follow(client, board.transport, job_id, started, self.cancel, late) == "finished":
            return {"state": "finished"}
        status = client.status(job_id)
        if status["state"] == "running":
            raise HangError(f"job {job_id} does not stop", job_id=job_id)
        return status

    def _fetch(self, board: Contact, facts: JobFacts, status: Mapping[str, Any]) -> Collected:
        """Keep the journal of a job that has ended, then tell the board so."""
        client, job_id, state = board.client, facts.job_id, status["state"]
        if state in ("absent", "new"):
            return self._lost(board.name, facts, ABSENT if state == "absent" else NEW)
        self.observer.phase(board.name, "collecting")
        end, log = JobEnd(state="finished"), ""
        if state == "dead":
            rebooted = bool(status["rebooted"])
            text = REBOOTED if rebooted else DIED
            end, log = JobEnd(state="dead", rebooted=rebooted, text=text), client.log_tail(job_id)
        self.writer.save_journal(job_id, client.journal(job_id))
        client.mark_collected(job_id)
        self.writer.save_job(facts.model_copy(update={"end": end}))
        return Collected(end, log)

    def _lost(self, name: str, facts: JobFacts, text: str) -> Collected:
        """Record that a board has nothing of a job; what came earlier still counts."""
        job = Job(facts, journal_path(self.writer.path, facts.job_id))
        if job.is_whole:
            end = JobEnd(state="finished")
        else:
            end = JobEnd(state="dead" if job.journal() else "lost", text=text)
            self.observer.note(name, f"job {facts.job_id} is lost: {text}")
        self.writer.save_job(facts.model_copy(update={"end": end}))
        return Collected(end)


def finish(
    writer: RunWriter,
    tried: Mapping[str, object],
    failures: Mapping[str, Exception],
    *,
    interrupted: bool,
) -> None:
    """Write into a run's manifest how the work on the devices that were ``tried`` ended.

    Earlier errors of other devices stay for as long as something of them is missing.

    Raises:
        StoreError: the results folder cannot be written.
    """
    unfinished = open_run(writer.path, writer.path.parent).unfinished
    missing = {case.device for case in unfinished}
    errors = {
        name: text
        for name, text in writer.manifest.device_errors.items()
        if name not in tried and name in missing
    }
    errors |= {
        name: str(error) for name, error in failures.items() if isinstance(error, DeviceError)
    }
    writer.update(
        device_errors=errors,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        interrupted=interrupted or (writer.manifest.interrupted and bool(unfinished)),
    )


@contextmanager
def _with_way_out(run_id: str) -> Iterator[None]:
    """Add to an error in here which command gets what the board, or this disk, still has."""
    try:
        yield
    except TransportError as error:
        raise type(error)(
            f"{error}; the job is on the board: `bench attach {run_id}` collects it later",
            detail=error.detail,
        ) from error
    except HangError as error:
        raise HangError(
            f"{error}; {_again(run_id)}", detail=error.detail, job_id=error.job_id
        ) from error
    except AgentError as error:
        raise type(error)(f"{error}; {_again(run_id)}", detail=error.detail) from error
    except StoreError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        raise StoreError(
            f"{error}; nothing measured is lost: mend that, then `bench attach {run_id}`"
        ) from error


def _again(run_id: str) -> str:
    return f"`bench attach {run_id}` tries again"
