"""Arrivals at random (server) and sustained load."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bench.analysis.journal import recordings
from bench.analysis.stats import latency_stats
from bench.analysis.sustain import steady_from
from bench.analysis.times import inferences_in, load_end_ns, served_ns
from bench.analysis.validity import evaluate
from bench.records.status import Reason, Status

S = 1_000_000_000


def served(make, arrivals_s, service_s):
    """A round whose inferences queue behind each other."""
    end_s, durations_s = 0.0, []
    for at_s in arrivals_s:
        end_s = max(at_s, end_s) + service_s
        durations_s.append(end_s - at_s)
    item = make.round(0, "latency", 0, durations_s)
    arrivals_ns = item.start_ns + np.round(np.asarray(arrivals_s) * S).astype(np.int64)
    return dataclasses.replace(item, arrivals_ns=arrivals_ns)


def test_the_queue_is_part_of_the_latency(make):
    item = served(make, [0.0, 0.01, 0.02, 0.5], service_s=0.1)
    assert (item.durations_ns / S).tolist() == pytest.approx([0.1, 0.19, 0.28, 0.1])
    starts_ns, _ = served_ns(item)
    assert ((starts_ns - item.start_ns) / S).tolist() == pytest.approx([0, 0.1, 0.2, 0.5])
    assert (load_end_ns(item) - item.start_ns) / S == pytest.approx(0.6)
    stats = latency_stats([item], batch=1)
    assert stats.queue_mean_s == pytest.approx((0 + 0.09 + 0.18 + 0) / 4)
    assert stats.throughput_per_s == pytest.approx(4 / 0.6)
    # 0.25..0.55 s holds half of the third and half of the fourth.
    window_ns = (item.start_ns + S // 4, item.start_ns + 55 * S // 100)
    assert inferences_in(item, window_ns) == pytest.approx(0.5 + 0.5)


def test_back_to_back_there_is_no_queue(make):
    stats = latency_stats([make.round(0, "latency", 0, np.full(50, 0.01))], batch=1)
    assert stats.queue_mean_s is None


def test_arrivals_come_from_the_journal_and_nonsense_is_refused():
    record = {
        "kind": "round",
        "case": "a",
        "index": 0,
        "type": "latency",
        "start_ns": 0,
        "durations_ns": [10, 10],
        "arrivals_ns": [5, 20],
        "load": 2,
    }
    (item,) = recordings([record], [], ["a"])["a"].rounds
    assert item.arrivals_ns.tolist() == [5, 20]
    assert item.load == 2
    for bad in ([5], [20, 5]):
        found = recordings([{**record, "arrivals_ns": bad}], [], ["a"])["a"]
        assert found.rounds == ()
        assert "arrivals_ns" in found.lost[0]


def sustained(make, levels_s, procedure):
    rounds = []
    for i, level_s in enumerate(levels_s):
        at_s = 10 + 5 * i
        power_w = make.trace(lambda t: 5 + 0.02 * np.sin(9 * t), at_s, at_s + 5.01)
        rounds.append(
            dataclasses.replace(
                make.round(
                    i,
                    "sustain",
                    at_s,
                    np.full(round(5 / level_s), level_s),
                    window_s=(at_s, at_s + 5),
                    trace=power_w,
                    background=0.0,
                ),
                health={"temperature_c": {"cpu": 40 + i}, "frequency_khz": {"cpu0": 1_000_000}},
            )
        )
    recording = make.recording(rounds=tuple(rounds))
    return evaluate(recording, make.case(), procedure, make.source(), run_id="r", trial_id="t")


def test_a_sustained_load_gives_a_curve_and_the_value_it_ends_in(make):
    procedure = make.procedure(sustain_s=200, latency_rounds=20)
    rng = np.random.default_rng(1)
    levels_s = np.concatenate((np.linspace(0.010, 0.013, 15), np.full(25, 0.013)))
    trial = sustained(make, levels_s * (1 + rng.normal(0, 0.002, 40)), procedure)
    curve = trial.sustain
    assert len(curve.points) == 40
    assert curve.first_p50_s == pytest.approx(0.010, rel=0.01)
    assert curve.steady_p50_s == pytest.approx(0.013, rel=0.005)
    assert 55 <= curve.steady_from_s <= 80
    assert curve.steady_power_w == pytest.approx(5, rel=0.01)
    assert curve.points[3].temperature_c == 43
    assert curve.points[3].frequency_khz == 1_000_000
    # The figures of the trial are those of the steady part.
    assert trial.latency.p50_s == pytest.approx(0.013, rel=0.005)
    assert trial.energy.gross_j == pytest.approx(5 * 0.013, rel=0.01)
    assert trial.latency_status.status is Status.VALID
    assert trial.energy_status.status is Status.VALID


def test_a_load_that_never_settles_is_not_steady(make):
    procedure = make.procedure(sustain_s=200)
    trial = sustained(make, np.linspace(0.010, 0.016, 40), procedure)
    assert trial.sustain.steady_p50_s is None
    assert Reason.NOT_STEADY in trial.latency_status.reasons
    assert trial.latency.p50_s > 0.013


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        pytest.param([1.0] * 10, 0, id="steady all along"),
        pytest.param([1.0] * 3 + [1.2] * 17, 3, id="a step"),
        pytest.param([1.2] * 10 + [1.5] + [1.2] * 10, 0, id="one stall is no change"),
        pytest.param([1.0, 1.1, 1.2], None, id="too short"),
        pytest.param([1.0] * 20 + [1.2] * 2, None, id="changed at the very end"),
        pytest.param(np.linspace(1, 1.05, 40), None, id="slow drift"),
    ],
)
def test_where_the_steady_part_begins(levels, expected):
    assert steady_from(np.asarray(levels, dtype=float)) == expected
