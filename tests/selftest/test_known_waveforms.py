"""The truths of the self-test are true, and its fake boards show what a real one would."""

from pathlib import Path

import numpy as np
import pytest

from bench.agent.sensors import ina3221
from bench.selftest.fake_board import LAYOUTS, UNREADABLE, FakeBoard, Layout
from bench.selftest.replay import Player, Sensor, power_source
from bench.selftest.waveforms import IDLE_W, KINDS, Kind

EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
EACH_LAYOUT = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)


@EACH_KIND
def test_the_stated_energy_is_the_integral_of_the_power(kind: Kind) -> None:
    wave = kind.draw(np.random.default_rng(1), 3.0)
    t_s = np.linspace(-0.3, 2.9, 3_200_001)
    power_w = wave.shown_w((t_s[1:] + t_s[:-1]) / 2, 0.0)
    assert wave.energy_j(-0.3, 2.9) == pytest.approx(float(power_w.mean()) * 3.2, rel=1e-5)


@EACH_KIND
def test_the_shown_power_obeys_the_equation_of_a_low_pass(kind: Kind) -> None:
    lag_s = 0.43
    wave = kind.draw(np.random.default_rng(2), 3.0)
    shown_w = wave.shown_w(np.array([-0.2, 0.0, 0.7, 2.9]), lag_s)
    t_s = np.linspace(0.7, 2.9, 400_001)
    through_j = float(np.trapezoid(wave.shown_w(t_s, lag_s), t_s))
    # ∫P dt = ∫y dt + τ·(y₁ − y₀)
    assert wave.energy_j(0.7, 2.9) == pytest.approx(
        through_j + lag_s * (shown_w[3] - shown_w[2]), rel=1e-6
    )
    assert shown_w[0] == shown_w[1] == wave.before_w


@EACH_LAYOUT
@pytest.mark.parametrize("filtered", [True, False])
def test_a_fake_board_reads_back_within_a_step(
    tmp_path: Path, layout: Layout, filtered: bool
) -> None:
    with FakeBoard(tmp_path, layout, filtered=filtered) as board:
        sensor = ina3221.open_sensor(str(tmp_path), {}, layout.rails)
        for power_w, codes in zip((3.0, 7.77), board.codes(np.array([3.0, 7.77])), strict=True):
            board.show(codes)
            total, gpu, _ = sensor.read()
            assert total == pytest.approx(power_w, abs=0.025)
            assert gpu == pytest.approx(0.55 * power_w, abs=0.025)
        board.show([UNREADABLE] * 3)
        assert sensor.read() == [None] * 3
        board.show(codes)
        assert sensor.read()[0] == pytest.approx(7.77, abs=0.025)


@EACH_LAYOUT
def test_the_source_is_chosen_by_the_boards_own_rules(tmp_path: Path, layout: Layout) -> None:
    with FakeBoard(tmp_path, layout, filtered=True) as board:
        power = power_source(board)
    assert power.total == (layout.rails[0],)
    assert power.lag_s == (pytest.approx(0.43) if layout.name == "JetPack 5" else None)
    # 40 µV across 5 mΩ at 5.048 V, in either layout.
    assert power.resolution_w == pytest.approx(0.0404, abs=1e-4)


def test_readings_come_at_jittered_instants_and_fail_as_often_as_asked(tmp_path: Path) -> None:
    wave = KINDS[0].draw(np.random.default_rng(1), 5.0)
    with FakeBoard(tmp_path, LAYOUTS[0], filtered=False) as board:
        trace = Player(board, Sensor(failing=0.1), seed=1).play(wave, 0.0, 5.0)
    periods_s = np.diff(trace.t_before_ns) * 1e-9
    assert 0.004 < periods_s.min() < 0.0046 and 0.006 < periods_s.max() < 0.0065
    assert np.isnan(trace.values[:, 0]).mean() == pytest.approx(0.1, abs=0.04)


def test_a_held_reading_is_the_mean_of_the_last_stretch(tmp_path: Path) -> None:
    wave = next(kind for kind in KINDS if kind.name == "step at load onset").draw(
        np.random.default_rng(1), 5.0
    )
    shown_w = Sensor(refresh_s=0.43).shown_w(
        wave, np.linspace(-1.0, 4.0, 5001), np.random.default_rng(3)
    )
    values = np.unique(np.round(shown_w, 9))
    assert values.size <= 4
    assert values[0] == IDLE_W
