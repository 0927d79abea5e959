"""The jobs of a run: what each was to do, and how much of its journal has come back."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bench.agent import wire
from bench.errors import StoreError
from bench.records.case import Case
from bench.records.job import JobFacts
from bench.store.documents import first_line, parse_document, require_safe_name
from bench.store.files import explained, safe_name

# An ``end`` record is far shorter than this.
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Job:
    """A job of a run with the place of its journal, which need not be there yet."""

    facts: JobFacts
    journal_path: Path

    @property
    def is_settled(self) -> bool:
        """Whether nothing more of it will come: its end is known, or its journal is whole."""
        return self.facts.end is not None or self.is_whole

    @property
    def is_whole(self) -> bool:
        """Whether its journal is here with an ``end`` record."""
        try:
            with self.journal_path.open("rb") as file:
                file.seek(max(file.seek(0, os.SEEK_END) - _TAIL_BYTES, 0))
                last = file.read().splitlines()[-1:]
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError(f"cannot read {self.journal_path}: {error.strerror}") from error
        records, _ = wire.decode_records(b"".join(last))
        return any(record.get("kind") == "end" for record in records)

    def covers(self, case: Case) -> bool:
        """Whether the job was to measure a case."""
        return case.device == self.facts.device and case.key in self.facts.artifacts

    def journal(self) -> bytes:
        """Return the journal as it came, empty when there is none.

        Raises:
            StoreError: it cannot be read.
        """
        with explained("read", self.journal_path):
            return self.journal_path.read_bytes() if self.journal_path.exists() else b""


def read_jobs(run: Path) -> tuple[list[Job], list[str]]:
    """Return the jobs of the run in a folder, oldest attempt first, and which could not be read.

    Raises:
        StoreError: a newer version of this program wrote one.
    """
    jobs, problems = [], []
    for path in sorted((run / "jobs").glob("*.json")):
        try:
            jobs.append(_read_job(run, path))
        except (OSError, ValueError) as error:
            problems.append(f"{path.parent.name}/{path.name} is damaged: {first_line(error)}")
    return sorted(jobs, key=lambda job: job.facts.attempt), problems


def job_path(run: Path, job_id: str) -> Path:
    """Return where the facts of a job lie."""
    return run / "jobs" / f"{safe_name(job_id)}.json"


def journal_path(run: Path, job_id: str) -> Path:
    """Return where the journal of a job lies."""
    return run / "journals" / f"{safe_name(job_id)}.jsonl"


def _read_job(run: Path, path: Path) -> Job:
    facts = parse_document(JobFacts, path.read_bytes(), path)
    require_safe_name(facts.job_id, "job_id")
    return Job(facts, journal_path(run, facts.job_id))
