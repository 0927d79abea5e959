"""Latency statistics: known figures, refusals, and an interval that holds what it promises."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analysis.stats import latency_stats, sampler_effect


def test_figures_of_known_samples(make):
    rounds = [make.round(i, "latency", i, np.full(20, 0.01)) for i in range(3)]
    rounds += [make.round(9, "latency", 9, np.full(3, 0.03))]
    stats = latency_stats(rounds, batch=4)
    assert stats.samples == 63
    assert stats.rounds == 4
    assert stats.p50_s == pytest.approx(0.01)
    assert stats.min_s == pytest.approx(0.01)
    assert stats.mad_s == 0
    assert stats.mean_s == pytest.approx((60 * 0.01 + 3 * 0.03) / 63)
    assert stats.throughput_per_s == pytest.approx(4 * 63 / 0.69)


def test_energy_rounds_do_not_count_as_latency(make):
    quiet = make.round(0, "latency", 0, np.full(50, 0.010))
    sampled = make.round(1, "energy", 2, np.full(50, 0.011), window_s=(2.1, 2.3))
    assert latency_stats([quiet, sampled], batch=1).p90_s == pytest.approx(0.010)
    assert sampler_effect([quiet, sampled]) == pytest.approx(1.1)
    assert sampler_effect([quiet]) is None
    assert latency_stats([sampled], batch=1) is None


@pytest.mark.parametrize(
    ("samples", "known"), [(35, 0), (36, 1), (71, 1), (72, 2), (367, 2), (368, 3)]
)
def test_percentiles_need_samples(make, samples, known):
    stats = latency_stats([make.round(0, "latency", 0, np.full(samples, 0.01))], batch=1)
    given = [p for p in (stats.p90_s, stats.p95_s, stats.p99_s) if p is not None]
    assert len(given) == known


def test_two_rounds_give_no_interval(make):
    rounds = [make.round(i, "latency", i, np.full(500, 0.01)) for i in range(2)]
    stats = latency_stats(rounds, batch=1)
    assert stats.p50_low_s is None
    assert stats.p50_high_s is None


def test_the_interval_holds_its_median_even_when_many_rounds_are_slow(make):
    slow = [0.01] * 13 + [0.02] * 7
    rounds = [make.round(i, "latency", i, np.full(20, s)) for i, s in enumerate(slow)]
    stats = latency_stats(rounds, batch=1)
    assert stats.p50_low_s <= stats.p50_s <= stats.p50_high_s


def test_interval_coverage_with_samples_correlated_within_rounds(make):
    """Round effects (1 %) outweigh the noise of single inferences (0.5 %): an interval over single
    samples would be far too narrow. 95 % nominal; 300 trials, so 91 % is 3 sigma low."""
    rng = np.random.default_rng(7)
    held = narrow = 0
    for _ in range(300):
        effects = rng.normal(0, 0.01, 20)
        rounds = [
            make.round(i, "latency", i, 0.01 * np.exp(effect + rng.normal(0, 0.005, 25)))
            for i, effect in enumerate(effects)
        ]
        stats = latency_stats(rounds, batch=1)
        held += stats.p50_low_s <= 0.01 <= stats.p50_high_s
        samples = np.concatenate([item.durations_ns for item in rounds]) * 1e-9
        half_width = 1.25 * 1.96 * samples.std() / np.sqrt(samples.size)
        narrow += abs(np.median(samples) - 0.01) <= half_width
    assert 273 <= held <= 300
    assert narrow < 240
