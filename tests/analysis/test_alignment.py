"""A meter's readings on the board's clock, held against simulated meters whose clock is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import simulated_meter as simulated
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bench.analysis.alignment import Alignment, align
from bench.analysis.marker_pattern import marker_durations_s, marker_rest_s
from bench.analysis.marker_search import Misaligned
from bench.records.recordings import Marker, MeterReadings

RATES_HZ = st.one_of(
    st.sampled_from([1.0, 2.0, 10.0, 100.0, 1000.0, 10_000.0]),
    st.floats(0, 4).map(lambda exponent: 10**exponent),
)
DRIFT = 50e-6


def promised_s(rate_hz: float) -> float:
    return max(0.010, 0.05 / rate_hz)


def worst_error_s(
    found: Alignment,
    board: simulated.Board,
    rate_hz: float,
    kind: str,
    offset_s: float,
    drift: float,
) -> float:
    """The largest error of the times of readings, from the first marker to the last."""
    before, after = board.markers
    board_s = np.linspace(before.edges_ns[0] * 1e-9, after.edges_ns[-1] * 1e-9, 5)
    since_s = board_s - simulated.BOARD_START_S
    label_s = board_s + offset_s + since_s * drift + simulated.middle_of_reading_s(rate_hz, kind)
    on_board_ns = found.on_board(np.rint(label_s * 1e9).astype(np.int64))
    return float(np.abs(on_board_ns * 1e-9 - board_s).max())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rate_hz=RATES_HZ,
    kind=st.sampled_from(["mean", "instant"]),
    offset_s=st.floats(-4000, 2e9),
    drift=st.floats(-DRIFT, DRIFT),
    noise=st.floats(0, 1),
    jitter=st.sampled_from([0.0, 0.02]),
    seed=st.integers(0, 2**16),
)
@example(1.0, "instant", 1.8e9, DRIFT, 0.0, 0.0, 0)
@example(1.0, "mean", 1.8e9, -DRIFT, 1.0, 0.0, 1)
@example(10_000.0, "instant", -3000.0, DRIFT, 1.0, 0.02, 2)
@example(10**2.75, "instant", 0.0, 0.0, 0.0, 0.0, 1)
@example(1000.0, "instant", 0.0, 0.0, 1.0, 0.02, 890)
def test_readings_are_placed_within_what_is_promised(
    rate_hz: float, kind: str, offset_s: float, drift: float, noise: float, jitter: float, seed: int
) -> None:
    # Relative to the rise: 5 % of a slow meter's single reading, up to 30 % of a fast one's.
    noise *= min(0.3, max(0.05, 0.01 * rate_hz))
    board = simulated.board(1 / rate_hz, seed=seed)
    readings = simulated.readings(
        board,
        rate_hz,
        offset_s=offset_s,
        drift=drift,
        noise=noise,
        kind=kind,
        jitter=jitter,
        seed=seed + 1,
    )
    found = align(readings, board.markers)
    error_s = worst_error_s(found, board, rate_hz, kind, offset_s, drift)
    assert error_s <= promised_s(rate_hz)
    # What is said of the error bears it out, give or take the 5 % that an interval leaves out.
    assert error_s <= 2 * found.uncertainty_s


@pytest.mark.parametrize("kind", ["mean", "instant"])
def test_a_slow_meter_shows_which_kind_its_readings_are(kind: str) -> None:
    board = simulated.board(1.0, seed=4)
    readings = simulated.readings(board, 1.0, offset_s=100.0, noise=0.03, kind=kind)
    assert align(readings, board.markers).reading == kind
    other = {"mean": "instant", "instant": "mean"}[kind]
    assert align(readings, board.markers, other).reading == other


def test_drift_is_found_over_a_long_run() -> None:
    board = simulated.board(0.01, rounds_s=600.0)
    readings = simulated.readings(board, 100.0, offset_s=7.0, drift=37e-6, noise=0.05)
    found = align(readings, board.markers)
    assert abs(found.drift_ppm - 37) <= found.drift_uncertainty_ppm
    assert found.drift_uncertainty_ppm < 3


def test_the_promise_can_be_missed() -> None:
    """A label taken for the middle of a mean misses it at 1 Hz."""
    board = simulated.board(1.0)
    readings = simulated.readings(board, 1.0, offset_s=0.0, noise=0.0, kind="mean")
    found = align(readings, board.markers)
    assert worst_error_s(found, board, 1.0, "instant", 0.0, 0.0) > 0.4


def ten_hz(**changes: object) -> tuple[simulated.Board, MeterReadings]:
    board = simulated.board(0.1)
    return board, simulated.readings(board, 10.0, **{"offset_s": 50.0, "noise": 0.02, **changes})


def refused(readings: MeterReadings, markers: tuple[Marker, ...]) -> str:
    with pytest.raises(Misaligned) as caught:
        align(readings, markers)
    return str(caught.value)


def test_a_flat_trace_is_refused() -> None:
    board, readings = ten_hz()
    flat = dataclasses.replace(readings, power_w=np.full(readings.t_ns.size, 2.5))
    assert "all the same" in refused(flat, board.markers)


def test_noise_without_markers_is_refused() -> None:
    board, readings = ten_hz(rise_w=1e-6)
    draw = np.random.default_rng(1)
    noisy = dataclasses.replace(readings, power_w=2 + draw.standard_normal(readings.t_ns.size))
    assert "cannot be found" in refused(noisy, board.markers)


def test_a_load_that_lowers_the_power_is_refused() -> None:
    board, readings = ten_hz(rise_w=-1.0, idle_w=5.0)
    assert "cannot be found" in refused(readings, board.markers)


@pytest.mark.parametrize("set_by_s", [-0.5, 0.5, 3600.0])
def test_a_clock_that_was_set_meanwhile_is_a_contradiction(set_by_s: float) -> None:
    board, readings = ten_hz()
    middle_ns = int(readings.t_ns[readings.t_ns.size // 2])
    t_ns = np.where(readings.t_ns > middle_ns, readings.t_ns + round(set_by_s * 1e9), readings.t_ns)
    order = np.argsort(t_ns, kind="stable")
    moved = MeterReadings(t_ns[order], readings.power_w[order])
    assert "contradict each other" in refused(moved, board.markers)


def test_a_clock_that_jumped_by_decades_is_refused_at_once() -> None:
    """As that of a small computer which learns the time from the network after it has started."""
    board, readings = ten_hz()
    t_ns = readings.t_ns.copy()
    t_ns[t_ns.size // 2 :] += 50 * 365 * 86400 * 1_000_000_000
    assert "days by its clock" in refused(MeterReadings(t_ns, readings.power_w), board.markers)


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("failed", [False, True])
def test_a_gap_over_a_marker_is_refused(where: str, failed: bool) -> None:
    """Whether nothing arrived or reads failed."""
    board, readings = ten_hz()
    marker = board.markers[0 if where == "before" else 1]
    at_ns = marker.edges_ns[6] + 50_000_000_000
    gap = (readings.t_ns > at_ns) & (readings.t_ns < at_ns + 600_000_000)
    if failed:
        broken = MeterReadings(readings.t_ns, np.where(gap, np.nan, readings.power_w))
    else:
        broken = MeterReadings(readings.t_ns[~gap], readings.power_w[~gap])
    text = refused(broken, board.markers)
    assert f"a gap of 0.7 s over the load markers {where} the rounds" in text


def test_a_meter_that_was_unplugged_before_the_closing_markers() -> None:
    board, readings = ten_hz()
    until = readings.t_ns < readings.t_ns[0] + 12_000_000_000
    text = refused(MeterReadings(readings.t_ns[until], readings.power_w[until]), board.markers)
    assert "cover 11.9 s" in text


@pytest.mark.parametrize("drift", [-DRIFT, DRIFT])
def test_opening_markers_alone_tell_the_offset_less_certainly(drift: float) -> None:
    """As after Ctrl-C; nothing tells the drift then, and the uncertainty covers it."""
    board = simulated.board(0.01, rounds_s=300.0)
    readings = simulated.readings(board, 100.0, offset_s=7.0, drift=drift, noise=0.05)
    found = align(readings, board.markers[:1])
    assert not found.is_closed
    assert (found.drift_ppm, found.drift_uncertainty_ppm) == (0.0, 100.0)
    error_s = worst_error_s(found, board, 100.0, "mean", 7.0, drift)
    # To be right, an uncertainty must be both: large enough, and not beyond all measure.
    assert 0.01 < error_s <= found.uncertainty_s < 0.05
    both = align(readings, board.markers)
    assert both.is_closed and both.uncertainty_s < 0.01


def test_markers_that_were_not_played_are_named() -> None:
    board, readings = ten_hz()
    assert "before the rounds were not played" in refused(readings, ())
    assert "before the rounds were not played" in refused(readings, board.markers[1:])


def test_a_marker_that_a_journal_names_twice_counts_once() -> None:
    board, readings = ten_hz()
    opening, closing = board.markers
    assert align(readings, (opening, opening, closing)) == align(readings, board.markers)
    assert not align(readings, (opening, opening)).is_closed


def test_groups_in_the_wrong_order_are_refused() -> None:
    board, readings = ten_hz()
    opening, _ = board.markers
    for earlier_ns in (0, 10**9):
        edges_ns = opening.edges_ns - earlier_ns
        closing = dataclasses.replace(opening, where="after", edges_ns=edges_ns)
        assert "do not lie after" in refused(readings, (opening, closing))


def test_a_recording_of_the_same_group_twice_is_no_run() -> None:
    """The group before the rounds is not taken for the one after them."""
    board, readings = ten_hz()
    ends_ns = board.markers[0].window_ns[1] + 50_000_000_000
    first = readings.t_ns < ends_ns
    again_ns = readings.t_ns[first] + ends_ns - readings.t_ns[0]
    twice = MeterReadings(
        np.concatenate((readings.t_ns[first], again_ns)),
        np.concatenate((readings.power_w[first], readings.power_w[first])),
    )
    refused(twice, board.markers)


def test_few_readings_are_refused() -> None:
    board, readings = ten_hz()
    few = MeterReadings(readings.t_ns[:20], readings.power_w[:20])
    assert "20 readings" in refused(few, board.markers)


def test_markers_take_seconds_for_fast_meters_and_less_than_a_minute_at_one_hertz() -> None:
    for period_s, longest_s in ((1e-4, 6.0), (0.1, 7.0), (0.2, 10.0), (1.0, 50.0)):
        for where in ("before", "after"):
            durations_s = marker_durations_s(where, period_s)
            assert sum(durations_s) + 2 * marker_rest_s(period_s) < longest_s
            # No reading that is a mean holds two edges, and a board has time to take up load.
            assert min(durations_s) > max(1.6 * period_s, 0.1)
            # Load first and last: on, off, ..., on.
            assert len(durations_s) % 2 == 1
    assert marker_durations_s("before", 1.0) != marker_durations_s("after", 1.0)
