"""Throttling, clocks, mode and temperature: from what the journal says to a status in words."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bench.analysis.journal import recordings
from bench.analysis.throttling import throttle_rise
from bench.analysis.validity import evaluate
from bench.records.status import Reason, Status


@pytest.fixture
def judge(make):
    def run(recording, procedure=None):
        return evaluate(
            recording,
            make.case(),
            procedure or make.procedure(),
            make.source(),
            run_id="r",
            trial_id="t",
        )

    return run


def with_rounds(recording, change):
    rounds = tuple(change(number, item) for number, item in enumerate(recording.rounds))
    return dataclasses.replace(recording, rounds=rounds)


def test_counters_count_and_alerts_are_on_or_off():
    assert throttle_rise({"oc1": 5}, {"oc1": 5}) == {}
    assert throttle_rise({"oc1": 5}, {"oc1": 7}) == {"oc1": 2}
    assert throttle_rise(None, {"oc1": 7}) == {}
    assert throttle_rise({"oc1": 5}, {"oc1": 0}) == {}
    assert throttle_rise(None, {"cpu-throttle-alert": 1}) == {"cpu-throttle-alert": 1}


def test_a_flag_since_boot_speaks_of_this_job_only_when_it_went_up_in_it():
    up = {"too hot": 0, "too hot since boot": 1}
    assert throttle_rise({"too hot": 0, "too hot since boot": 0}, up) == {"too hot since boot": 1}
    assert throttle_rise(up, up) == {}
    assert throttle_rise(None, up) == {}
    assert throttle_rise(up, {**up, "too hot": 1}) == {"too hot": 1}


def test_a_throttled_case_says_why_and_keeps_its_numbers(judge, make):
    def throttle(number, item):
        hit = {"oc3": 4} if item.kind == "latency" and number < 2 else {}
        return dataclasses.replace(item, throttled=hit)

    trial = judge(with_rounds(make.recording(), throttle))
    assert trial.latency_status.reasons == (Reason.THROTTLED,)
    assert "instantaneous current" in trial.latency_status.detail
    assert "2 of 5 rounds" in trial.latency_status.detail
    assert trial.latency.rounds == 5
    # The energy rounds ran unthrottled.
    assert trial.energy_status.status is Status.VALID


@pytest.mark.parametrize(
    ("counter", "words"),
    [
        ("oc1", "under-voltage"),
        ("oc2", "average current"),
        ("gpu-throttle-alert", "too hot (gpu-throttle-alert)"),
        ("something-new", "something-new"),
    ],
)
def test_without_a_look_after_each_round_the_whole_job_counts(judge, make, counter, words):
    health = (
        {"where": "before", "throttle": {counter: 0}},
        {"where": "after", "throttle": {counter: 3}},
    )
    trial = judge(make.recording(health=health))
    assert Reason.THROTTLED in trial.latency_status.reasons
    assert Reason.THROTTLED in trial.energy_status.reasons
    assert words in trial.latency_status.detail


def test_the_journal_tells_in_whose_round_it_throttled():
    def round_of(case, start, oc):
        return {
            "kind": "round",
            "case": case,
            "index": start,
            "type": "latency",
            "start_ns": start * 1000,
            "durations_ns": [10],
            "health": {"throttle": {"oc2": oc}, "temperature_c": {"cpu": 50.0}},
        }

    records = [
        {"kind": "health", "where": "before", "throttle": {"oc2": 7}},
        round_of("a", 1, 7),
        round_of("b", 2, 9),
        round_of("a", 3, 9),
    ]
    found = recordings(records, [], ["a", "b"])
    assert [item.throttled for item in found["a"].rounds] == [{}, {}]
    assert [item.throttled for item in found["b"].rounds] == [{"oc2": 2}]
    assert found["a"].rounds[0].health["temperature_c"] == {"cpu": 50.0}


def state(where, khz_min, khz_max, **more):
    return {
        "where": where,
        "frequency_min_khz": {"cpu0": khz_min},
        "frequency_max_khz": {"cpu0": khz_max},
        **more,
    }


def test_pinned_clocks_that_did_not_stay_pinned(judge, make):
    states = (
        state("before", 100, 1000),
        state("set", 1000, 1000, clocks="max"),
        state("after", 100, 1000),
        state("restored", 100, 1000),
    )
    trial = judge(make.recording(states=states))
    assert trial.latency_status.reasons == (Reason.CLOCK_CHANGED,)
    assert "1000 -> 100" in trial.latency_status.detail
    kept = (states[1], {**states[1], "where": "after"})
    # Health read before the state was set does not matter.
    health = ({"where": "before", "frequency_min_khz": {"cpu0": 100}},)
    assert judge(make.recording(states=kept, health=health)).latency_status.status is Status.VALID


def test_clocks_that_fell_although_pinned(judge, make):
    states = (state("set", 1000_000, 1000_000), state("after", 1000_000, 1000_000))

    def clock(number, item):
        khz = 700_000 if number == 3 else 999_000
        return dataclasses.replace(item, health={"frequency_khz": {"cpu0": khz}})

    trial = judge(with_rounds(make.recording(states=states), clock))
    assert trial.latency_status.reasons == (Reason.CLOCK_CHANGED,)
    assert "70%" in trial.latency_status.detail
    assert trial.facts["frequency_khz"] == {"cpu0": [700_000, 999_000]}


def test_another_power_mode_at_the_end(judge, make):
    states = (
        state("set", 1, 1, power_mode="MAXN"),
        state("after", 1, 1, power_mode="15W", problem="the power mode is 15W"),
    )
    trial = judge(make.recording(states=states))
    assert trial.energy_status.reasons == (Reason.MODE_CHANGED,)
    assert "from MAXN to 15W" in trial.energy_status.detail


def test_a_state_that_was_not_kept_in_some_other_way(judge, make):
    states = (state("set", 1, 1), state("after", 1, 1, problem="gpu clock is not pinned"))
    trial = judge(make.recording(states=states))
    assert trial.latency_status.reasons == (Reason.CLOCK_CHANGED,)
    assert "gpu clock is not pinned" in trial.latency_status.detail


def test_a_board_that_did_not_cool_down(judge, make):
    cooldown = {"reached": False, "took_s": 300.0, "wanted_c": 40, "temperature_c": 47.5}
    trial = judge(make.recording(cooldown=cooldown))
    assert trial.latency_status.reasons == (Reason.TEMPERATURE,)
    assert "47.5 °C" in trial.latency_status.detail
    nothing_to_read = {"reached": False, "took_s": 0.0, "wanted_c": 40, "temperature_c": None}
    assert judge(make.recording(cooldown=nothing_to_read)).latency_status.status is Status.VALID


def test_warming_up_speaks_against_energy_only(judge, make):
    def warm(number, item):
        return dataclasses.replace(item, health={"temperature_c": {"cpu": 40 + 4 * number, "x": 1}})

    trial = judge(with_rounds(make.recording(), warm))
    # Energy rounds are numbers 5 and 6: only 4 °C apart.
    assert trial.energy_status.status is Status.VALID

    def hotter(number, item):
        return dataclasses.replace(item, health={"temperature_c": {"cpu": 40 + 12 * number}})

    trial = judge(with_rounds(make.recording(), hotter))
    assert trial.energy_status.reasons == (Reason.TEMPERATURE,)
    assert "from 100 to 112 °C" in trial.energy_status.detail
    assert trial.latency_status.status is Status.VALID
    assert trial.facts["temperature_c"] == {"cpu": [40, 112]}


def test_a_wide_interval_says_why_there_were_no_more_rounds(judge, make):
    recording = make.recording(stopping={"reason": "max-time", "rounds": 5})
    noisy = [
        make.round(i, "latency", 10 + i, np.full(20, s), background=0.0)
        for i, s in enumerate((0.01, 0.012, 0.009, 0.011, 0.013))
    ]
    energy = [item for item in recording.rounds if item.kind == "energy"]
    trial = judge(dataclasses.replace(recording, rounds=(*noisy, *energy)))
    assert trial.latency_status.reasons == (Reason.CI_WIDE,)
    assert "the time was up" in trial.latency_status.detail
