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

    Raises:
        StoreError: the results folder cannot be written.
    """
    missing = run.missing
    stored = 0
    for facts, journal in run.jobs() if missing else ():
        cases = [
            case for case in missing if case.device == facts.device and case.key in facts.artifacts
        ]
        stored += len(store_trials(RunWriter(run.path, run.manifest), facts, journal, cases))
    return open_run(run.path, run.path.parent) if stored else run


def trial_id(case: Case, manifest: Manifest) -> str:
    """Number of the case in the manifest: short, unique in the run, safe as a file name."""
    return f"t{manifest.cases.index(case) + 1:03d}"
