"""Readings thinned for the zoomable chart."""

from __future__ import annotations

import itertools

import numpy as np

from bench.report.thinning import thinned


def test_few_readings_stay_as_they_are() -> None:
    t_s, power_w = np.arange(20.0), np.arange(20.0) ** 2
    found = thinned(t_s, power_w, 10)
    assert (found[0] == t_s).all() and (found[1] == power_w).all()


def test_no_peak_is_lost_and_none_is_made_up() -> None:
    rng = np.random.default_rng(1)
    t_s = np.cumsum(rng.uniform(0.001, 0.01, 10_000))
    power_w = rng.normal(5, 0.1, t_s.size)
    power_w[4321], power_w[8765] = 20.0, 0.5
    thin_s, thin_w = thinned(t_s, power_w, 100)
    assert 100 <= thin_s.size <= 200
    assert thin_w.max() == 20.0 and thin_w.min() == 0.5
    assert (np.diff(thin_s) > 0).all()
    at = {float(when): float(watts) for when, watts in zip(t_s, power_w, strict=True)}
    assert all(at[float(when)] == watts for when, watts in zip(thin_s, thin_w, strict=True))
    edges = np.linspace(t_s[0], t_s[-1], 101)
    for low, high in itertools.pairwise(edges):
        inside = power_w[(t_s > low) & (t_s < high)]
        kept = thin_w[(thin_s >= low) & (thin_s <= high)]
        assert kept.max() >= inside.max() and kept.min() <= inside.min()


def test_a_failed_reading_breaks_the_line() -> None:
    t_s, power_w = np.arange(1000.0), np.full(1000, 5.0)
    power_w[500:520] = np.nan
    thin_s, thin_w = thinned(t_s, power_w, 20)
    gaps = thin_s[np.isnan(thin_w)]
    assert gaps.tolist() == [500.0]


def test_readings_that_all_failed_or_fall_on_one_moment() -> None:
    t_s = np.arange(10.0)
    assert np.isnan(thinned(t_s, np.full(10, np.nan), 2)[1]).all()
    assert thinned(np.zeros(10), np.arange(10.0), 2)[1].tolist() == [0.0, 9.0]
    assert thinned(np.empty(0), np.empty(0), 2)[0].size == 0
