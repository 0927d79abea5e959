"""How runs stand, as `bench status --watch` and the live table tell it, from the disk alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from stored_runs import ESTIMATE, SENSOR, Recipe, store

from bench.live import result_words
from bench.run_status import RunStatus, RunWatch
from bench.store.reopen import reopen

LAG_UNKNOWN = SENSOR.model_copy(update={"lag_s": None})


def at_work(results: Path, recipe: Recipe) -> RunStatus:
    """How a run stands while a process is at work on it."""
    writer = reopen(store(results, recipe).path)
    try:
        (status,) = RunWatch(results).look()
    finally:
        writer.close()
    assert status.running
    return status


@pytest.mark.parametrize(
    ("recipe", "words", "counts"),
    [
        (Recipe(), "ms valid, 44.99 mJ valid", {"valid": 2}),
        (Recipe(power=LAG_UNKNOWN), "ms valid, 44.99 mJ inconclusive", {"inconclusive": 2}),
        (Recipe(power=ESTIMATE), "ms valid, est. 44.99 mJ valid", {"valid": 2}),
        # Nothing there reads energy: what was asked for is valid.
        (Recipe(power=None), "ms valid", {"valid": 2}),
        (Recipe(failed=(0,)), "net dense: failed", {"valid": 1, "failed": 1}),
    ],
)
def test_each_figure_has_its_own_status_and_a_trial_counts_by_the_worst(
    tmp_path: Path, recipe: Recipe, words: str, counts: dict[str, int]
) -> None:
    status = at_work(tmp_path, recipe)
    run = store(tmp_path / "again", recipe)
    assert result_words(run.trials[0]).endswith(words)
    assert status.trials == counts
