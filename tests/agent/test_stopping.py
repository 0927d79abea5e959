"""When latency rounds end: the rule alone, on medians with known noise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import stdtrit
from scipy.stats import sem, t

from bench.agent import stopping

PROCEDURE: dict[str, Any] = {
    "loads": 1,
    "latency_rounds": 20,
    "latency_rounds_max": 400,
    "target_ci": 0.01,
    "max_time_s": None,
}


def medians(noise: float, count: int, seed: int = 1) -> list[float]:
    """Logarithms whose relative noise is exactly ``noise``."""
    values = np.random.default_rng(seed).standard_normal(count)
    standard = (values - values.mean()) / values.std(ddof=1)
    return list(math.log(0.003) + noise * standard)


def decide(*cases: list[float], elapsed_s: float = 1.0, **changes: Any) -> Any:
    """The rule for cases whose rounds all ran on one load."""
    named = {str(number): [values] for number, values in enumerate(cases)}
    return stopping.decide(named, elapsed_s, {**PROCEDURE, **changes})


def decide_loads(*loads: list[float], **changes: Any) -> Any:
    """The rule for one case with these round medians on its loads so far."""
    return stopping.decide({"a": list(loads)}, 1.0, {**PROCEDURE, **changes})


def first_stop(values: list[float], **changes: Any) -> tuple[int, str]:
    for count in range(PROCEDURE["latency_rounds"], len(values) + 1):
        reason = decide(values[:count], elapsed_s=0.3 * count, **changes)
        if reason is not None:
            return count, reason
    raise AssertionError("it never stops")


def test_students_quantile_is_that_of_scipy() -> None:
    freedoms = [*range(1, 200), 599, 1000, 5001]
    mine = [stopping.t_quantile(freedom) for freedom in freedoms]
    np.testing.assert_allclose(mine, stdtrit(freedoms, 0.975), rtol=1e-10)


def test_the_interval_is_the_one_that_is_reported() -> None:
    values = medians(0.02, 25)
    low, high = np.exp(t.interval(0.95, 24, np.mean(values), sem(values)))
    reported = (high - low) / 2 / math.exp(np.mean(values))
    assert stopping.relative_half_width([values]) == pytest.approx(reported, rel=1e-9)
    assert stopping.relative_half_width([values[:2]]) is None


def test_never_before_the_least_number_of_rounds() -> None:
    assert decide(medians(1e-6, 19)) is None
    assert decide(medians(1e-6, 20)) == "target"


def test_the_noisiest_case_decides() -> None:
    assert decide(medians(0.001, 30), medians(0.04, 30)) is None
    assert decide(medians(0.001, 30), medians(0.02, 30)) == "target"


def test_rounds_and_time_are_limits() -> None:
    noisy = medians(0.05, 30)
    assert decide(noisy, latency_rounds_max=30) == "max-rounds"
    assert decide(noisy, max_time_s=60.0, elapsed_s=60.0) == "max-time"
    assert decide(noisy, latency_rounds_max=None, max_time_s=60.0, elapsed_s=59.0) is None
    assert decide(medians(0.05, 20), latency_rounds_max=None) == "max-rounds"


def test_a_target_out_of_reach_is_given_up_once_the_noise_is_known() -> None:
    values = list(np.random.default_rng(3).normal(0, 0.5, 400))
    count, reason = first_stop(values)
    assert reason == "settled"
    assert count < 100
    by_time, reason = first_stop(values, latency_rounds_max=None, max_time_s=120.0)
    assert reason == "settled"
    assert by_time < 100


def test_a_target_within_reach_is_not_given_up() -> None:
    for seed in range(20):
        values = list(np.random.default_rng(seed).normal(0, 0.07, 400))  # needs about 190 rounds
        count, reason = first_stop(values)
        assert reason == "target"
        assert count > 100


def test_noise_that_still_grows_is_not_settled() -> None:
    growing = [(-1) ** i * 0.01 * i for i in range(60)]
    assert decide(growing) is None


def test_a_load_that_has_its_share_makes_way_for_the_next() -> None:
    noisy = medians(0.028, 20)  # half-width 1.3 %: the target of 1 % after two loads like this
    assert decide(noisy) is None
    assert decide(noisy, loads=2) == "target"
    assert decide(medians(0.2, 200), loads=2) == "max-rounds"
    assert decide(medians(0.1, 30), loads=2, max_time_s=62.0, elapsed_s=31.0) == "max-time"
    assert decide(medians(0.1, 30), loads=2, max_time_s=62.0, elapsed_s=30.0) is None
    assert decide(medians(0.001, 9), loads=2) is None


def shifted(noise: float, shifts: list[float], count: int = 20) -> list[list[float]]:
    return [
        [value + shift for value in medians(noise, count, seed)]
        for seed, shift in enumerate(shifts)
    ]


def test_loads_are_the_batches_from_three_on_as_in_the_report() -> None:
    loads = shifted(0.002, [0.0, 0.01, -0.01, 0.005])
    means = [float(np.mean(load)) for load in loads]
    low, high = np.exp(t.interval(0.95, 3, np.mean(means), sem(means)))
    reported = (high - low) / 2 / math.exp(np.mean(means))
    assert stopping.relative_half_width(loads) == pytest.approx(reported, rel=1e-9)
    two = stopping.relative_half_width(loads[:2])
    assert two == stopping.relative_half_width([loads[0] + loads[1]])


def test_loads_that_differ_are_no_reason_for_more_rounds() -> None:
    """The scatter within loads is small: only more loads would help, and it does not claim that
    the target is met."""
    alike, unlike = [0.0, 0.001, -0.001], [0.0, 0.02, -0.02]
    assert decide_loads(*shifted(0.002, alike), loads=3) == "target"
    assert decide_loads(*shifted(0.002, unlike), loads=3) == "loads"
    # All rounds together would call the same loads good enough for the target.
    rounds = [value for load in shifted(0.002, unlike) for value in load]
    assert stopping.relative_half_width([rounds]) < PROCEDURE["target_ci"]


def test_scatter_within_loads_is_averaged_out_before_the_next() -> None:
    # Of a target of 1 % the scatter within loads may take 0.71 %: t = 4.3 for three loads.
    needed = (4.303 * 0.01 / 0.00707) ** 2
    count = math.ceil(needed / 3)
    assert decide_loads(medians(0.01, count + 1), loads=3) == "target"
    assert decide_loads(medians(0.01, count - 2), loads=3) is None
    to_go = stopping.laps_to_go({"a": [medians(0.01, 7)]}, 1.0, {**PROCEDURE, "loads": 3})
    assert to_go == pytest.approx(needed / 3 - 7, abs=0.5)
    assert decide_loads(*shifted(0.2, [0, 0.5, 1], 134), loads=3) == "max-rounds"


def test_the_expected_number_of_laps_follows_the_noise() -> None:
    def to_go(noise: float, **changes: Any) -> float:
        return stopping.laps_to_go({"a": [medians(noise, 20)]}, 6.0, {**PROCEDURE, **changes})

    assert to_go(0.001) == 0
    assert to_go(0.05) == pytest.approx((2.09 * 5) ** 2 - 20, rel=0.02)
    assert to_go(0.5) == 380
    assert to_go(0.5, max_time_s=60.0) == pytest.approx(180)


@pytest.mark.parametrize("needed", [15, 30])
def test_the_interval_survives_the_rule(needed: int) -> None:
    """2000 runs whose true median is 1: from 93 % to 97 % of the intervals hold it."""
    draw = np.random.default_rng(needed)
    noise = PROCEDURE["target_ci"] * math.sqrt(needed) / 2
    held = 0
    for _ in range(2000):
        values = list(draw.normal(0, noise, 120))
        count, _ = first_stop(values, latency_rounds_max=120)
        used = values[:count]
        half_width = math.asinh(stopping.relative_half_width([used]) or 0.0)
        held += abs(np.mean(used)) <= half_width
    assert 0.93 <= held / 2000 <= 0.97
