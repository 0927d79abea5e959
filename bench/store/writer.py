"""Writing a run: manifest first, then trial by trial, each safe on the disk before the next."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.errors import StoreError
from bench.records.case import Case
from bench.records.job import JobFacts
from bench.records.manifest import Incident, Manifest, Resumption
from bench.records.recordings import Recording
from bench.records.trial import Trial
from bench.store import probes, raw
from bench.store.files import (
    MANIFEST_FILE,
    TRIALS_FILE,
    append_line,
    explained,
    is_safe_name,
    safe_name,
    sync_folder,
    write_atomic,
)
from bench.store.hold import hold
from bench.store.jobs import job_path, journal_path

FOLDERS = ("jobs", "journals", probes.FOLDER, "raw")


def new_run_id(devices: Sequence[str], now: datetime) -> str:
    """Return a run id that sorts by time, such as ``20261124-035012-local-a1b2``."""
    where = safe_name(devices[0]) if len(devices) == 1 else f"{len(devices)}-devices"
    return f"{now:%Y%m%d-%H%M%S}-{where}-{secrets.token_hex(2)}"


def trial_id(place: int, attempt: int) -> str:
    """Return the id of the trial of a case by its place in the manifest, counted from 1."""
    number = f"t{place:03d}"
    return f"{number}r{attempt}" if attempt else number


class RunWriter:
    """The one writer of a run's folder. Its methods may be called from several threads.

    Every method raises StoreError (one line) when the folder cannot be written: not permitted,
    disk full. What was written before stays readable.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Hold the run's folder.

        Raises:
            BlockingIOError: another process holds it.
        """
        self._held = hold(path)
        self.path = path
        self.manifest = manifest
        """As it is on the disk."""
        self.stored: set[str] = set()
        """Ids of the trials that are in the folder."""
        self._places = {case: number for number, case in enumerate(manifest.cases, 1)}
        # Boards wait for each other only where they write into the same file.
        self._lock = threading.Lock()
        self._trials_lock = threading.Lock()

    @classmethod
    def create(cls, results_dir: Path, manifest: Manifest) -> RunWriter:
        """Make ``results_dir/<run id>/`` with the manifest in it.

        Raises:
            StoreError: also when a run of that id is there already.
        """
        path = results_dir / manifest.run_id
        with explained("make the results folder", path):
            results_dir.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            writer = cls(path, manifest)
        writer.update()
        with explained("make a folder in", path):
            for name in FOLDERS:
                (path / name).mkdir()
            sync_folder(path)
            sync_folder(results_dir)
        return writer

    def close(self) -> None:
        """Let go of the folder. May be called twice."""
        self._held.close()

    def update(self, **changes: Any) -> None:
        """Change fields of the manifest: device errors, the end of the run."""
        with self._lock:
            self._replace_manifest(changes)

    def add_probe(self, device: str, facts: Mapping[str, Any]) -> None:
        """Keep what the probe of a device told."""
        path = probes.probe_path(self.path, device)
        with explained("write", path):
            write_atomic(path, probes.encode_probe(device, facts))

    def add_incident(self, incident: Incident) -> None:
        """Add to the manifest what went wrong with a board."""
        with self._lock:
            self._replace_manifest({"incidents": (*self.manifest.incidents, incident)})

    def add_resumption(self, resumption: Resumption) -> int:
        """Add to the manifest that the run is gone on with; return the number of the attempt."""
        with self._lock:
            attempts = (*self.manifest.resumptions, resumption)
            self._replace_manifest({"resumptions": attempts})
            return len(attempts)

    def trial_id(self, case: Case, attempt: int) -> str:
        """Number of the case in the manifest: short, unique in the run, safe as a file name.

        From the first time on that the run is gone on with, the attempt follows: ``t003r1``.
        """
        return trial_id(self._places[case], attempt)

    def save_job(self, facts: JobFacts) -> None:
        """Keep what it takes to evaluate a job's journal, also after this process is gone."""
        path = job_path(self.path, facts.job_id)
        with explained("write", path):
            write_atomic(path, facts.model_dump_json(indent=1).encode() + b"\n")

    def save_journal(self, job_id: str, data: bytes) -> Path:
        """Keep a job's journal as it came, replacing an earlier, shorter copy."""
        path = journal_path(self.path, job_id)
        with explained("write", path):
            write_atomic(path, data)
        return path

    def append(
        self, trial: Trial, recording: Recording | None, metered: Recording | None = None
    ) -> None:
        """Write a trial's raw samples, then the trial itself.

        ``metered``: the recording with the power that a meter on the host read. A trial that is
        in ``trials.jsonl`` has its raw files, if it has any at all.
        """
        if not is_safe_name(trial.trial_id):
            raise StoreError(f"trial id {trial.trial_id!r} cannot be a file name")
        if recording is not None:
            self._write_raw(trial.trial_id, recording, metered)
        path = self.path / TRIALS_FILE
        line = trial.model_dump_json().encode()
        with self._trials_lock:
            with explained("write", path):
                append_line(path, line)
            self.stored.add(trial.trial_id)

    def _replace_manifest(self, changes: Mapping[str, Any]) -> None:
        path = self.path / MANIFEST_FILE
        # Probes that the manifest of an older run holds stay in it.
        manifest = Manifest.model_validate({**dict(self.manifest), **changes})
        with explained("write", path):
            write_atomic(path, manifest.model_dump_json(indent=1).encode() + b"\n")
        self.manifest = manifest

    def _write_raw(self, trial_id: str, recording: Recording, metered: Recording | None) -> None:
        files = []
        if recording.rounds:
            files.append(
                (raw.latency_path(self.path, trial_id), raw.encode_latency(recording.rounds))
            )
        parts = raw.segments(recording)
        if parts:
            files.append((raw.power_path(self.path, trial_id), raw.encode_power(parts)))
        read = () if metered is None else raw.segments(metered)
        if read:
            files.append((raw.meter_path(self.path, trial_id), raw.encode_power(read)))
        for path, data in files:
            with explained("write", path):
                write_atomic(path, data)
