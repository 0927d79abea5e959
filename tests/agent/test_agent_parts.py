"""Parts of the agent whose edges a whole job does not reach."""

from __future__ import annotations

import io
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.agent import blocks, cpu, health, parity, schedule, serve, timing

Tree = Callable[[dict[str, str]], Path]

KINDS = ("latency", "energy")
TOLERANCE = {"atol": 1e-4, "rtol": 1e-3, "cosine": 0.999}


def test_parity_figures() -> None:
    expected = np.array([[1.0, 2.0], [4.0, 3.0]])
    output = expected + np.array([[0.0, 0.0], [0.0, 2.0]])
    result = parity.compare(["y"], [output], [expected], TOLERANCE, True)
    assert not result["passed"]
    assert result["max_abs_error"] == 2.0
    assert result["max_rel_error"] == 0.5
    assert result["top1_agreement"] == 0.5
    assert "1 of 4 values" in result["detail"]


def test_parity_takes_the_worst_output() -> None:
    good, bad = np.ones(3), np.array([1.0, 0.0, 0.0])
    result = parity.compare(["a", "b"], [good, bad], [good, good], TOLERANCE, False)
    assert not result["passed"]
    assert result["detail"].startswith("b:")
    assert result["cosine"] == pytest.approx(1 / np.sqrt(3))
    assert result["top1_agreement"] is None


def test_parity_of_other_shapes_and_of_nothing() -> None:
    result = parity.compare(["y"], [np.ones(3)], [np.ones((1, 3))], TOLERANCE, False)
    assert not result["passed"]
    assert "shape" in result["detail"]
    zeros = parity.compare(["y"], [np.zeros(3)], [np.zeros(3)], TOLERANCE, False)
    assert (zeros["passed"], zeros["cosine"], zeros["max_rel_error"]) == (True, 1.0, None)


def test_reference_that_holds_no_numbers_never_passes() -> None:
    nan = np.array([np.nan])
    assert not parity.compare(["y"], [nan], [nan], TOLERANCE, False)["passed"]


@pytest.mark.parametrize(
    ("available", "alone", "groups"),
    [
        (1000, "", [["a", "b", "c"]]),
        (500, "", [["a", "b"], ["c"]]),
        (None, "", [["a", "b", "c"]]),
        (10, "", [["a"], ["b"], ["c"]]),
        (1000, "b", [["b"], ["a", "c"]]),
        (None, "abc", [["a"], ["b"], ["c"]]),
    ],
)
def test_cases_share_memory_only_as_far_as_it_goes(
    available: int | None, alone: str, groups: list[list[str]]
) -> None:
    peaks = [("a", 100), ("b", 150), ("c", 200)]
    assert schedule.loaded_groups(peaks, available, set(alone)) == groups


def test_rounds_are_interleaved_in_seeded_random_order() -> None:
    procedure = {"loads": 1, "latency_rounds": 6, "energy_rounds": 2}
    (rounds,) = schedule.segment_rounds(procedure, True, "abc", random.Random(5))
    laps = [rounds[i : i + 3] for i in range(0, len(rounds), 3)]
    assert all({case for *_, case in lap} == set("abc") for lap in laps)
    assert all(len({(kind, index) for _, kind, index, _ in lap}) == 1 for lap in laps)
    assert len({tuple(case for *_, case in lap) for lap in laps}) > 1
    kinds = "".join(lap[0][1][0] for lap in laps)
    assert kinds.count("e") == 2
    assert kinds.strip("l").strip("e").count("l") >= 2  # spread, not at one end
    assert [rounds] == schedule.segment_rounds(procedure, True, "abc", random.Random(5))
    assert [rounds] != schedule.segment_rounds(procedure, True, "abc", random.Random(6))
    (without,) = schedule.segment_rounds(procedure, False, "abc", random.Random(5))
    assert not [r for r in without if r[1] == "energy"]


