"""From a device's journal to stored trials; also later, when the host was lost in between."""

from __future__ import annotations

from collections.abc import Sequence

from bench.agent import wire
from bench.analysis.journal import recordings
from bench.analysis.validity import evaluate
from bench.records import Case, JobFacts, Manifest, Trial
from bench.store.reader import Run, open_run
from bench.store.writer import RunWriter


def store_trials(
    writer: RunWriter, facts: JobFacts, journal: bytes, cases: Sequence[Case]
) -> list[Trial]:
    """Evaluate what a journal holds of ``cases``, store each as a trial and return them.

    Raises:
        StoreError: the results folder cannot be written.
    """
    records, problems = wire.decode_records(journal)
    recorded = recordings(records, problems, list(facts.artifacts))
    trials = []
    for case in cases:
        trial = evaluate(
            recorded[case.key],
            case,
            writer.manifest.procedure,
            facts.power,
            run_id=writer.manifest.run_id,
            trial_id=trial_id(case, writer.manifest),
            artifact=facts.artifacts[case.key],
            energy_reason=facts.without_power,
        )
        writer.append(trial, recorded[case.key])
        trials.append(trial)
    return trials


def completed(run: Run) -> Run:
    """Return a run with the trials that its journals hold but nobody came to evaluate.

    A run that is still being written, or that may not be written to, is returned as it is.

    Raises:
        StoreError: a file is damaged, or the disk is full.
    """
    if not run.missing:
        return run
    try:
        writer = RunWriter(run.path, run.manifest)
    except OSError:
        return run
    try:
        # Somebody else may have done it while this process waited for its turn.
        missing = open_run(run.path, run.path.parent).missing
        for facts, journal in run.jobs():
            of_job = [case for case in missing if case.device == facts.device]
            cases = [case for case in of_job if case.key in facts.artifacts]
            store_trials(writer, facts, journal, cases)
    finally:
        writer.close()
    return open_run(run.path, run.path.parent)


def trial_id(case: Case, manifest: Manifest) -> str:
    """Number of the case in the manifest: short, unique in the run, safe as a file name."""
    return f"t{manifest.cases.index(case) + 1:03d}"
