"""Percentiles: exact ranks, refusals, and what happens to correlated samples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm, rankdata

from bench.analysis.independence import independence, mean_ranks
from bench.analysis.stats import latency_stats, median_interval_s
from bench.analysis.tails import Tails, binomial_quantile, order_statistic_interval
from bench.analysis.tails import tails as tails_of

MS = 1_000_000


def tails(rounds, per_load=None) -> Tails:
    """Tails of rounds that all ran on one load, or ``per_load`` on each."""
    return tails_of(rounds, np.arange(len(rounds)) // (per_load or len(rounds)))


def correlated(rng, rounds, length, rho, spread=0.01):
    """Rounds of a stationary AR(1) in log latency, around 10 ms."""
    x = np.empty((rounds, length))
    x[:, 0] = rng.normal(size=rounds)
    noise = rng.normal(size=(rounds, length)) * np.sqrt(1 - rho**2)
    for i in range(1, length):
        x[:, i] = rho * x[:, i - 1] + noise[:, i]
    return list((10 * MS * np.exp(spread * x)).astype(np.int64))


def test_the_ranks_are_those_of_the_binomial_distribution():
    """Of 100 samples, B(100, 0.9) lies within 84..95 with 2.5 % on either side."""
    found = order_statistic_interval(np.arange(1.0, 101.0), 0.9, 100)
    assert (found.low, found.high) == (84, 96)
    # Of 36 samples the largest is just enough: 0.9 ** 36 < 2.5 %.
    assert order_statistic_interval(np.arange(1.0, 37.0), 0.9, 36).high == 36


@pytest.mark.parametrize("level", [0.025, 0.975])
@pytest.mark.parametrize("share", [0.001, 0.5, 0.9, 0.99, 0.999])
def test_quantiles_are_those_of_scipys_distribution(level, share):
    counts = [*range(1, 60), 100, 999, 1000, 12_345, 1_000_000]
    assert [binomial_quantile(level, n, share) for n in counts] == [
        binom.ppf(level, n, share) for n in counts
    ]


def test_ranks_are_scipys():
    draw = np.random.default_rng(2)
    for size, most in ((1, 1), (7, 3), (500, 20), (500, 10**9)):
        values = draw.integers(0, most, size)
        np.testing.assert_array_equal(mean_ranks(values), rankdata(values))


def test_samples_that_are_worth_fewer_widen_the_interval():
    samples = np.arange(1.0, 1001.0)
    full = order_statistic_interval(samples, 0.9, 1000)
    tenth = order_statistic_interval(samples, 0.9, 100)
    assert tenth.high - tenth.low > 2.5 * (full.high - full.low)


def test_effective_samples_of_independent_and_of_correlated_rounds():
    rng = np.random.default_rng(2)
    free = independence(correlated(rng, 40, 100, 0.0))
    assert abs(free.lag1) < 0.05
    assert free.effective > 3000
    tied = independence(correlated(rng, 40, 100, 0.7))
    assert tied.lag1 == pytest.approx(0.68, abs=0.05)
    # (1 - 0.7) / (1 + 0.7) of 4000 are 706.
    assert 500 < tied.effective < 950


def test_stalls_do_not_hide_the_correlation_of_everything_else():
    rng = np.random.default_rng(2)
    rounds = correlated(rng, 40, 100, 0.7)
    for item in rounds:
        item[rng.integers(0, 100, 2)] *= 50
    assert independence(rounds).lag1 > 0.5


def test_a_level_that_differs_from_round_to_round_counts_as_correlation():
    rng = np.random.default_rng(4)
    rounds = [
        (10 * MS * np.exp(rng.normal(0, 0.01) + rng.normal(0, 0.001, 200))).astype(np.int64)
        for _ in range(20)
    ]
    worth = independence(rounds)
    assert worth.lag1 > 0.8
    assert worth.effective < 100


def test_intervals_are_refused_below_enough_effective_samples():
    rng = np.random.default_rng(5)
    few = tails(correlated(rng, 20, 20, 0.9))
    assert few.effective < 72
    assert 99 in few.percentile_s
    assert 99 not in few.interval_s
    assert 99 not in tails(correlated(rng, 20, 18, 0.0)).percentile_s  # 360 samples, 368 needed
    many = tails(correlated(rng, 20, 100, 0.0))
    assert set(many.percentile_s) == set(many.interval_s) == {90, 95, 99}
    assert many.method == "order-statistic"


def test_correlated_samples_are_worth_what_the_scatter_of_their_rounds_says():
    rng = np.random.default_rng(6)
    rounds = correlated(rng, 40, 100, 0.7)
    found = tails(rounds)
    assert found.method == "rounds"
    assert set(found.interval_s) == {90, 95, 99}
    samples_s = np.sort(np.concatenate(rounds)) * 1e-9
    for percent, interval in found.interval_s.items():
        assert interval.low <= found.percentile_s[percent] <= interval.high
        naive = order_statistic_interval(samples_s, percent / 100, samples_s.size)
        assert interval.high - interval.low > naive.high - naive.low
    # Too few rounds to tell how they scatter: the percentile stands alone.
    alone = tails(correlated(rng, 5, 400, 0.7))
    assert alone.method is None
    assert alone.interval_s == {}
    assert 90 in alone.percentile_s


def test_coverage_of_the_p90_interval_and_of_the_median_under_correlation(make):
    """300 trials with ρ = 0.7 within rounds: 95 % nominal, 91 % is about 3 σ low. The interval
    that takes inferences for independent holds the truth in about two of three trials."""
    rng = np.random.default_rng(7)
    true_p90_s = 0.01 * np.exp(0.01 * norm.ppf(0.9))
    p90 = median = naive = 0
    for _ in range(300):
        samples = correlated(rng, 40, 50, 0.7)
        rounds = [make.round(i, "latency", i, item * 1e-9) for i, item in enumerate(samples)]
        stats = latency_stats(rounds, batch=1)
        p90 += stats.p90_ci.low <= true_p90_s <= stats.p90_ci.high
        median += stats.p50_low_s <= 0.01 <= stats.p50_high_s
        pooled = np.concatenate(samples) * 1e-9
        half = 1.96 * 1.2533 * pooled.std() / np.sqrt(pooled.size)
        naive += abs(np.median(pooled) - 0.01) <= half
    assert p90 >= 273
    assert median >= 273
    assert naive < 240


def test_coverage_of_the_p99_interval_under_correlation():
    """400 trials with ρ = 0.7 within rounds that differ from each other: 91.7 % is 3 σ low."""
    rng = np.random.default_rng(9)
    true_s = 0.01 * np.exp(0.01 * norm.ppf(0.99))
    given = held = 0
    for _ in range(400):
        found = tails(correlated(rng, 40, 100, 0.7)).interval_s.get(99)
        if found is not None:
            given += 1
            held += found.low <= true_s <= found.high
    assert given > 300
    assert 0.917 * given <= held < given


def test_fresh_loads_are_the_batches_of_percentiles_too():
    """Loads differ by 1 %, single inferences by 0.5 %."""
    rng = np.random.default_rng(10)
    true_s = 0.01 * np.exp(0.005 * norm.ppf(0.9))
    held = 0
    for _ in range(200):
        shifts = np.repeat(rng.normal(0, 0.01, 5), 4)
        rounds = [
            (samples * np.exp(shift)).astype(np.int64)
            for samples, shift in zip(correlated(rng, 20, 100, 0.0, 0.005), shifts, strict=True)
        ]
        found = tails(rounds, per_load=4)
        assert found.method == "loads"
        held += found.interval_s[90].low <= true_s <= found.interval_s[90].high
    assert held >= 181


def test_fresh_loads_are_the_batches_from_three_on(make):
    """Each load shifts the median by 1 %: rounds alone would claim to know it far better."""
    rng = np.random.default_rng(8)
    held = {"loads": 0, "rounds": 0}
    for _ in range(200):
        shifts = rng.normal(0, 0.01, 4)
        rounds = [
            make.round(i, "latency", i, 0.01 * np.exp(shifts[i // 10] + rng.normal(0, 1e-3, 20)))
            for i in range(40)
        ]
        for name, used in (("loads", numbered(rounds, 10)), ("rounds", rounds)):
            low, high = median_interval_s(used)
            held[name] += low <= 0.01 <= high
    assert held["loads"] >= 180
    assert held["rounds"] < 120


def numbered(rounds, per_load):
    import dataclasses

    return [dataclasses.replace(item, load=i // per_load) for i, item in enumerate(rounds)]


def test_two_loads_are_too_few_batches_and_it_says_so(make):
    rounds = [make.round(i, "latency", i, np.full(20, 0.01)) for i in range(12)]
    assert latency_stats(numbered(rounds, 6), batch=1).p50_method == "rounds"
    assert latency_stats(numbered(rounds, 4), batch=1).p50_method == "loads"
