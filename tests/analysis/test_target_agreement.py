"""The board ends rounds by the same interval that the report judges."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bench.agent import stopping
from bench.analysis.validity import evaluate
from bench.records.status import Reason


@pytest.mark.parametrize("loads", [1, 2, 3, 5])
def test_a_target_that_the_board_calls_reached_is_reached_in_the_report(make, loads):
    """Rounds with a tail of slow ones, so that the interval lies to one side of the median."""
    rng = np.random.default_rng(loads)
    rounds, by_load = [], [[] for _ in range(loads)]
    shifts = rng.normal(0, 0.01, loads)
    for index in range(30):
        load = index * loads // 30
        level = np.exp(shifts[load] + rng.exponential(0.02) + rng.normal(0, 0.002, 21))
        item = make.round(index, "latency", index, 0.01 * level, background=0.0)
        rounds.append(dataclasses.replace(item, load=load))
        by_load[load].append(float(np.log(np.median(item.durations_ns))))
    half_width = stopping.relative_half_width(by_load)
    for target, reached in ((1.0001 * half_width, True), (0.9999 * half_width, False)):
        trial = evaluate(
            make.recording(rounds=tuple(rounds), stopping={"reason": "max-rounds"}),
            make.case(),
            make.procedure(target_ci=target, loads=loads),
            None,
            run_id="r",
            trial_id="t",
        )
        assert trial.latency.p50_method == ("loads" if loads >= 3 else "rounds")
        assert (Reason.CI_WIDE not in trial.latency_status.reasons) is reached


def test_loads_that_differ_are_told_as_the_cause(make):
    rounds = [
        dataclasses.replace(
            make.round(i, "latency", i, np.full(20, (0.01, 0.011, 0.012)[i // 4]), background=0.0),
            load=i // 4,
        )
        for i in range(12)
    ]
    trial = evaluate(
        make.recording(rounds=tuple(rounds), stopping={"reason": "loads"}),
        make.case(),
        make.procedure(loads=3),
        None,
        run_id="r",
        trial_id="t",
    )
    assert trial.latency_status.reasons == (Reason.CI_WIDE,)
    assert "differs between fresh loads" in trial.latency_status.detail
    assert "--loads" in trial.latency_status.detail
