"""Energy by a calibrated sensor: what it would have been had the sensor read the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.analysis.calibration import combined, fit_line
from bench.analysis.energy import energy_result
from bench.analysis.sustain import sustain_stats
from bench.analysis.validity import evaluate
from bench.records.power import PowerCalibration, SensorCalibration
from bench.records.recordings import IdleLine, LoadStep, PowerTrace, Recording
from bench.records.status import Reason, Status

GAIN, OFFSET_W = 0.9, 0.3
CALIBRATION = PowerCalibration(
    gain=GAIN,
    offset_w=OFFSET_W,
    gain_half_width=0.01,
    offset_half_width_w=0.05,
    middle_w=4.0,
    low_w=2.0,
    high_w=6.0,
    sensor="ina3221",
    total=("VDD_IN",),
    meter="joulescope",
    run="20260101-000000-nano-abcd",
)


def shown(trace: PowerTrace) -> PowerTrace:
    """What a sensor with this gain and offset reads of a true trace (of power, or of energy)."""
    ones = np.ones_like(trace.values)
    if trace.unit == "J":
        middle_ns = trace.t_before_ns + (trace.t_after_ns - trace.t_before_ns) // 2
        ones = ((middle_ns - middle_ns[0]) * 1e-9)[:, None]
    return replace(trace, values=OFFSET_W * ones + GAIN * trace.values)


def read(recording: Recording) -> Recording:
    rounds = [
        item if item.trace is None else replace(item, trace=shown(item.trace))
        for item in recording.rounds
    ]
    idle = [replace(line, trace=shown(line.trace)) for line in recording.idle]
    steps = [replace(step, trace=shown(step.trace)) for step in recording.steps]
    return replace(recording, rounds=tuple(rounds), idle=tuple(idle), steps=tuple(steps))


def swings(t_s: np.ndarray) -> np.ndarray:
    """5 W, with a swing in step with inferences of 10 ms."""
    return 5 + 1.5 * np.sin(2 * np.pi * t_s / 0.01)


def with_swings(make) -> Recording:
    rounds = tuple(make.energy_round(i, 20 + 5 * i, swings) for i in range(3))
    return make.recording(rounds=rounds)


def with_lag(make) -> Recording:
    """Power that rises in the windows, by a sensor whose time constant a load step shows."""

    def rising(t_s: np.ndarray) -> np.ndarray:
        return 4.5 + 0.1 * (t_s - 20)

    def step(t_s: np.ndarray) -> np.ndarray:
        return 2 + 3 * np.where(t_s < 51, 0, 1 - np.exp(-np.maximum(t_s - 51, 0) / 0.3))

    trace = make.trace(step, 50, 53)
    onset_ns = int(trace.t_before_ns[0]) + 1_000_050_000
    window = (int(trace.t_before_ns[0]), int(trace.t_before_ns[-1]))
    rounds = tuple(make.energy_round(i, 20 + 5 * i, rising) for i in range(2))
    return make.recording(rounds=rounds, steps=(LoadStep(onset_ns, window, trace),))


def with_counter(make) -> Recording:
    rounds = [
        make.energy_round(
            i,
            20 + 5 * i,
            None,
            trace=make.trace(lambda t: 5 * t, 20 + 5 * i, 24 + 5 * i, period_s=0.05, unit="J"),
        )
        for i in range(2)
    ]
    idle = []
    for line in make.recording().idle:
        start_s = (line.window_ns[0] - 40 * 24 * 3600 * 10**9) * 1e-9 - 0.1
        trace = make.trace(lambda t: 2 * t, start_s, start_s + 2, period_s=0.05, unit="J")
        idle.append(IdleLine(line.where, line.window_ns, trace))
    return make.recording(rounds=tuple(rounds), idle=tuple(idle))


@pytest.mark.parametrize("kind", ["plain", "swings", "lag", "counter"])
def test_figures_are_those_of_a_sensor_that_reads_the_truth(make, kind) -> None:
    builders = {"swings": with_swings, "lag": with_lag, "counter": with_counter}
    true = builders[kind](make) if kind in builders else make.recording()
    unit = "J" if kind == "counter" else "W"
    lag_s = None if kind == "lag" else 0.0
    ideal = make.source(unit=unit, lag_s=lag_s, resolution_w=0.04)
    sensor = make.source(unit=unit, lag_s=lag_s, resolution_w=0.04 * GAIN, calibration=CALIBRATION)
    want = energy_result(true.rounds, true.idle, ideal, 1, true.steps)
    plain = read(true)
    got = energy_result(plain.rounds, plain.idle, sensor, 1, plain.steps)
    assert want.stats is not None and got.stats is not None
    own = {"calibration": None, "gain_error": None}
    expected = want.stats.model_copy(update=own).model_dump()
    found = got.stats.model_copy(update=own).model_dump()
    parts = expected.pop("uncertainty_parts_j"), found.pop("uncertainty_parts_j")
    if kind == "counter":
        # Its increments are as large as what was counted, offset and all, between two reads.
        ratio = parts[1].pop("quantisation") / parts[0].pop("quantisation")
        assert ratio == pytest.approx((OFFSET_W + GAIN * 5) / (GAIN * 5))
        for name in ("uncertainty_j", "net_uncertainty_j"):
            assert found.pop(name) < 1.07 * expected.pop(name)
    assert parts[1] == pytest.approx(parts[0], rel=1e-6, abs=1e-12)
    for name, value in expected.items():
        near = pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
        assert found[name] == near, name
    assert got.gross_j == pytest.approx(want.gross_j, rel=1e-9)
    assert got.aliasing_share == pytest.approx(want.aliasing_share, rel=1e-6, abs=1e-12)
    assert got.idle_drift_share == pytest.approx(want.idle_drift_share, rel=1e-6, abs=1e-12)
    if kind == "swings":
        assert parts[0]["phases"] > 0
    if kind == "lag":
        assert got.stats.lag_from == "step"
        assert got.stats.uncorrected_j != pytest.approx(got.stats.gross_j, rel=1e-3)


def test_net_energy_knows_no_offset(make) -> None:
    recording = make.recording()
    several = [
        CALIBRATION.model_copy(update={"offset_w": offset_w}) for offset_w in (0.0, 0.3, -1.2)
    ]
    stats = [
        energy_result(
            recording.rounds, recording.idle, make.source(calibration=calibration), 1
        ).stats
        for calibration in several
    ]
    bare = energy_result(recording.rounds, recording.idle, make.source(), 1).stats
    for item, calibration in zip(stats, several, strict=True):
        assert item.net_j == pytest.approx(bare.net_j / GAIN)
        assert item.net_uncertainty_j == pytest.approx(bare.net_uncertainty_j / GAIN)
        assert item.power_w == pytest.approx((bare.power_w - calibration.offset_w) / GAIN)
        # Inferences of 10 ms.
        off_j = calibration.offset_w * 0.01
        assert item.gross_j == pytest.approx((bare.gross_j - off_j) / GAIN)


def test_the_calibration_s_own_error_takes_the_place_of_the_data_sheet_s(make) -> None:
    recording = make.recording()
    trial = evaluate(
        recording,
        make.case(),
        make.procedure(),
        make.source(gain_error=0.05, calibration=CALIBRATION),
        run_id="r",
        trial_id="t001",
    )
    assert trial.energy.calibration == CALIBRATION
    assert trial.energy.gain_error == CALIBRATION.error_at(trial.energy.power_w)
    assert trial.energy.gain_error < 0.05
    by_round = {item.index: item.gross_j for item in trial.rounds if item.kind == "energy"}
    assert np.mean(list(by_round.values())) == pytest.approx(trial.energy.gross_j)


def test_the_error_of_a_power_is_smallest_in_the_middle_and_holds_the_meter_s() -> None:
    height_w = np.sqrt(0.05**2 - (4 * 0.01) ** 2)
    assert CALIBRATION.error_at(4.0) == pytest.approx(height_w / GAIN / 4)
    assert CALIBRATION.error_at(8.0) == pytest.approx(np.hypot(height_w, 4 * 0.01) / GAIN / 8)
    meter = CALIBRATION.model_copy(update={"meter_gain_error": 0.02})
    assert meter.error_at(4.0) == pytest.approx(np.hypot(CALIBRATION.error_at(4.0), 0.02))
    unknown = CALIBRATION.model_copy(update={"middle_w": None})
    assert unknown.error_at(4.0) > CALIBRATION.error_at(4.0)


@pytest.mark.parametrize("power_w", [2.5, 4.0, 9.0])
def test_the_stated_error_of_a_power_holds_the_truth(power_w) -> None:
    """Within what was calibrated and beyond it, 95 % of lines are off by no more than they say."""
    draw = np.random.default_rng(5)
    true_w = np.linspace(2, 6, 12)
    held, trials = 0, 400
    for _ in range(trials):
        x = true_w + 0.05 * draw.standard_normal(12)
        y = OFFSET_W + GAIN * true_w + 0.05 * draw.standard_normal(12)
        line = fit_line(x, y, np.full(12, 0.1), np.full(12, 0.1))
        found = CALIBRATION.model_copy(
            update={
                "gain": line.gain,
                "offset_w": line.offset,
                "gain_half_width": line.gain_half,
                "offset_half_width_w": line.offset_half,
                "middle_w": line.middle,
            }
        )
        told_w = found.power_w(OFFSET_W + GAIN * power_w)
        held += abs(told_w / power_w - 1) <= found.error_at(power_w)
    assert 0.92 <= held / trials <= 0.98


def test_readings_below_the_offset_give_no_energy_and_say_why(make) -> None:
    wrong = CALIBRATION.model_copy(update={"offset_w": 6.0})
    trial = evaluate(
        make.recording(),
        make.case(),
        make.procedure(),
        make.source(calibration=wrong),
        run_id="r",
        trial_id="t001",
    )
    assert trial.energy is None
    assert trial.energy_status.status is Status.INCONCLUSIVE
    assert trial.energy_status.reasons == (Reason.MISCALIBRATED,)
    assert "below the offset of its calibration" in trial.energy_status.detail


def test_the_curve_of_a_sustained_load_is_corrected(make) -> None:
    trace = make.trace(lambda t: np.full(t.size, 5.0), 20, 22)
    item = make.round(0, "sustain", 20.2, np.full(150, 0.01), trace=trace)
    recording = make.recording(rounds=(item,))
    bare = sustain_stats(recording, make.source(), 0.0).points[0].power_w
    found = sustain_stats(recording, make.source(calibration=CALIBRATION), 0.0).points[0].power_w
    assert bare == pytest.approx(5.0)
    assert found == pytest.approx((5.0 - OFFSET_W) / GAIN)


def line(gain, offset_w, gain_half=0.01, offset_half_w=0.05, middle_w=4.0) -> SensorCalibration:
    return SensorCalibration(
        sensor="ina3221",
        sensor_scope="module",
        meter="joulescope",
        meter_scope="module",
        gain=gain,
        gain_low=gain - gain_half,
        gain_high=gain + gain_half,
        offset_w=offset_w,
        offset_low_w=offset_w - offset_half_w,
        offset_high_w=offset_w + offset_half_w,
        windows=8,
        low_w=2.0,
        high_w=6.0,
        scatter_w=0.02,
        middle_w=middle_w,
    )


def test_one_line_is_itself_and_equal_ones_are_known_better() -> None:
    alone = combined([line(0.97, 0.1)])
    assert (alone.gain, alone.offset) == (pytest.approx(0.97), pytest.approx(0.1))
    assert (alone.gain_half, alone.offset_half) == (pytest.approx(0.01), pytest.approx(0.05))
    assert alone.middle == pytest.approx(4.0)
    both = combined([line(0.97, 0.1), line(0.97, 0.1)])
    assert both.gain_half == pytest.approx(0.01 / np.sqrt(2))
    assert both.offset_half == pytest.approx(0.05 / np.sqrt(2))


def test_a_better_known_line_weighs_more_and_contradictions_widen() -> None:
    # Both have the same height in their middle: only the gain differs.
    one, two = line(0.97, 0.1), line(1.03, 0.1 - 4 * 0.06, gain_half=0.003, offset_half_w=0.05)
    found = combined([one, two])
    assert abs(found.gain - two.gain) < 0.1 * abs(found.gain - one.gain)
    assert found.gain_half > 0.01
    assert found.offset + 4 * found.gain == pytest.approx(one.offset_w + 4 * one.gain)
