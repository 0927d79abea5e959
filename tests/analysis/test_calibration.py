"""A board's sensor against an external meter: a line with errors in both variables."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analysis.alignment import Alignment
from bench.analysis.calibration import cross_calibration, fit_line
from bench.analysis.metered import MeterTrace
from bench.records.power import MeterFacts, PowerSource
from bench.records.recordings import IdleLine, PowerTrace, Recording, Round
from bench.records.status import Source

S = 1_000_000_000
GAIN, OFFSET_W = 0.97, 0.12


def test_an_exact_line_is_found() -> None:
    x = np.array([1.0, 2.0, 4.0, 7.0])
    found = fit_line(x, 0.5 + 1.1 * x, np.full(4, 0.1), np.full(4, 0.2))
    assert (found.gain, found.offset) == (pytest.approx(1.1), pytest.approx(0.5))
    assert found.gain_half == pytest.approx(0, abs=1e-9)


def test_the_example_of_pearson_with_yorks_weights() -> None:
    """Pearson's data with York's weights: slope and intercept as published (York 1966)."""
    x = np.array([0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4])
    y = np.array([5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5])
    weight_x = np.array([1000, 1000, 500, 800, 200, 80, 60, 20, 1.8, 1.0])
    weight_y = np.array([1.0, 1.8, 4.0, 8.0, 20, 20, 70, 70, 100, 500])
    found = fit_line(x, y, weight_x**-0.5, weight_y**-0.5)
    assert found.gain == pytest.approx(-0.48053, abs=1e-5)
    assert found.offset == pytest.approx(5.47991, abs=1e-5)


def test_intervals_hold_the_truth_and_least_squares_is_biased() -> None:
    """Noise in x flattens an ordinary fit; the intervals here hold the gain in 95 % of cases."""
    draw = np.random.default_rng(3)
    held, ordinary, trials = 0, [], 400
    true_x = np.linspace(2, 6, 12)
    for _ in range(trials):
        x = true_x + 0.5 * draw.standard_normal(12)
        y = OFFSET_W + GAIN * true_x + 0.5 * draw.standard_normal(12)
        # Only the ratio of the errors is known.
        found = fit_line(x, y, np.full(12, 5.0), np.full(12, 5.0))
        held += abs(found.gain - GAIN) <= found.gain_half
        ordinary.append(np.polyfit(x, y, 1)[0])
    assert 0.91 <= held / trials <= 0.98
    assert np.mean(ordinary) < GAIN - 0.05


def test_points_at_one_level_show_no_line() -> None:
    assert fit_line(np.full(4, 2.0), np.arange(4.0), np.ones(4), np.ones(4)) is None


SENSOR = PowerSource(
    sensor="ina3221",
    source=Source.MEASURED,
    scope="module",
    total=("VDD_IN",),
    channels=("VDD_IN",),
    unit="W",
    lag_s=0.0,
    resolution_w=0.01,
    gain_error=0.05,
)
WINDOWS = [(2.0, "idle"), (2.1, "idle"), (5.0, "round"), (6.0, "round"), (5.5, "round")]


def trace(start_ns: int, watts: float, channel: str, seed: int) -> PowerTrace:
    t_ns = start_ns + np.arange(-10, 211) * (S // 100)
    noise = 0.02 * np.random.default_rng(seed).standard_normal(t_ns.size)
    return PowerTrace((channel,), "W", t_ns, t_ns, (watts + noise).reshape(-1, 1))


def recorded(windows: list[tuple[float, str]]) -> tuple[Recording, MeterTrace]:
    """Windows of two seconds at so many true watts; the sensor reads 0.12 W + 0.97 · truth."""
    rounds, idle, seen = [], [], []
    for number, (watts, kind) in enumerate(windows):
        start_ns = (1 + 3 * number) * S
        window = (start_ns, start_ns + 2 * S)
        ours = trace(start_ns, OFFSET_W + GAIN * watts, "VDD_IN", number)
        seen.append(trace(start_ns, watts, "meter", 100 + number))
        if kind == "idle":
            idle.append(IdleLine("before", window, ours))
        else:
            runs_ns = np.full(400, 5_000_000)
            rounds.append(Round(number, "energy", start_ns, runs_ns, window, ours))
    t_ns = np.concatenate([part.t_before_ns for part in seen])
    whole = PowerTrace(("meter",), "W", t_ns, t_ns, np.concatenate([p.values for p in seen]))
    alignment = Alignment((0, S), (0, S), 0.001, 0.0, 1.0, "mean", 0.01, 3.0)
    facts = MeterFacts(kind="joulescope", scope="board input", period_s=0.01)
    recording = Recording("a", None, None, None, tuple(rounds), tuple(idle), (), True)
    return recording, MeterTrace(facts, alignment, whole)


def test_a_sensor_is_calibrated_over_idle_and_load() -> None:
    recording, meter = recorded(WINDOWS)
    # Cases of a job share their idle lines: they count once.
    found = cross_calibration([recording, recording], SENSOR, 0.0, meter)
    assert found.windows == len(WINDOWS)
    assert found.gain_low <= GAIN <= found.gain_high
    assert found.offset_low_w <= OFFSET_W <= found.offset_high_w
    assert found.gain_high - found.gain_low < 0.02
    assert (found.sensor_scope, found.meter_scope) == ("module", "board input")
    assert (found.low_w, found.high_w) == (pytest.approx(2, abs=0.01), pytest.approx(6, abs=0.01))


def test_what_shows_no_calibration() -> None:
    recording, meter = recorded(WINDOWS)
    assert cross_calibration([recording], None, None, meter) is None
    estimate = SENSOR.model_copy(update={"source": Source.ESTIMATED})
    assert cross_calibration([recording], estimate, 0.0, meter) is None
    assert cross_calibration([recorded(WINDOWS[:3])[0]], SENSOR, 0.0, meter) is None
    alike, meter = recorded([(5.0, "round"), (5.01, "round"), (5.02, "idle"), (5.0, "idle")])
    assert cross_calibration([alike], SENSOR, 0.0, meter) is None
