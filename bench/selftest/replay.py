"""Plays a waveform on a fake board in simulated time and reads it with the agent's own sensor.

The readings come at the instants at which the sampler would take them: the same jittered pauses,
plus the time that a reading takes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.agent.sampler import pause_s
from bench.agent.sensors import ina3221
from bench.boards import recognise
from bench.config.power_settings import PowerSettings
from bench.power.choice import choose_power
from bench.records.power import PowerSource
from bench.records.recordings import IdleLine, LoadStep, PowerTrace, Round
from bench.selftest.fake_board import UNREADABLE, FakeBoard
from bench.selftest.waveforms import Waveform

PERIOD_S = 0.005
READ_S = 0.0004
"""About what two I²C transfers of a reading take."""
MARGIN_S = 0.01
"""The sampler starts before the load and stops after it."""
START_NS = 40 * 24 * 3600 * 1_000_000_000
"""A board that has been up for 40 days: nanoseconds do not fit into single floats."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sensor:
    """How a sensor turns power into readings.

    ``lag_s``: time constant of its low-pass, 0 for none. ``refresh_s``: it holds the mean power of
    the last stretch of this length until the next one is over; 0: it is always up to date.
    ``failing``: share of the reads that fail.
    """

    lag_s: float = 0.0
    refresh_s: float = 0.0
    failing: float = 0.0

    def shown_w(self, wave: Waveform, t_s: Array, draw: np.random.Generator) -> Array:
        """Return what it shows at times ``t_s``."""
        if not self.refresh_s:
            return wave.shown_w(t_s, self.lag_s)
        phase_s = draw.uniform(0.0, self.refresh_s)
        latest_s = np.floor((t_s + phase_s) / self.refresh_s) * self.refresh_s - phase_s
        gained_j = wave.until_j(latest_s) - wave.until_j(latest_s - self.refresh_s)
        return gained_j / self.refresh_s


def power_source(board: FakeBoard) -> PowerSource:
    """Choose the power source as ``bench run`` does: the agent's description, the board's rules."""
    sensors: list[dict[str, Any]] = ina3221.describe(str(board.root), {})
    source, verdict = choose_power(
        recognise([board.layout.compatible]), sensors, PowerSettings(), estimates=False
    )
    assert source is not None, verdict.detail
    return source


class Player:
    """Reads a board all of whose rails follow a waveform."""

    def __init__(self, board: FakeBoard, sensor: Sensor, seed: int) -> None:
        self._board = board
        self._sensor = sensor
        self._reader = ina3221.open_sensor(str(board.root), {}, board.layout.rails)
        self._draw = np.random.default_rng(seed)
        self._pauses = random.Random(seed)

    def play(self, wave: Waveform, start_s: float, stop_s: float) -> PowerTrace:
        """Return the trace of all rails between two times of the waveform."""
        before_s = self._instants(start_s, stop_s)
        shown_w = self._sensor.shown_w(wave, before_s + READ_S / 2, self._draw)
        codes = self._board.codes(shown_w)
        for i in np.flatnonzero(self._draw.random(before_s.size) < self._sensor.failing):
            codes[i] = [UNREADABLE] * len(codes[i])
        values = []
        for row in codes:
            self._board.show(row)
            values.append(self._reader.read())
        t_before_ns = to_ns(before_s)
        return PowerTrace(
            channels=tuple(self._reader.channels),
            unit=self._reader.unit,
            t_before_ns=t_before_ns,
            t_after_ns=t_before_ns + round(READ_S * 1e9),
            # None becomes not-a-number.
            values=np.array(values, dtype=np.float64),
        )

    def _instants(self, start_s: float, stop_s: float) -> Array:
        instants = [start_s]
        while instants[-1] < stop_s:
            instants.append(instants[-1] + READ_S + pause_s(PERIOD_S, self._pauses))
        return np.array(instants)


def to_ns(t_s: Array) -> NDArray[np.int64]:
    """Nanoseconds of the board's clock at times of a waveform."""
    return START_NS + np.round(t_s * 1e9).astype(np.int64)


def energy_round(
    index: int, trace: PowerTrace, latency_s: float, window_s: tuple[float, float], tail_s: float
) -> Round:
    """Return a round of inferences of equal length from time 0 to ``tail_s`` after the window.

    ``trace`` may go on for longer; it is cut where the sampler would have been stopped.
    """
    count = int(np.ceil((window_s[1] + tail_s) / latency_s))
    start_ns, stop_ns, end_ns = to_ns(np.array([*window_s, count * latency_s + MARGIN_S]))
    kept = int(np.searchsorted(trace.t_before_ns, end_ns)) + 1
    return Round(
        index=index,
        kind="energy",
        start_ns=START_NS,
        durations_ns=np.full(count, round(latency_s * 1e9), dtype=np.int64),
        window_ns=(int(start_ns), int(stop_ns)),
        trace=PowerTrace(
            trace.channels,
            trace.unit,
            trace.t_before_ns[:kept],
            trace.t_after_ns[:kept],
            trace.values[:kept],
        ),
        background=0.0,
    )


def load_step(player: Player, wave: Waveform, idle_s: float, load_s: float) -> LoadStep:
    """Return the recording of a load that sets in at time 0 after ``idle_s``."""
    edges_ns = to_ns(np.array([-idle_s, load_s]))
    return LoadStep(
        onset_ns=START_NS,
        window_ns=(int(edges_ns[0]), int(edges_ns[1])),
        trace=player.play(wave, -idle_s, load_s + MARGIN_S),
    )


def idle_line(player: Player, wave: Waveform, where: str, at_s: float, length_s: float) -> IdleLine:
    """Return the recording of an idle line from ``at_s`` on, of what ``wave`` shows from 0 on."""
    trace = player.play(wave, 0.0, length_s)
    later_ns = round(at_s * 1e9)
    start_ns, stop_ns = to_ns(np.array([at_s + MARGIN_S, at_s + length_s - MARGIN_S]))
    return IdleLine(
        where=where,
        window_ns=(int(start_ns), int(stop_ns)),
        trace=replace(
            trace,
            t_before_ns=trace.t_before_ns + later_ns,
            t_after_ns=trace.t_after_ns + later_ns,
        ),
    )
