"""Energy against waveforms whose energy is known exactly."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bench.analysis.energy import energy_result
from bench.analysis.times import inferences_in
from bench.analysis.trace import power_readings, window_energy
from bench.records.recordings import PowerTrace
from bench.records.status import Source

S = 1_000_000_000
TAU = 0.43


def in_window(start_s, end_s, make):
    boot_ns = make.round(0, "latency", 0, [1]).start_ns
    return boot_ns + round(start_s * S), boot_ns + round(end_s * S)


@pytest.mark.parametrize(
    ("power_w", "true_j"),
    [
        pytest.param(lambda t: np.full(t.size, 5.0), 10.0, id="constant"),
        pytest.param(lambda t: 2 + 3 * (t - 1), 10.0, id="ramp"),
    ],
)
def test_trapezoid_is_exact_for_linear_power(make, power_w, true_j):
    # 7 ms do not divide the window, so both edges fall between readings.
    trace = make.trace(power_w, 0, 4, period_s=0.007)
    energy = window_energy(trace, ["VDD_IN"], in_window(1, 3, make), 0.0)
    assert energy.energy_j == pytest.approx(true_j, rel=1e-6)
    assert energy.gap_s == 0


@pytest.mark.parametrize("settle_s", [0.0, TAU, 5 * TAU])
def test_lag_correction_recovers_a_step_behind_the_sensors_low_pass(make, settle_s):
    # The load starts at t = 1 s: 2 W before, 8 W after; the sensor shows y.
    def filtered(t):
        return np.where(t < 1, 2.0, 8.0 - 6.0 * np.exp(-(t - 1) / TAU))

    trace = make.trace(filtered, 0, 1 + settle_s + 3)
    window_ns = in_window(1 + settle_s, 3 + settle_s, make)
    energy = window_energy(trace, ["VDD_IN"], window_ns, TAU)
    assert energy.energy_j == pytest.approx(16.0, rel=0.005)
    if settle_s < TAU:
        assert energy.uncorrected_j < 0.9 * 16.0
    unknown = window_energy(trace, ["VDD_IN"], window_ns, None)
    assert unknown.energy_j == unknown.uncorrected_j


def test_a_failed_read_is_a_gap_and_not_zero_watts(make):
    trace = make.trace(lambda t: np.full(t.size, 5.0), 0, 4)
    trace.values[300:303] = np.nan
    energy = window_energy(trace, ["VDD_IN"], in_window(1, 3, make), 0.0)
    assert energy.energy_j == pytest.approx(10.0)
    assert energy.gap_s == pytest.approx(3 * 0.005)


def test_a_long_gap_gives_no_energy_rather_than_an_invented_one(make):
    trace = make.trace(lambda t: np.full(t.size, 5.0), 0, 4)
    trace.values[300:340] = np.nan
    energy = window_energy(trace, ["VDD_IN"], in_window(1, 3, make), 0.0)
    assert energy.energy_j is None
    assert energy.longest_gap_periods == pytest.approx(41)


def test_readings_that_start_inside_the_window_cover_only_their_part(make):
    late = make.trace(lambda t: np.full(t.size, 5.0), 1.01, 4)
    energy = window_energy(late, ["VDD_IN"], in_window(1, 3, make), 0.0)
    assert energy.span_s == pytest.approx(1.99)
    assert energy.energy_j == pytest.approx(5 * 1.99)
    much_later = make.trace(lambda t: np.full(t.size, 5.0), 2, 4)
    assert window_energy(much_later, ["VDD_IN"], in_window(1, 3, make), 0.0).energy_j is None


def test_a_counter_is_differenced_and_survives_failed_reads(make):
    trace = make.trace(lambda t: 1000 + 5.0 * t, 0, 4, unit="J")
    trace.values[300:390] = np.nan
    energy = window_energy(trace, ["VDD_IN"], in_window(1, 3, make), 0.0)
    assert energy.energy_j == pytest.approx(10.0)
    # An edge without readings moves inwards, so that nothing is invented there.
    trace.values[180:220] = np.nan
    moved = window_energy(trace, ["VDD_IN"], in_window(1, 3, make), 0.0)
    assert moved.span_s == pytest.approx(1.9, abs=0.01)
    assert moved.energy_j / moved.span_s == pytest.approx(5.0)
    trace.values[:] = np.nan
    assert window_energy(trace, ["VDD_IN"], in_window(1, 3, make), 0.0).energy_j is None


def test_a_counters_power_is_what_lies_between_its_readings(make):
    trace = make.trace(lambda t: 5.0 * t, 0, 1, unit="J")
    trace.values[10] = np.nan
    _, power_w = power_readings(trace, ["VDD_IN"])
    assert power_w == pytest.approx(5.0)


def test_only_the_total_is_summed(make):
    """VDD_IN feeds the other two: summing all three would count their energy twice."""
    one = make.trace(lambda t: np.full(t.size, 5.0), 0, 4)
    values = np.hstack([one.values, one.values * 0.5, one.values * 0.2])
    trace = PowerTrace(
        ("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"), "W", one.t_before_ns, one.t_after_ns, values
    )
    window_ns = in_window(1, 3, make)
    assert window_energy(trace, ["VDD_IN"], window_ns, 0.0).energy_j == pytest.approx(10.0)
    parts = window_energy(trace, ["VDD_CPU_GPU_CV", "VDD_SOC"], window_ns, 0.0)
    assert parts.energy_j == pytest.approx(7.0)
    assert window_energy(trace, ["VIN"], window_ns, 0.0).energy_j is None


def test_inferences_at_the_edges_count_by_time(make):
    item = make.round(0, "energy", 0, [0.4, 0.4, 0.4, 0.4, 0.4])
    assert inferences_in(item, in_window(0.5, 1.5, make)) == pytest.approx(2.5)
    assert inferences_in(item, in_window(0, 2, make)) == pytest.approx(5)
    # Slower inferences count with their own length.
    uneven = make.round(0, "energy", 0, [1.0, 0.5, 0.5])
    assert inferences_in(uneven, in_window(0.25, 1.25, make)) == pytest.approx(0.75 + 0.5)


def test_energy_longer_than_the_window_per_inference(make):
    """One inference of 5 s in a 2 s window is 0.4 inferences, not 0 and not 1."""
    rounds = [
        make.energy_round(i, 10 * i, lambda t: np.full(t.size, 5.0), latency_s=3.5) for i in (1, 2)
    ]
    result = energy_result(rounds, [], make.source(), batch=1)
    assert result.stats.gross_j == pytest.approx(5.0 * 3.5)


def test_gross_and_net_per_input(make):
    recording = make.recording()
    single = energy_result(recording.rounds, recording.idle, make.source(), batch=1).stats
    assert single.gross_j == pytest.approx(0.05, rel=0.005)
    assert single.net_j == pytest.approx(0.03, rel=0.01)
    assert single.power_w == pytest.approx(5.0, rel=0.005)
    assert single.idle_w == pytest.approx(2.0, rel=0.005)
    batched = energy_result(recording.rounds, recording.idle, make.source(), batch=8).stats
    assert batched.gross_j == pytest.approx(single.gross_j / 8)


def test_idle_power_is_interpolated_in_time(make):
    """Idle drifts from 1 W (at 6 s) to 3 W (at 26 s); the round is centred at 16 s."""
    idle = (
        make.idle("before", 5, lambda t: np.full(t.size, 1.0)),
        make.idle("after", 25, lambda t: np.full(t.size, 3.0)),
    )
    rounds = [make.energy_round(0, 14, lambda t: np.full(t.size, 5.0))]
    result = energy_result(rounds, idle, make.source(), batch=1)
    assert result.stats.idle_w == pytest.approx(2.0, rel=1e-3)
    assert result.stats.net_j == pytest.approx(0.03, rel=1e-3)
    assert result.idle_drift_share == pytest.approx(2 / np.sqrt(3) * 1.0 / 3.0, rel=1e-3)


def test_without_idle_lines_net_is_unknown_and_not_gross(make):
    recording = make.recording()
    stats = energy_result(recording.rounds, (), make.source(), batch=1).stats
    assert stats.net_j is None
    assert stats.idle_w is None
    assert stats.net_uncertainty_j is None


def test_uncertainty_adds_its_parts_in_quadrature_without_the_gain(make):
    recording = make.recording()
    stats = energy_result(recording.rounds, recording.idle, make.source(), batch=1).stats
    parts = dict(stats.uncertainty_parts_j)
    net = [parts.pop(name) for name in ("idle_drift", "idle_quantisation", "statistical_net")]
    assert set(parts) == {"statistical", "quantisation", "lag", "gaps"}
    assert stats.uncertainty_j == pytest.approx(np.sqrt(sum(p**2 for p in parts.values())))
    net += [part for name, part in parts.items() if name != "statistical"]
    assert stats.net_uncertainty_j == pytest.approx(np.sqrt(sum(p**2 for p in net)))
    assert stats.gain_error == 0.05
    # 0.04 W steps on 5 W: half a step is 0.4 %, expanded by 2/sqrt(3).
    assert parts["quantisation"] / stats.gross_j == pytest.approx(
        0.02 / 5 * 2 / np.sqrt(3), rel=0.01
    )


def test_net_of_a_board_that_idles_at_full_power_is_known_to_be_small(make):
    """Latency doubles between the rounds, so gross does; net is 0 in both."""
    idle = (
        make.idle("before", 5, lambda t: np.full(t.size, 5.0)),
        make.idle("after", 40, lambda t: np.full(t.size, 5.0)),
    )
    rounds = [
        make.energy_round(i, 10 + 10 * i, lambda t: np.full(t.size, 5.0), latency_s=0.01 * (1 + i))
        for i in range(2)
    ]
    stats = energy_result(rounds, idle, make.source(), batch=1).stats
    assert stats.uncertainty_j > 0.1
    assert abs(stats.net_j) < 1e-6
    assert stats.net_uncertainty_j < 1e-3


def test_one_round_has_an_unknown_uncertainty_not_a_small_one(make):
    rounds = [make.energy_round(0, 14, lambda t: np.full(t.size, 5.0))]
    stats = energy_result(rounds, (), make.source(), batch=1).stats
    assert stats.uncertainty_j is None
    assert "statistical" not in stats.uncertainty_parts_j


def test_uncertainty_covers_the_truth_for_noisy_rounds(make):
    """95 % intervals over 4 rounds whose power varies by 2 % hold the true mean about 95 % of
    the time (200 trials: 88 % is 4.5 standard deviations low)."""
    rng = np.random.default_rng(11)
    template = make.energy_round(0, 0, lambda t: np.full(t.size, 1.0))
    held = 0
    for _ in range(200):
        rounds = [
            dataclasses.replace(
                template,
                trace=dataclasses.replace(
                    template.trace, values=template.trace.values * rng.normal(5, 0.1)
                ),
            )
            for _ in range(4)
        ]
        stats = energy_result(rounds, (), make.source(resolution_w=1e-6), batch=1).stats
        held += abs(stats.gross_j - 0.05) <= stats.uncertainty_j
    assert 176 <= held <= 200


def staircase(step_s):
    """A sensor that refreshes every ``step_s`` and holds its value in between."""

    def power_w(t):
        ticks = np.floor(t / step_s).astype(int)
        return 5 + 0.5 * (np.random.default_rng(5).random(10_000)[ticks] - 0.5)

    return power_w


@pytest.mark.parametrize(
    ("power_w", "stale", "too_slow"),
    [
        pytest.param(lambda t: np.full(t.size, 5.0), True, False, id="never changes"),
        pytest.param(staircase(1.0), False, True, id="refreshes every second in a 2 s window"),
        pytest.param(staircase(0.1), False, False, id="refreshes ten times a second"),
    ],
)
def test_a_sensor_that_does_not_follow_the_load(make, power_w, stale, too_slow):
    rounds = [make.energy_round(i, 10 + 5 * i, power_w) for i in range(2)]
    idle = (make.idle("before", 5, lambda t: np.full(t.size, 5.0)),)
    result = energy_result(rounds, idle, make.source(), batch=1)
    assert (result.stale, result.too_slow) == (stale, too_slow)
    estimate = energy_result(rounds, idle, make.source(source=Source.ESTIMATED), batch=1)
    assert (estimate.stale, estimate.too_slow) == (False, False)


def test_a_constant_load_far_from_idle_is_not_stale(make):
    """A well filtered sensor may repeat one value through the window."""
    rounds = [make.energy_round(i, 10 + 5 * i, lambda t: np.full(t.size, 5.0)) for i in range(2)]
    idle = (make.idle("before", 5, lambda t: np.full(t.size, 2.0)),)
    assert energy_result(rounds, idle, make.source(), batch=1).stale is False


def test_a_counter_that_refreshes_too_rarely_or_never(make):
    def counted(step_s):
        return lambda t: 5.0 * np.floor(t / step_s) * step_s

    for step_s, stale, too_slow in ((1.0, False, True), (0.001, False, False), (1e3, True, False)):
        rounds = [
            make.energy_round(
                i,
                10 + 5 * i,
                None,
                trace=make.trace(counted(step_s), 10 + 5 * i, 14 + 5 * i, unit="J"),
            )
            for i in range(2)
        ]
        power = make.source(unit="J", source=Source.COUNTER, resolution_w=None)
        result = energy_result(rounds, (), power, batch=1)
        assert (result.stale, result.too_slow) == (stale, too_slow)
        assert (result.stats is None) is stale
