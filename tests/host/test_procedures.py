"""Presets, changes to them, and what is said about changes that cannot work."""

import pytest

from bench.errors import ConfigError
from bench.plan.procedures import PROCEDURES, doubts, expected_time, find_procedure, make_procedure
from bench.records.case import Case

CASES = [Case(device="board", model=name) for name in "abcd"]


def test_presets_keep_what_they_promise() -> None:
    quick, standard, publish = (PROCEDURES[name] for name in ("quick", "standard", "publish"))
    assert quick.latency_rounds == 20
    assert standard.latency_rounds >= 40 and standard.energy_rounds >= 8
    assert standard.energy_window_s >= 5 and standard.energy_window_tau >= 10
    assert standard.settle_tau >= 5
    assert publish.energy_window_s >= 60 and publish.energy_rounds >= 8 and publish.loads >= 3
    for name in PROCEDURES:
        assert make_procedure(name, {}) == PROCEDURES[name]


def test_a_quick_look_at_four_cases_takes_about_a_minute() -> None:
    time = expected_time(PROCEDURES["quick"], CASES, 0.0)
    assert 40 < time.least_s < 90
    assert time.longest_s == time.least_s


def test_more_of_anything_takes_longer() -> None:
    usual = expected_time(PROCEDURES["standard"], CASES, 0.0)
    assert usual.longest_s > usual.least_s
    assert expected_time(PROCEDURES["standard"], CASES, 0.43).least_s > usual.least_s
    assert expected_time(PROCEDURES["standard"], CASES, None).least_s < usual.least_s
    modes = [case.model_copy(update={"power_mode": mode}) for case in CASES for mode in "xy"]
    assert expected_time(PROCEDURES["standard"], modes, 0.0).least_s >= 2 * usual.least_s
    sustained = make_procedure("quick", {"sustain_s": 1800.0})
    assert expected_time(sustained, CASES, 0.0).least_s > 4 * 1800


def test_changing_the_seed_leaves_the_preset_what_it_is() -> None:
    assert make_procedure("standard", {"seed": 7}).name == "standard"
    changed = make_procedure("standard", {"latency_rounds": 50})
    assert changed.name == "standard (changed)"
    assert changed.latency_rounds == 50


def test_rounds_may_grow_for_what_is_asked_for() -> None:
    assert make_procedure("standard", {"latency_rounds": 500}).latency_rounds_max == 500
    assert make_procedure("quick", {"target_ci": 0.005}).latency_rounds_max == 200
    for changes in ({}, {"target_ci": 0.005, "max_time_s": 60.0}):
        assert make_procedure("quick", changes).latency_rounds_max is None


def test_an_unknown_preset_gets_near_matches() -> None:
    with pytest.raises(ConfigError, match="did you mean 'quick'"):
        find_procedure("quickly")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"latency_rounds": 2}, "latency_rounds (--rounds) is 2"),
        ({"latency_rounds": "many"}, "latency_rounds (--rounds)"),
        ({"energy_rounds": 1}, "energy_rounds (--energy-rounds) is 1"),
        (
            {"energy_rounds": 1},
            "leave it out and give --power none, or set 'power: {sensor: none}'",
        ),
        ({"energy_window_s": 0.01}, "--window"),
        ({"energy_window_s": -1.0}, "more than 0"),
        ({"energy_window_s": float("nan")}, "more than 0"),
        ({"max_time_s": float("inf")}, "more than 0"),
        ({"target_ci": 0.0}, "--target-ci"),
        ({"target_ci": 0.9}, "no precision"),
        ({"loads": 0}, "loads (--loads) is 0"),
        ({"loads": 9}, "fewer loads"),
        ({"latency_rounds": 30, "latency_rounds_max": 20}, "raise it"),
        ({"warmup_min_s": 5.0}, "raise warmup_max_s"),
        ({"scenario": "server"}, "rate_per_s (--rate)"),
        ({"rate_per_s": 5.0}, "scenario server"),
        ({"scenario": "batch"}, "'single-stream', 'offline' or 'server'"),
        ({"sustain_s": 1.0}, "--sustain"),
        ({"window": 3}, "the key of that option is 'energy_window_s'"),
        ({"settle": 3}, "did you mean 'settle_"),
        ({"name": "mine"}, "preset"),
    ],
)
def test_what_cannot_work_is_one_line_with_key_and_option(
    changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        make_procedure("quick", changes)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_target_that_time_does_not_allow_is_said_before() -> None:
    hopeless = make_procedure("quick", {"target_ci": 1e-5, "max_time_s": 60.0})
    (said,) = doubts(hopeless, CASES)
    assert "cannot be reached" in said and "ci-wide" in said
    assert doubts(PROCEDURES["standard"], CASES) == []
    short = make_procedure("quick", {"max_time_s": 1.0})
    (said,) = doubts(short, CASES)
    assert "no effect" in said
