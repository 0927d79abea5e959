"""A simulated external meter over a simulated board: the truth that alignment is held against."""

from dataclasses import dataclass

import numpy as np

from bench.analysis.marker_pattern import marker_durations_s, marker_rest_s
from bench.records.recordings import Marker, MeterReadings

BOARD_START_S = 5000.0


@dataclass(frozen=True)
class Board:
    """Two groups of markers with rounds of load in between, on the board's clock (seconds)."""

    markers: tuple[Marker, Marker]
    edges_s: np.ndarray
    """When power rose, fell, rose, ... by ``rise_w``."""
    stop_s: float


def board(period_s, rounds_s=8.0, late_s=0.002, seed=0):
    """``late_s``: by how much edges are later than planned; the markers tell the real ones."""
    draw = np.random.default_rng(seed)
    now_s = BOARD_START_S + 3.0
    edges, markers = [], []
    for where in ("before", "after"):
        start_s = now_s
        at_s = start_s + marker_rest_s(period_s)
        times = [at_s]
        for duration_s in marker_durations_s(where, period_s):
            times.append(times[-1] + duration_s)
        real = np.array(times) + draw.uniform(0, late_s, len(times))
        edges += real.tolist()
        now_s = times[-1] + marker_rest_s(period_s)
        window = (round(start_s * 1e9), round(now_s * 1e9))
        markers.append(Marker(where, np.rint(real * 1e9).astype(np.int64), window))
        if where == "before":
            end_s = now_s + rounds_s
            while now_s + 0.7 < end_s:
                edges += [now_s + 0.1, now_s + 0.6]
                now_s += 0.7
            now_s = end_s
    return Board(tuple(markers), np.array(edges), now_s + 3.0)


def readings(
    board,
    rate_hz,
    *,
    offset_s,
    drift=0.0,
    noise=0.0,
    kind="mean",
    idle_w=2.0,
    rise_w=3.0,
    jitter=0.0,
    seed=1,
    start_s=BOARD_START_S,
):
    """What a meter says of a board: its clock reads ``offset_s`` more at BOARD_START_S and runs
    faster by ``drift``; it labels a mean with the end of its interval; ``noise`` is relative to
    ``rise_w``, ``jitter`` to the period."""
    draw = np.random.default_rng(seed)
    count = int((board.stop_s - start_s) * rate_hz)
    ends_s = start_s + (np.arange(count + 1) + draw.uniform()) / rate_hz / (1 + drift)
    ends_s += jitter / rate_hz * draw.uniform(-0.5, 0.5, ends_s.size)
    loaded_s = np.cumsum(np.diff(board.edges_s) * (np.arange(board.edges_s.size - 1) % 2 == 0))
    so_far = np.interp(ends_s, board.edges_s, np.concatenate(([0.0], loaded_s)))
    share = np.diff(so_far) / np.diff(ends_s)
    ends_s = ends_s[1:]
    if kind == "instant":
        share = np.searchsorted(board.edges_s, ends_s) % 2
    power_w = idle_w + rise_w * (share + noise * draw.standard_normal(ends_s.size))
    meter_s = BOARD_START_S + offset_s + (ends_s - BOARD_START_S) * (1 + drift)
    return MeterReadings(np.rint(meter_s * 1e9).astype(np.int64), power_w)


def middle_of_reading_s(rate_hz, kind):
    """By how much the middle of a reading comes before its label."""
    return 0.5 / rate_hz if kind == "mean" else 0.0
