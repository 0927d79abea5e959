"""A meter's readings through the analysis of energy, with rounds whose true energy is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import simulated_meter as simulated

from bench.analysis.marker_search import Misaligned
from bench.analysis.metered import MeterTrace, metered, place, seen_by, unaligned
from bench.records.case import Case
from bench.records.power import MeterFacts
from bench.records.procedure import Procedure
from bench.records.recordings import IdleLine, MeterReadings, Recording, Round
from bench.records.status import Reason, Source, Status

IDLE_W, RISE_W = 2.0, 3.0
WINDOW_S, EDGE_S = 2.0, 0.3
RUN_NS = 9_730_000
ROUNDS = 4
CASE = Case(device="board", model="net")
PROCEDURE = Procedure(
    name="test",
    warmup_min_s=1,
    warmup_max_s=1,
    latency_rounds=20,
    latency_round_s=0.2,
    energy_rounds=ROUNDS,
    energy_window_s=WINDOW_S,
    energy_tail_s=EDGE_S,
    idle_s=1,
    settle_s=EDGE_S,
    settle_tau=0,
    target_ci=0.02,
)


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


def job(period_s: float, window_s: float = WINDOW_S) -> tuple[simulated.Board, Recording]:
    """Idle, energy rounds of load with rests in between, idle, between two groups of markers."""
    rest_s = max(1.0, 2 * period_s)
    edge_s = EDGE_S + period_s
    load_s = window_s + 2 * edge_s
    gap_s = ROUNDS * (load_s + rest_s) + 2 * rest_s
    empty = simulated.board(period_s, rounds_s=0.0)
    before, after = empty.markers
    shift_s = gap_s
    moved = dataclasses.replace(
        after,
        edges_ns=after.edges_ns + ns(shift_s),
        window_ns=(after.window_ns[0] + ns(shift_s), after.window_ns[1] + ns(shift_s)),
    )
    at_s = before.window_ns[1] * 1e-9
    idle = [IdleLine("before", (ns(at_s), ns(at_s + rest_s)), None)]
    at_s += rest_s
    rounds, edges = [], []
    for index in range(ROUNDS):
        edges += [at_s, at_s + load_s]
        window_ns = (ns(at_s + edge_s), ns(at_s + edge_s + window_s))
        runs_ns = np.full(int(load_s * 1e9) // RUN_NS, RUN_NS)
        rounds.append(Round(index, "energy", ns(at_s), runs_ns, window_ns))
        at_s += load_s + rest_s
    idle.append(IdleLine("after", (ns(at_s), ns(at_s + rest_s)), None))
    all_edges = np.concatenate((before.edges_ns * 1e-9, edges, moved.edges_ns * 1e-9))
    board = simulated.Board((before, moved), all_edges, moved.window_ns[1] * 1e-9 + 3)
    recording = Recording(
        CASE.key,
        None,
        None,
        None,
        tuple(rounds),
        tuple(idle),
        (),
        True,
        markers=board.markers,
        sensor_lost="the board's own",
    )
    return board, recording


def says(
    recording: Recording, readings: MeterReadings, period_s: float, lost: str = ""
) -> tuple[MeterTrace, Recording, object]:
    facts = MeterFacts(kind="command", scope="wall", period_s=period_s, gain_error=0.01)
    meter = place(readings, recording.markers, facts, lost)
    seen = seen_by(recording, meter)
    return meter, seen, metered(seen, CASE, PROCEDURE, meter, None)


@pytest.mark.parametrize("kind", ["mean", "instant"])
@pytest.mark.parametrize("rate_hz", [10.0, 1000.0])
def test_the_energy_is_the_true_one(rate_hz: float, kind: str) -> None:
    board, recording = job(1 / rate_hz)
    readings = simulated.readings(board, rate_hz, offset_s=1e6, drift=40e-6, noise=0.01, kind=kind)
    _, _, found = says(recording, readings, 1 / rate_hz)
    assert found.status.status is Status.VALID, found.status.detail
    true_j = (IDLE_W + RISE_W) * RUN_NS * 1e-9
    assert found.energy.gross_j == pytest.approx(true_j, rel=0.01)
    assert found.energy.net_j == pytest.approx(RISE_W * RUN_NS * 1e-9, rel=0.02)
    assert abs(found.energy.gross_j - true_j) <= 2 * found.energy.uncertainty_j
    assert (found.energy.source, found.energy.scope) == (Source.MEASURED, "wall")
    assert found.energy.gain_error == 0.01
    assert set(found.rounds_j) == set(range(ROUNDS))


def test_without_closing_markers_there_are_figures_that_nothing_confirms() -> None:
    board, recording = job(0.01)
    readings = simulated.readings(board, 100.0, offset_s=1e6, drift=40e-6, noise=0.01)
    stopped = dataclasses.replace(recording, markers=recording.markers[:1])
    _, _, found = says(stopped, readings, 0.01)
    assert (found.status.status, found.status.reasons) == (
        Status.INCONCLUSIVE,
        (Reason.UNALIGNED,),
    )
    assert "were not played (Ctrl-C" in found.status.detail
    assert found.energy.gross_j == pytest.approx((IDLE_W + RISE_W) * RUN_NS * 1e-9, rel=0.01)
    assert not found.alignment.is_closed


def test_an_offset_by_the_window_would_show() -> None:
    """The same analysis with readings a second off misses the energy: alignment is what counts."""
    board, recording = job(0.1)
    readings = simulated.readings(board, 10.0, offset_s=0.0)
    meter, _, _ = says(recording, readings, 0.1)
    late = dataclasses.replace(
        meter.trace,
        t_before_ns=meter.trace.t_before_ns + 1_000_000_000,
        t_after_ns=meter.trace.t_after_ns + 1_000_000_000,
    )
    wrong = dataclasses.replace(meter, trace=late)
    found = metered(seen_by(recording, wrong), CASE, PROCEDURE, wrong, None)
    assert found.energy.gross_j < 0.9 * (IDLE_W + RISE_W) * RUN_NS * 1e-9


def test_a_slow_meter_takes_longer_windows() -> None:
    board, recording = job(1.0)
    readings = simulated.readings(board, 1.0, offset_s=5.0, noise=0.01)
    _, _, found = says(recording, readings, 1.0)
    assert found.status.status is Status.INCONCLUSIVE
    assert Reason.WINDOW_SHORT in found.status.reasons
    assert "--window" in found.status.detail
    board, recording = job(1.0, window_s=10.0)
    readings = simulated.readings(board, 1.0, offset_s=5.0, noise=0.01)
    _, _, found = says(recording, readings, 1.0)
    assert Reason.WINDOW_SHORT not in found.status.reasons, found.status.detail
    assert found.energy.gross_j == pytest.approx((IDLE_W + RISE_W) * RUN_NS * 1e-9, rel=0.01)


def test_a_round_without_readings_is_a_gap_and_never_0_watts() -> None:
    board, recording = job(0.01)
    readings = simulated.readings(board, 100.0, offset_s=0.0, noise=0.01)
    start_ns, stop_ns = recording.rounds[1].window_ns
    kept = (readings.t_ns < start_ns - 100_000_000) | (readings.t_ns > stop_ns + 100_000_000)
    broken = MeterReadings(readings.t_ns[kept], readings.power_w[kept])
    _, seen, found = says(recording, broken, 0.01)
    assert seen.rounds[1].trace is None
    assert found.status.reasons == (Reason.SENSOR_GAPS,)
    assert "1 of 4 energy rounds" in found.status.detail
    assert set(found.rounds_j) == {0, 2, 3}
    assert found.energy.gross_j == pytest.approx((IDLE_W + RISE_W) * RUN_NS * 1e-9, rel=0.01)


def test_a_meter_that_was_lost_says_so_with_the_reason() -> None:
    board, recording = job(0.01)
    readings = simulated.readings(board, 100.0, offset_s=0.0)
    half = readings.t_ns < readings.t_ns[readings.t_ns.size // 2]
    broken = MeterReadings(readings.t_ns[half], readings.power_w[half])
    with pytest.raises(Misaligned, match=r"cover .*; the meter was lost: usb disconnect"):
        says(recording, broken, 0.01, "usb disconnect")
    found = unaligned("why")
    assert (found.energy, found.status.reasons) == (None, (Reason.UNALIGNED,))
