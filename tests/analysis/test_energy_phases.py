"""Loads that repeat with every inference, as fast as they are read or faster."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bench.analysis.energy import energy_result
from bench.analysis.times import inferences_in
from bench.records.status import Source

S = 1_000_000_000
BUSY_W, IDLE_W = 8.0, 4.0
LATENCY_S = 0.005


def square_w(t_s, start_s, latency_s=LATENCY_S):
    """Busy in the first half of every inference, idle in the second."""
    return np.where(((t_s - start_s) / latency_s) % 1 < 0.5, BUSY_W, IDLE_W)


def rounds_of(make, power_w, count=8, latency_s=LATENCY_S, window_s=2.0, **trace):
    """Rounds of a load ``power_w(t_s, start_s)``, read as the sampler does."""
    rounds = []
    for i in range(count):
        start_s = 20 + 6.123 * i
        settings = {"period_s": 0.005, "jitter": 0.2, **trace}
        readings = make.trace(
            lambda t, start_s=start_s: power_w(t, start_s),
            start_s + 0.0017 * i,
            start_s + window_s + 1.5,
            **settings,
        )
        rounds.append(
            make.energy_round(
                i, start_s, None, latency_s=latency_s, window_s=window_s, trace=readings
            )
        )
    return rounds


def measured(make, rounds, **power):
    return energy_result(rounds, (), make.source(**power), batch=1)


@pytest.mark.parametrize("latency_s", [0.0011, 0.003, 0.005, 0.0054, 0.02])
def test_a_load_that_swings_within_inferences_is_measured_as_well_as_a_steady_one(make, latency_s):
    rounds = rounds_of(make, lambda t, s: square_w(t, s, latency_s), latency_s=latency_s)
    result = measured(make, rounds)
    true_j = 6.0 * latency_s
    assert result.stats.gross_j == pytest.approx(true_j, rel=0.003)
    assert result.aliasing_share == 0
    # No round is far off either, so that the rounds agree.
    assert list(result.gross_j.values()) == pytest.approx([true_j] * 8, rel=0.015)
    assert abs(result.stats.gross_j - true_j) <= result.stats.uncertainty_j
    parts = result.stats.uncertainty_parts_j
    assert 0 < parts["phases"] < parts["statistical"]


def test_stated_intervals_hold_where_power_swings_within_inferences(make):
    """60 trials of 95 % intervals over four rounds with inferences of varying length."""
    random = np.random.default_rng(4)
    held = 0
    for trial in range(60):
        rounds = []
        for i in range(4):
            start_s = 20 + 5 * i + 100 * trial
            durations_s = np.round(0.004 * random.uniform(0.9, 1.3, 500), 9)
            starts_s = start_s + np.concatenate(([0.0], np.cumsum(durations_s)))

            def power_w(t_s, starts_s=starts_s, durations_s=durations_s):
                at = np.searchsorted(starts_s, t_s, side="right") - 1
                at = np.clip(at, 0, durations_s.size - 1)
                phase = (t_s - starts_s[at]) / durations_s[at]
                return 5 + 2 * np.sin(2 * np.pi * phase) + random.normal(0, 0.3, t_s.size)

            trace = make.trace(power_w, start_s, start_s + 2, jitter=0.2)
            rounds.append(
                make.round(
                    i,
                    "energy",
                    start_s,
                    durations_s,
                    window_s=(start_s + 0.5, start_s + 1.5),
                    trace=trace,
                )
            )
        stats = measured(make, rounds, resolution_w=1e-6).stats
        inputs = [inferences_in(item, item.window_ns) for item in rounds]
        # Whole inferences have a mean of 5 W; what is cut at the edges is far below the interval.
        true_j = float(np.mean([5.0 / count for count in inputs]))
        held += abs(stats.gross_j - true_j) <= stats.uncertainty_j
    assert held >= 52


def test_between_arrivals_there_is_no_phase(make):
    """Server: busy for 3 ms at random arrivals, idle in between."""
    random = np.random.default_rng(9)
    rounds, plain = [], []
    for i in range(8):
        start_s = 20 + 6 * i
        arrivals_s = start_s + np.cumsum(np.maximum(random.exponential(0.012, 320), 0.0031))
        served_s = np.full(arrivals_s.size, 0.003)
        window_s = (start_s + 0.5, start_s + 2.5)

        def power_w(t_s, arrivals_s=arrivals_s):
            at = np.clip(np.searchsorted(arrivals_s, t_s, side="right") - 1, 0, None)
            since_s = t_s - arrivals_s[at]
            busy = (since_s >= 0) & (since_s < 0.003)
            return np.where(busy, np.where(since_s < 0.001, 12.0, 6.0), 3.0)

        trace = make.trace(power_w, start_s, start_s + 5, jitter=0.2)
        arrivals_ns = make.round(0, "latency", 0, [1]).start_ns + np.round(arrivals_s * S).astype(
            np.int64
        )
        item = make.round(i, "energy", start_s, served_s, window_s=window_s, trace=trace)
        rounds.append(dataclasses.replace(item, arrivals_ns=arrivals_ns))
        inputs = inferences_in(rounds[-1], item.window_ns)
        busy_s = inputs * 0.003
        plain.append((8.0 * busy_s + 3.0 * (2.0 - busy_s)) / inputs)
    result = measured(make, rounds)
    assert result.aliasing_share == 0
    assert list(result.gross_j.values()) == pytest.approx(plain, rel=0.02)
    assert result.stats.gross_j == pytest.approx(float(np.mean(plain)), rel=0.004)


@pytest.mark.parametrize(
    "power_w",
    [
        pytest.param(lambda t, s: np.full(t.size, 5.0), id="constant"),
        pytest.param(
            lambda t, s: 5 + np.random.default_rng(int(s)).normal(0, 1, t.size), id="noise"
        ),
        pytest.param(lambda t, s: np.where((t - s) % 0.5 < 0.25, 8.0, 4.0), id="slow square"),
        pytest.param(lambda t, s: 8 - 4 * np.exp(-(t - s) / 0.43), id="slow sensor"),
    ],
)
def test_power_that_does_not_follow_the_inferences_is_integrated_as_it_is(make, power_w):
    result = measured(make, rounds_of(make, power_w, latency_s=0.0113))
    assert "phases" not in result.stats.uncertainty_parts_j
    assert result.stats.gross_j == result.stats.uncorrected_j
    assert result.aliasing_share == 0


def test_too_few_readings_for_a_fit_are_integrated_as_they_are(make):
    rounds = rounds_of(make, square_w, count=3, window_s=2.0, period_s=0.2)
    assert "phases" not in measured(make, rounds).stats.uncertainty_parts_j


def test_a_counter_has_no_phases(make):
    rounds = rounds_of(make, lambda t, s: 5.0 * t, unit="J")
    result = measured(make, rounds, unit="J", source=Source.COUNTER, resolution_w=None)
    assert result.stats.gross_j == pytest.approx(5.0 * LATENCY_S, rel=1e-6)
    assert result.aliasing_share == 0
    assert result.stats.uncertainty_j is not None


def locked_rounds(make, multiple, power_w=square_w):
    """Readings exactly every ``multiple`` inferences, at another phase in every round."""
    return rounds_of(make, power_w, period_s=multiple * LATENCY_S, jitter=0.0)


@pytest.mark.parametrize("multiple", [1, 2, 3])
def test_readings_that_keep_to_one_phase_are_flagged_also_when_they_look_steady(make, multiple):
    steady = [item for item in locked_rounds(make, multiple)[1:2] for _ in range(8)]
    steady = [dataclasses.replace(item, index=i) for i, item in enumerate(steady)]
    result = measured(make, steady)
    assert result.stats.gross_j != pytest.approx(6.0 * LATENCY_S, rel=0.2)  # really blind
    assert result.aliasing_share == pytest.approx(1.0, abs=0.01)
    assert measured(make, locked_rounds(make, multiple)).aliasing_share > 0.9


def test_two_readings_per_inference_do_not_show_what_happens_twice(make):
    rounds = rounds_of(make, square_w, period_s=LATENCY_S / 2, jitter=0.0)
    assert measured(make, rounds).aliasing_share == pytest.approx(0.5, abs=0.01)


def test_behind_a_low_pass_one_phase_is_enough(make):
    rounds = locked_rounds(make, 1, lambda t, s: np.full(t.size, 6.0))
    assert measured(make, rounds, lag_s=0.43).aliasing_share < 0.005
    assert measured(make, rounds, lag_s=0.0).aliasing_share > 0.9


def test_an_inference_longer_than_the_window_is_no_aliasing(make):
    rounds = rounds_of(make, lambda t, s: np.full(t.size, 6.0), latency_s=3.5)
    assert measured(make, rounds).aliasing_share == 0
