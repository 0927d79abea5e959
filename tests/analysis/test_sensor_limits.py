"""Sensors that refresh slowly, alias, or talk nonsense."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bench.analysis.energy import energy_result
from bench.analysis.plausible import plausible
from bench.analysis.refresh import hold_s, refresh_s, step_w
from bench.analysis.trace import updates, window_energy
from bench.analysis.validity import evaluate
from bench.records.status import Reason, Source

TOTAL = ("VDD_IN",)
LATENCY_S = 0.003


def held(level_w, refresh, seed=3, noise_w=0.03):
    """A sensor that shows a new value every ``refresh`` seconds, with a little noise."""
    noise = np.random.default_rng(seed).normal(0, noise_w, 10_000)

    def power_w(t):
        ticks = np.floor(t / refresh).astype(int)
        return level_w(ticks * refresh) + noise[ticks]

    return power_w


def test_updates_are_dated_at_the_changes_and_repeated_values_are_seen_as_such():
    t_s = np.arange(0, 1.0, 0.01)
    values = np.where(t_s < 0.195, 1.0, np.where(t_s < 0.795, 2.0, 3.0))
    at_s, shown = updates(t_s, values, hold_s=0.2)
    # 2 W from 0.195 on, again (unseen) until 0.2 s before the next change.
    assert list(zip(at_s.round(3), shown, strict=True)) == [
        (-0.005, 1.0),
        (0.195, 2.0),
        (0.595, 2.0),
        (0.795, 3.0),
        (0.99, 3.0),
    ]


def test_short_inferences_on_a_slowly_refreshing_sensor_get_the_right_energy(make):
    """3 ms on a sensor that refreshes every 430 ms: tools that look at single inferences say 0."""
    power_w = held(lambda t: np.where(t < 20, 2.0, 6.0), 0.43)
    rounds = [
        make.energy_round(i, 25 + 8 * i, power_w, latency_s=LATENCY_S, window_s=5.0)
        for i in range(4)
    ]
    idle = (dataclasses.replace(make.idle("before", 5, power_w), trace=make.trace(power_w, 5, 12)),)
    result = energy_result(rounds, idle, make.source(), batch=1)
    assert result.stats.gross_j == pytest.approx(6.0 * LATENCY_S, rel=0.01)
    assert result.stats.refresh_s == pytest.approx(0.43, rel=0.1)
    assert not result.stale
    assert not result.too_slow
    # 1 s windows hold two refreshes only.
    short = [
        make.energy_round(i, 25 + 8 * i, power_w, latency_s=LATENCY_S, window_s=1.0)
        for i in range(4)
    ]
    assert energy_result(short, idle, make.source(), batch=1).too_slow


def test_a_held_reading_is_worth_its_moment_of_refresh(make):
    """Power rises all along; a held reading is on average half a refresh old."""
    power_w = held(lambda t: 2 + 0.5 * t, 0.4, noise_w=0.0)
    trace = make.trace(power_w, 0, 12)
    boot_ns = make.round(0, "latency", 0, [1]).start_ns
    window_ns = (boot_ns + 2 * 10**9, boot_ns + 10 * 10**9)
    true_j = (2 + 0.5 * 6) * 8
    held_s = hold_s([trace], TOTAL)
    assert held_s == pytest.approx(0.4, rel=0.01)
    assert window_energy(trace, TOTAL, window_ns, 0.0, held_s).energy_j == pytest.approx(
        true_j, rel=0.002
    )
    assert window_energy(trace, TOTAL, window_ns, 0.0).energy_j < 0.985 * true_j


def test_a_fast_sensor_is_not_called_held(make):
    rng = np.random.default_rng(1)
    noisy = make.trace(lambda t: np.round((5 + rng.normal(0, 0.03, t.size)) / 0.04) * 0.04, 0, 10)
    rising = make.trace(lambda t: np.round((8 - 4 * np.exp(-t / 0.43)) / 0.04) * 0.04, 0, 5)
    assert hold_s([noisy], TOTAL) == 0
    assert hold_s([rising], TOTAL) == 0
    assert refresh_s([make.trace(lambda t: np.full(t.size, 5.0), 0, 1)], TOTAL) is None


def square_rounds(make, period_s, jitter, count=8):
    """20 ms inferences of 9 W and 1 W by halves, read at a nominal period from a random phase."""
    rng = np.random.default_rng(5)
    rounds = []
    for i in range(count):
        start_s = 20 + 5 * i + float(rng.uniform(0, 0.02))
        steps = period_s * (1 + jitter * rng.uniform(-1, 1, round(3.6 / period_s)))
        t_s = start_s + np.cumsum(steps)
        phase = ((t_s - (20 + 5 * i)) / 0.02) % 1
        trace = make.trace(lambda t: np.zeros(t.size), 0, 1)
        boot_ns = make.round(0, "latency", 0, [1]).start_ns
        t_ns = boot_ns + np.round(t_s * 1e9).astype(np.int64)
        values = np.where(phase < 0.5, 9.0, 1.0)[:, None]
        trace = dataclasses.replace(trace, t_before_ns=t_ns, t_after_ns=t_ns, values=values)
        rounds.append(
            make.energy_round(i, 20 + 5 * i, None, latency_s=0.02, window_s=2.0, trace=trace)
        )
    return rounds


def test_a_load_that_repeats_with_the_readings_is_flagged_and_a_jittered_one_is_not(make):
    locked = energy_result(square_rounds(make, 0.02, 0.0, count=3), (), make.source(), batch=1)
    assert locked.aliasing_share > 0.5
    jittered = energy_result(square_rounds(make, 0.005, 0.2), (), make.source(), batch=1)
    assert jittered.aliasing_share == 0
    assert jittered.stats.gross_j == pytest.approx(5.0 * 0.02, rel=0.01)


def test_nonsense_is_a_failed_read():
    odd = np.array([5.0, -3.0, np.inf, 1e9, np.nan, 5.1, *np.full(40, 5.0), 0.0])
    good = plausible(odd)
    assert np.isnan(good[[1, 2, 3, 4, -1]]).all()
    assert good[0] == 5.0
    # A small offset of a rail that draws nothing, and a rail that is really off at times.
    offset = np.array([-0.01, 0.0, 0.01, 3.0])
    assert np.isfinite(plausible(offset)).all()
    assert plausible(np.zeros(5)).tolist() == [0.0] * 5


def test_a_sensor_that_gets_stuck_on_the_way_is_stale(make):
    rng = np.random.default_rng(3)

    def noisy_until(stuck_s, level_w):
        return lambda t: np.where(t < stuck_s, level_w + rng.normal(0, 0.02, t.size), 5.01)

    def result(stuck_s):
        rounds = [make.energy_round(i, 20 + 5 * i, noisy_until(stuck_s, 5.0)) for i in range(3)]
        idle = [
            make.idle("before", 5, noisy_until(stuck_s, 2.0)),
            make.idle("after", 40, noisy_until(stuck_s, 2.0)),
        ]
        return energy_result(rounds, idle, make.source(resolution_w=0.001), batch=1)

    assert result(24).stale
    assert not result(100).stale


@pytest.mark.parametrize("value", [0.0, -4.0, np.nan, np.inf, 1e7])
def test_a_sensor_that_only_talks_nonsense_gives_no_energy(make, value):
    rounds = [make.energy_round(i, 20 + 5 * i, lambda t: np.full(t.size, value)) for i in range(3)]
    result = energy_result(rounds, (), make.source(), batch=1)
    assert result.stats is None
    assert result.stale is (value == 0.0)
    assert result.unusable == (0 if value == 0.0 else 3)


def test_now_and_then_a_glitch_does_not_move_the_energy(make):
    rng = np.random.default_rng(3)

    def glitches(t):
        power_w = 5 + rng.normal(0, 0.02, t.size)
        power_w[::97] = 0.0
        power_w[50::101] = -7.0
        power_w[20::103] = 65_000.0
        return power_w

    rounds = [make.energy_round(i, 20 + 5 * i, glitches) for i in range(3)]
    result = energy_result(rounds, (), make.source(), batch=1)
    assert result.stats.gross_j == pytest.approx(0.05, rel=0.005)
    assert result.nonsense > 20


def test_the_unknown_step_of_a_sensor_is_seen_in_its_readings(make):
    def steps(level_w):
        rng = np.random.default_rng(2)
        return lambda t: np.round((level_w + rng.normal(0, 0.05, t.size)) / 0.1) * 0.1

    rounds = [make.energy_round(i, 20 + 5 * i, steps(5.0)) for i in range(3)]
    idle = (make.idle("before", 5, steps(2.0)),)
    stats = energy_result(rounds, idle, make.source(resolution_w=None), batch=1).stats
    told = energy_result(rounds, idle, make.source(resolution_w=0.1), batch=1).stats
    key = "quantisation"
    assert stats.uncertainty_parts_j[key] == pytest.approx(told.uncertainty_parts_j[key])
    assert stats.uncertainty_j == pytest.approx(told.uncertainty_j)


def test_rails_have_steps_of_their_own(make):
    """Each rounds by itself: the steps of a sum add, however close two sums may come."""
    rng = np.random.default_rng(2)
    trace = make.trace(lambda t: np.zeros(t.size), 0, 20)
    steps = np.array([0.100, 0.093])
    watts = 3 + rng.normal(0, 0.3, (trace.t_before_ns.size, 2))
    two = dataclasses.replace(trace, channels=("A", "B"), values=np.round(watts / steps) * steps)
    assert step_w([two], ("A", "B")) == pytest.approx(steps.sum(), rel=0.01)
    assert step_w([two], ("A",)) == pytest.approx(0.1)
    assert step_w([trace], TOTAL) is None


def test_steps_that_nothing_shows_leave_the_uncertainty_unknown(make):
    """Two levels far apart say nothing of the step between them, so ±0 would be a lie."""
    rounds = [make.energy_round(i, 20 + 5 * i, lambda t: np.full(t.size, 5.0)) for i in range(3)]
    idle = (make.idle("before", 5, lambda t: np.full(t.size, 2.0)),)
    power = make.source(resolution_w=None)
    stats = energy_result(rounds, idle, power, batch=1).stats
    assert stats.uncertainty_j is None
    assert stats.net_uncertainty_j is None
    assert "quantisation" not in stats.uncertainty_parts_j
    recording = make.recording(rounds=(*make.recording().rounds[:5], *rounds), idle=idle)
    trial = evaluate(recording, make.case(), make.procedure(), power, run_id="r", trial_id="t")
    assert trial.energy_status.reasons == (Reason.CI_WIDE,)
    assert "how fine its steps are" in trial.energy_status.detail


def test_an_estimate_may_be_constant(make):
    rounds = [make.energy_round(i, 20 + 5 * i, lambda t: np.full(t.size, 5.0)) for i in range(2)]
    result = energy_result(rounds, (), make.source(source=Source.ESTIMATED), batch=1)
    assert not result.stale
    assert result.stats.lag_from == "none"


def test_aliasing_is_a_reason_with_the_way_out(make):
    rounds = (*make.recording().rounds[:5], *square_rounds(make, 0.02, 0.0, count=8))
    trial = evaluate(
        make.recording(rounds=rounds),
        make.case(),
        make.procedure(),
        make.source(),
        run_id="r",
        trial_id="t",
    )
    assert Reason.ALIASING in trial.energy_status.reasons
    assert "power.period_s" in trial.energy_status.detail
