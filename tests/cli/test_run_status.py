"""How runs stand, as `bench status --watch` and the live table tell it, from the disk alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from stored_runs import ESTIMATE, SENSOR, Recipe, age, store

from bench.cli.status_watch import watch
from bench.records.case import Case
from bench.run.live import Boards, result_words
from bench.run.status import RunStatus, RunWatch
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


def test_a_run_that_stopped_between_jobs_is_shown_for_some_days(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = (*Recipe().cases, Case(device="orin", model="next"))
    run = store(tmp_path, Recipe(manifest={"cases": planned, "finished_at": None}))
    seen = RunWatch(tmp_path)
    (status,) = seen.look()
    assert not status.running and status.to_collect == 0
    assert status.queue == {"orin": 1}
    assert [(job.device, job.state) for job in status.jobs] == [("orin", "finished")]

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", stop)
    watch(tmp_path, 1.0, as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert f"stopped; bench run --resume {run.manifest.run_id}" in said
    age(run.path, 4 * 86_400)
    assert seen.look() == []


def test_a_run_with_jobs_to_collect_is_shown_and_a_whole_one_is_not(tmp_path: Path) -> None:
    store(tmp_path, Recipe())
    store(tmp_path, Recipe(run_id="20261125-035012-orin-a1b2", collected=False))
    (status,) = RunWatch(tmp_path).look()
    assert [job.state for job in status.jobs] == ["on board"] and status.to_collect == 1


def test_a_board_s_cases_are_counted_once_and_only_those_of_the_run(tmp_path: Path) -> None:
    one, two = store(tmp_path, Recipe()).trials
    boards = Boards()
    boards.trial(one)
    boards.planned(one.run_id, {"orin": 2})
    for trial in (
        one.model_copy(update={"run_id": "an-earlier-one"}),
        one,
        one.model_copy(update={"attempt": 1}),
    ):
        boards.trial(trial)
    assert (boards.views()["orin"].stored, boards.views()["orin"].cases) == (1, 2)
    boards.trial(two)
    assert boards.views()["orin"].stored == 2
