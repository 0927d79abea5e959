"""The sensor's time constant from a load step, against sensors whose constant is known."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analysis.lag import choose_lag
from bench.analysis.refresh import hold_s
from bench.analysis.step_response import fit_step
from bench.records.recordings import LoadStep, PowerTrace
from bench.records.status import Source

S = 1_000_000_000
BOOT_NS = 10**15
TOTAL = ("VDD_IN",)


def load_step(
    tau_s=0.0, rise_w=4.0, noise_w=0.02, swing_w=0.0, held_s=0.0, ramp_s=0.0, seed=1
) -> LoadStep:
    """1 s of idle at 4 W, then 4 s of load, read every 5 ms with jitter, in steps of 40 mW."""
    rng = np.random.default_rng(seed)
    t_s = np.cumsum(0.005 * (1 + 0.2 * rng.uniform(-1, 1, 1000))) - 1
    shown_s = t_s
    if held_s:
        phase_s = rng.uniform(0, held_s)
        ticks = np.floor((t_s - phase_s) / held_s)
        shown_s = ticks * held_s + phase_s
    since_s = np.maximum(shown_s, 0)
    rise = 1 - np.exp(-since_s / tau_s) if tau_s else (shown_s > 0).astype(float)
    if ramp_s:
        rise = np.clip(since_s / ramp_s, 0, 1)
    noise = rng.normal(0, noise_w, t_s.size)
    if held_s:
        noise = noise[(ticks - ticks.min()).astype(int)]
    swing = swing_w * (shown_s > 0) * np.sign(np.sin(2 * np.pi * shown_s / 0.013))
    power_w = np.round((4 + rise_w * rise + noise + swing) / 0.04) * 0.04
    t_ns = BOOT_NS + np.round(t_s * S).astype(np.int64)
    trace = PowerTrace(TOTAL, "W", t_ns - 50_000, t_ns + 50_000, power_w[:, None])
    return LoadStep(BOOT_NS, (BOOT_NS - S, BOOT_NS + 4 * S), trace)


@pytest.mark.parametrize("tau_s", [0.05, 0.215, 0.43, 1.0])
def test_a_low_pass_is_found_within_its_stated_uncertainty(tau_s):
    fits = [fit_step(load_step(tau_s, seed=seed), TOTAL) for seed in range(20)]
    assert all(fits)
    assert np.mean([fit.lag_s for fit in fits]) == pytest.approx(tau_s, rel=0.02)
    held = [abs(fit.lag_s - tau_s) <= fit.lag_uncertainty_s for fit in fits]
    assert sum(held) >= 17
    assert max(fit.lag_uncertainty_s for fit in fits) < 0.1 * tau_s + 0.005


@pytest.mark.parametrize("swing_w", [0.0, 1.5])
def test_an_unfiltered_sensor_comes_out_as_such(swing_w):
    fit = fit_step(load_step(swing_w=swing_w), TOTAL)
    assert fit.lag_s == 0
    assert fit.lag_uncertainty_s < 0.01


def test_a_held_low_pass():
    step = load_step(0.43, held_s=0.2)
    held_s = hold_s([step.trace], TOTAL)
    assert held_s == pytest.approx(0.2, rel=0.02)
    fit = fit_step(step, TOTAL, held_s)
    assert fit.lag_s == pytest.approx(0.43, abs=0.04)


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(load_step(rise_w=0.0), id="no rise"),
        pytest.param(load_step(rise_w=0.05, noise_w=0.3), id="a rise lost in the noise"),
        pytest.param(load_step(ramp_s=0.5), id="power itself rises slowly"),
        pytest.param(load_step(3.0), id="too slow for what was seen"),
    ],
)
def test_what_is_no_response_of_a_low_pass_is_not_fitted(step):
    assert fit_step(step, TOTAL) is None


def test_failed_reads_do_not_matter_and_an_empty_trace_is_no_fit():
    step = load_step(0.43)
    step.trace.values[300:320] = np.nan
    assert fit_step(step, TOTAL).lag_s == pytest.approx(0.43, rel=0.02)
    step.trace.values[:] = np.nan
    assert fit_step(step, TOTAL) is None


def test_the_step_decides_over_the_settings_and_a_disagreement_is_said(make):
    lag = choose_lag([load_step(0.43)], make.source(lag_s=0.43), 0.0)
    assert (lag.origin, lag.note) == ("step", "")
    other = choose_lag([load_step(0.43)], make.source(lag_s=0.001), 0.0)
    assert other.lag_s == pytest.approx(0.43, rel=0.02)
    assert "0.430 s" in other.note
    assert "0.001 s" in other.note
    raw = choose_lag([load_step()], make.source(lag_s=0.43), 0.0)
    assert raw.lag_s == 0
    assert raw.note


def test_without_a_fit_the_settings_count_and_else_nothing_does(make):
    flat = load_step(rise_w=0)
    settings = choose_lag([flat], make.source(lag_s=0.43), 0.0)
    assert (settings.lag_s, settings.origin) == (0.43, "settings")
    assert settings.uncertainty_s == pytest.approx(0.043)
    unknown = choose_lag([flat], make.source(lag_s=None), 0.0)
    assert (unknown.lag_s, unknown.origin) == (None, None)
    assert choose_lag([], make.source(lag_s=0.0), 0.0).origin == "none"


def test_a_counter_and_an_estimate_have_no_lag(make):
    step = load_step(0.43)
    counter = make.source(unit="J", source=Source.COUNTER, lag_s=0.0)
    assert choose_lag([step], counter, 0.0).origin == "none"
    estimate = make.source(source=Source.ESTIMATED, lag_s=0.0)
    assert choose_lag([step], estimate, 0.0).lag_s == 0
