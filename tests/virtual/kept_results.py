"""Checks of what has to be in a run folder, against what was seen on the board."""

from __future__ import annotations

from collections import Counter

from board_program import BoardProgram

from bench.agent import wire
from bench.records.status import Reason
from bench.store.reader import Run, open_run

TIMING = {Reason.BACKGROUND_LOAD, Reason.CI_WIDE, Reason.NOT_STEADY, Reason.EMULATED}
"""What may be said of any latency here: looking at an emulated board takes its only CPU."""


def lost_rounds(bench: BoardProgram) -> int:
    """Return how many rounds that were seen on the board are not in the run folders.

    A round must be in the journal that was collected, and its inferences in the raw samples of the
    trial unless the case failed.
    """
    missing = len(bench.seen - bench.rounds_here())
    manifests = (bench.folder / "results").glob("*/manifest.json")
    return missing + sum(
        unstored_rounds(open_run(path.parent, path.parents[1])) for path in manifests
    )


def unstored_rounds(run: Run) -> int:
    """Return how many rounds of the journals of a run are not among its raw samples."""
    missing = 0
    for job in run.jobs:
        records, _ = wire.decode_records(job.journal())
        done = Counter(record["case"] for record in records if record["kind"] == "round")
        for trial in (*run.trials, *run.superseded):
            if trial.attempt != job.facts.attempt or not job.covers(trial.case) or trial.failed:
                continue
            samples = run.latency(trial.trial_id)
            stored = (
                set() if samples is None else set(zip(samples.kind, samples.round, strict=True))
            )
            missing += max(0, done[trial.case.key] - len(stored))
    return missing


def assert_whole(bench: BoardProgram, rounds: int, cases: int = 1) -> None:
    """Assert that the newest run has every round of every case, and started its job once."""
    run = bench.the_run()
    assert not run.missing and len(run.trials) == cases
    for trial in run.trials:
        assert not trial.failed and not trial.interrupted, trial.latency_status
        assert trial.latency is not None and trial.latency.rounds == rounds, trial.latency
        assert set(trial.latency_status.reasons) <= TIMING, trial.latency_status
    kinds = [record["kind"] for record in bench.records()]
    assert kinds.count("start") == kinds.count("end") == 1
