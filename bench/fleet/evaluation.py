"""From a device's journal to stored trials; also later, when the host was lost in between."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from bench.agent import wire
from bench.analysis.journal import recordings
from bench.analysis.validity import evaluate
from bench.errors import StoreError
from bench.fleet.meter_evaluation import job_meter
from bench.records.case import Case
from bench.records.job import JobEnd
from bench.records.manifest import Manifest
from bench.records.recordings import Recording
from bench.records.status import Reason
from bench.records.trial import Trial
from bench.store.jobs import Job
from bench.store.reader import Run, open_run
from bench.store.reopen import reopen
from bench.store.writer import RunWriter, trial_id

_AT_ONCE = threading.BoundedSemaphore(os.cpu_count() or 1)
"""More evaluations at a time would be no faster, and each holds all samples of its job."""


def evaluate_job(writer: RunWriter, job: Job) -> list[Trial]:
    """Evaluate what the journal of a job holds and store each case that has no trial of it yet.

    Returns the trials that are new. A job that is not over, or lost, gives none.

    Raises:
        StoreError: the results folder cannot be read or written, or a newer version of the agent
            wrote the journal.
    """
    cases = _pending(writer.manifest, writer.stored, job)
    if not cases:
        return []
    with _AT_ONCE:
        return _evaluated(writer, job, cases)


def _evaluated(writer: RunWriter, job: Job, cases: Sequence[Case]) -> list[Trial]:
    facts = job.facts
    records, problems = wire.decode_records(job.journal())
    try:
        recorded = recordings(records, problems, list(facts.artifacts))
    except StoreError as error:
        raise StoreError(f"{job.journal_path}: {error}") from None
    found = [(case, _ended(recorded[case.key], facts.end)) for case in cases]
    trials = []
    for case, recording in found:
        trial = evaluate(
            recording,
            case,
            writer.manifest.procedure,
            facts.power,
            run_id=writer.manifest.run_id,
            trial_id=writer.trial_id(case, facts.attempt),
            attempt=facts.attempt,
            artifact=facts.artifacts[case.key],
            labelled=facts.labelled.get(case.key),
            emulated=facts.emulated,
            energy_reason=facts.without_power,
        )
        trials.append(trial)
    recordings_of = [recording for _, recording in found]
    return _store(writer, job, recorded, recordings_of, trials)


def _store(
    writer: RunWriter,
    job: Job,
    recorded: Mapping[str, Recording],
    recordings_of: Sequence[Recording],
    trials: Sequence[Trial],
) -> list[Trial]:
    """Store trials, with what a meter on this host says of them."""
    lags_s = [trial.energy.lag_s for trial in trials if trial.energy is not None]
    meter = job_meter(writer.path, job.facts, recorded, next(iter(lags_s), None))
    stored = []
    for trial, recording in zip(trials, recordings_of, strict=True):
        seen = None
        if meter is not None:
            says, seen = meter.of(recording, trial.case, writer.manifest.procedure, trial)
            trial = trial.model_copy(update={"meter": says})
        writer.append(trial, recording, seen)
        stored.append(trial)
    return stored


def completed(run: Run) -> Run:
    """Return a run with the trials that its journals hold but nobody came to evaluate.

    A run that is still being written, or that may not be written to, is returned as it is. A
    journal that cannot be evaluated is one of its ``problems``.

    Raises:
        StoreError: the manifest is damaged by now.
    """
    stored = {trial.trial_id for trial in (*run.trials, *run.superseded)}
    if not run.unfinished or not any(_pending(run.manifest, stored, job) for job in run.jobs):
        return run
    try:
        writer = reopen(run.path)
    except OSError:
        return run
    problems = []
    try:
        for job in run.jobs:
            try:
                evaluate_job(writer, job)
            except StoreError as error:
                problems.append(str(error))
    finally:
        writer.close()
    found = open_run(run.path, run.path.parent)
    return replace(found, problems=(*found.problems, *problems))


def _pending(manifest: Manifest, stored: Collection[str], job: Job) -> list[Case]:
    """Return the cases of a job that have no trial of it yet, though its journal is here.

    ``stored``: ids of all trials of the run.
    """
    if not job.is_settled or (job.facts.end is not None and job.facts.end.state == "lost"):
        return []
    return [
        case
        for place, case in enumerate(manifest.cases, 1)
        if job.covers(case) and trial_id(place, job.facts.attempt) not in stored
    ]


def _ended(recording: Recording, end: JobEnd | None) -> Recording:
    """Return a recording that says how its job ended, when that was not its own end."""
    if end is None or end.state == "finished":
        return recording
    if end.rebooted and not recording.rounds and recording.failure is None:
        return replace(recording, failure={"reason": Reason.POWER_LOSS, "text": end.text})
    return replace(recording, cut_by=end.text)
