"""Mistakes that power measurements of others are known for, each made here beside the right way.

Others of them are made elsewhere: all rails summed, stale edges, a failed read as 0 W, no lag
correction (``bench selftest``); a rail summed with the one that feeds it, or left out of the total,
on every board (tests/boards); a wrap after a failed read (tests/agent/test_agent_rapl.py); scopes
that differ (test_compare.py).
"""

from __future__ import annotations

from pathlib import Path

import jtop_service
import numpy as np
import pytest
from constructed import build, write
from descriptions import ORIN_NANO

from bench.agent import probe
from bench.agent.sensors import jtop
from bench.analysis.energy import energy_result
from bench.analysis.trace import window_energy
from bench.boards import GENERIC
from bench.config.power_settings import PowerSettings
from bench.power.choice import choose_power

S = 1_000_000_000


def test_a_window_without_samples_at_its_edges_is_cut_at_its_edges_all_the_same(make):
    """Only whole polling periods counted: up to one is lost at each edge."""
    trace = make.trace(lambda t: np.full(t.size, 5.0), 0, 2, period_s=0.0331)
    start_ns = make.round(0, "latency", 0, [1]).start_ns + S
    window_ns = (start_ns, start_ns + S // 2)
    t_ns = (trace.t_before_ns + trace.t_after_ns) / 2
    inside = (t_ns >= window_ns[0]) & (t_ns <= window_ns[1])
    mistaken_j = float(np.trapezoid(trace.values[inside, 0], t_ns[inside] * 1e-9))
    assert mistaken_j < 0.98 * 2.5
    right_j = window_energy(trace, ["VDD_IN"], window_ns, 0.0).energy_j
    assert right_j == pytest.approx(2.5, rel=1e-6)


def test_an_inference_shorter_than_a_sampling_period_is_not_0_j(make):
    """Looking up the samples within each inference finds none in nearly all of them."""
    slow = make.trace(lambda t: np.full(t.size, 5.0), 20, 24, period_s=0.033, jitter=0.2)
    item = make.energy_round(0, 20, None, latency_s=0.001, trace=slow)
    ends_ns = item.start_ns + np.cumsum(item.durations_ns)
    starts_ns = ends_ns - item.durations_ns
    found = np.searchsorted(item.trace.t_before_ns, ends_ns) - np.searchsorted(
        item.trace.t_before_ns, starts_ns
    )
    assert np.median(found) == 0  # the mistake: 0 J for every such inference
    stats = energy_result([item] * 3, (), make.source(), batch=1).stats
    assert stats.gross_j == pytest.approx(0.005, rel=0.01)


def test_half_of_the_last_value_is_no_average(tmp_path):
    """jetson-stats calls (new + old) // 2 an average: after a step it is neither."""
    build(tmp_path, ORIN_NANO)
    service = jtop_service.power_service(tmp_path)
    chip = "sys/devices/platform/soc/i2c-1/1-0040/hwmon/hwmon5"
    service.get_status()
    write(tmp_path, f"{chip}/curr1_input", "2400\n")
    power = service.get_status()
    assert power["tot"]["avg"] / 1e3 == pytest.approx(5.048 * 1.8, rel=1e-3)
    assert jtop.rails_w(power)["VDD_IN"] == pytest.approx(5.048 * 2.4, rel=1e-3)


def test_a_board_on_which_nothing_is_found_has_no_figure_and_a_reason(tmp_path):
    """Rails are looked for where JetPack 4 has them, and NaN comes back without a word."""
    root = build(tmp_path, ORIN_NANO)
    jetpack_4 = list(Path(root).glob("sys/bus/i2c/drivers/ina3221x/*/iio*"))
    assert jetpack_4 == []
    assert [item["name"] for item in probe.sensors(root, {}) if not item["problem"]] == ["ina3221"]
    power, verdict = choose_power(GENERIC, [], PowerSettings(), estimates=True)
    assert power is None
    assert "no power sensor found" in verdict.detail