def test_every_load_gets_its_share_of_both_kinds_of_rounds() -> None:
    procedure = {"loads": 3, "latency_rounds": 10, "energy_rounds": 3}
    segments = schedule.segment_rounds(procedure, True, "ab", random.Random(5))
    counts = [[sum(r[1] == kind for r in s) // 2 for s in segments] for kind in KINDS]
    assert counts == [[3, 4, 3], [1, 1, 1]]
    taken = [(kind, index) for segment in segments for _, kind, index, _ in segment]
    assert [i for kind, i in taken if kind == "latency"] == [i for i in range(10) for _ in "ab"]


def test_energy_windows_grow_with_the_lag_of_the_sensor() -> None:
    procedure = {"energy_window_s": 5.0, "energy_window_tau": 10.0}
    for lag_s, window_s in ((0.86, 8.6), (0.43, 5.0), (None, 5.0)):
        job = {"procedure": procedure, "sensor": {"lag_s": lag_s}}
        assert schedule.energy_window_s(job) == pytest.approx(window_s)


def test_rounds_of_one_index_have_the_same_arrivals_in_all_cases() -> None:
    procedure = {"scenario": "server", "rate_per_s": 50.0, "seed": 3}
    first, again, other = (schedule.arrivals(procedure, "latency", index) for index in (1, 1, 2))
    assert first == again
    assert first["seed"] != other["seed"]
    offsets = timing.poisson_offsets_s(50.0, 200.0, first["seed"])
    assert offsets == timing.poisson_offsets_s(50.0, 200.0, first["seed"])
    gaps = np.diff(offsets)
    assert 0 < offsets[0] < offsets[-1] < 200.0
    assert gaps.mean() == pytest.approx(1 / 50, rel=0.05)
    assert gaps.std() == pytest.approx(1 / 50, rel=0.05)  # exponential: as wide as long


def test_an_arrival_waits_for_those_before_it() -> None:
    served = []

    def infer() -> None:
        served.append(time.monotonic())
        time.sleep(0.02)

    start, ends = timing.at_arrivals(infer, [0.0, 0.001, 0.08], 0.15, 0.0)
    assert [end >= began + 0.02 for began, end in zip(served, ends, strict=True)] == [True] * 3
    assert served[1] >= ends[0]
    assert served[2] >= start + 0.08
    assert time.monotonic() >= start + 0.15


@pytest.mark.parametrize(
    ("medians", "steady"),
    [
        ([9, 7, 5, 5.1, 5.0], True),
        ([5.0, 5.1], False),  # too few to tell
        ([9, 8, 7, 6.5, 6, 5.5], False),  # still getting faster
        ([5, 5.5, 6, 6.5, 7, 8], False),  # or slower
        ([9, 5, 7, 5.5, 9.5, 6], True),  # disturbed, without a trend
        ([9, 5, 7], False),
    ],
)
def test_warm_up_ends_when_there_is_no_trend(medians: list[float], steady: bool) -> None:
    assert blocks.is_steady(medians) is steady


def test_settling_follows_the_lag_of_the_sensor() -> None:
    procedure = {"settle_s": 0.2, "settle_tau": 5.0}
    assert schedule.settle_s({"procedure": procedure, "sensor": {"lag_s": 0.4}}) == 2.2
    assert schedule.settle_s({"procedure": procedure, "sensor": {"lag_s": None}}) == 0.2
    assert schedule.settle_s({"procedure": procedure, "sensor": None}) == 0.2


def test_background_is_what_others_used(tree: Tree) -> None:
    root = str(tree({"/proc/stat": "cpu  100 0 0 100 0 0 0 0 0 0\ncpu0 1\ncpu1 1\n"}))
    before = cpu.read_times(root)
    tree({"/proc/stat": "cpu  160 0 20 200 0 0 0 20 0 0\ncpu0 1\ncpu1 1\n"})
    after = cpu.read_times(root)
    assert cpu.background_share(before, after, 0.6) == pytest.approx(0.2)
    assert cpu.background_share(before, after, 5.0) == 0.0
    assert cpu.background_share(before, before, 0.0) is None
    assert cpu.background_share(None, after, 0.0) is None


def test_throttling_shows_in_counters_and_alerts(tree: Tree) -> None:
    root = tree(
        {
            "/sys/class/hwmon/hwmon2/name": "soctherm_oc\n",
            "/sys/class/hwmon/hwmon2/oc1_event_cnt": "3\n",
            "/sys/class/thermal/cooling_device4/type": "cpu-throttle-alert\n",
            "/sys/class/thermal/cooling_device4/cur_state": "1\n",
            "/sys/class/thermal/cooling_device5/type": "pwm-fan\n",
            "/sys/class/thermal/cooling_device5/cur_state": "2\n",
        }
    )
    assert health.throttle_counts(str(root)) == {"oc1": 3, "cpu-throttle-alert": 1}


def test_clocks_are_taken_from_the_hardware_where_it_tells(tree: Tree) -> None:
    cpu0 = "/sys/devices/system/cpu/cpu0/cpufreq"
    files = {f"{cpu0}/scaling_cur_freq": "1500000\n", f"{cpu0}/cpuinfo_cur_freq": "900000\n"}
    assert health.frequencies_khz(str(tree(files))) == {"cpu0": 900000}


def test_health_has_the_limits_between_which_clocks_may_move(tree):
    cpufreq = "/sys/devices/system/cpu/cpu0/cpufreq"
    files = {f"{cpufreq}/scaling_min_freq": "102000\n", f"{cpufreq}/scaling_max_freq": "1479000\n"}
    facts = health.read_health(str(tree(files)))
    assert facts["frequency_min_khz"] == {"cpu0": 102000}
    assert facts["frequency_max_khz"] == {"cpu0": 1479000}


def test_parity_allows_rounding_in_proportion_to_the_largest_output() -> None:
    reference = np.array([1800.0, 0.001])
    output = reference + np.array([0.0, 0.0009])  # 5e-7 of the largest, as float32 rounds
    tolerance = {"atol": 1e-4, "rtol": 1e-3, "cosine": 0.9999}
    assert parity.compare(["y"], [output], [reference], tolerance, False)["passed"]
    output[1] += 2.0
    assert not parity.compare(["y"], [output], [reference], tolerance, False)["passed"]


def test_a_worker_whose_conductor_is_gone_ends_without_a_word() -> None:
    """Its log is shown to people as the last words of a job; a traceback there would mislead."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as answers:
        asked = []
        handlers = {"run": lambda request: asked.append(request) or {}}
        serve.serve(io.BytesIO(b'{"do":"run"}\n' * 3), answers, handlers, {"run": "crash"})
    assert len(asked) == 1
