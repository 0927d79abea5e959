"""A few waveforms in real time: the agent's sampler process reads while this process writes.

Round by round the board idles, the load sets in, and the first round's onset tells the sensor's
time constant, as the load step of a real job does.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.agent import lease
from bench.agent.clock import now_ns
from bench.agent.processes import PowerSampler
from bench.analysis.journal_blocks import read_round, read_step
from bench.errors import BenchError
from bench.records.recordings import LoadStep, Round
from bench.selftest.energy import LAG_S, SETTLE_S, TAIL_S, energy_row, make_recording, measure
from bench.selftest.fake_board import LAYOUTS, FakeBoard, Layout
from bench.selftest.outcome import Row
from bench.selftest.replay import PERIOD_S, Sensor, power_source
from bench.selftest.waveforms import Kind, Waveform, square, step

WINDOW_S = 2.0
IDLE_S = 0.5
ROUNDS = 2
WRITE_EVERY_S = 0.001
LATE_S = 0.02
"""A write that comes later than this shows something else than the waveform: measured again."""
ATTEMPTS = 5

PLAYED = (
    (Kind("step at load onset", step), Sensor(lag_s=LAG_S)),
    (Kind("square 2 Hz", square(2.0)), Sensor()),
)


class TooBusy(BenchError):
    """This machine did not let the writer keep time, again and again."""


@dataclass(frozen=True, slots=True)
class _Played:
    round: Round
    step: LoadStep
    true_j: float


def real_time_rows() -> Iterator[Row]:
    """Yield two waveforms in each layout.

    Raises:
        TooBusy: other processes kept this one from running in time.
    """
    for seed, layout in enumerate(LAYOUTS):
        for kind, sensor in PLAYED:
            yield real_time_row(kind, layout, sensor, seed)


def real_time_row(kind: Kind, layout: Layout, sensor: Sensor, seed: int) -> Row:
    """Play a waveform round by round and return what was measured of it.

    Raises:
        TooBusy: other processes kept this one from running in time.
    """
    draw = np.random.default_rng(seed)
    with (
        tempfile.TemporaryDirectory(prefix="bench-selftest-") as folder,
        FakeBoard(Path(folder), layout, filtered=sensor.lag_s > 0) as board,
    ):
        power = power_source(board)
        wanted = {
            "name": power.sensor,
            "options": power.options,
            "channels": list(power.channels),
            "period_s": PERIOD_S,
        }
        job = {"root": folder, "sensor": wanted}
        held, _ = lease.take("lock", folder, "selftest", "")
        cpus = sorted(os.sched_getaffinity(0))[-1:]
        sampler = PowerSampler(job, folder, cpus, held.fd)
        try:
            played = [_in_time(i, board, sampler, kind, sensor, draw) for i in range(ROUNDS)]
        finally:
            sampler.close()
            held.release()
    recording = make_recording([item.round for item in played], [played[0].step])
    trial = measure(recording, power, WINDOW_S)
    filtered = f"τ {sensor.lag_s:g} s" if sensor.lag_s else "raw"
    setting = f"{layout.name}, {filtered}, {WINDOW_S:g} s"
    true_j = float(np.mean([item.true_j for item in played]))
    return energy_row("real time", kind.name, setting, trial, true_j, WINDOW_S)


def _in_time(
    index: int,
    board: FakeBoard,
    sampler: PowerSampler,
    kind: Kind,
    sensor: Sensor,
    draw: np.random.Generator,
) -> _Played:
    """Play a round; again when this machine was too busy to play it in time."""
    for _ in range(ATTEMPTS):
        wave = kind.draw(draw, SETTLE_S + WINDOW_S + 1.0)
        # Before its onset a filtered sensor has seen the idle power for ever.
        board.show(board.codes(np.array([wave.before_w]))[0])
        sampler.start()
        onset_ns = now_ns() + round(IDLE_S * 1e9)
        late_s = _write(board, wave, sensor, onset_ns)
        trace, _ = sampler.stop()
        if late_s <= LATE_S:
            return _played(index, wave, onset_ns, trace, kind.latency_s)
    raise TooBusy(
        f"this machine is too busy to play a waveform in time (up to {late_s * 1e3:.0f} ms late, "
        f"{ATTEMPTS} attempts); close other programs and try again"
    )


def _write(board: FakeBoard, wave: Waveform, sensor: Sensor, onset_ns: int) -> float:
    """Show the waveform until the tail is over; return the longest time between two writes."""
    longest_s = 0.0
    last_s = (now_ns() - onset_ns) * 1e-9
    while last_s < SETTLE_S + WINDOW_S + TAIL_S:
        time.sleep(WRITE_EVERY_S)
        t_s = (now_ns() - onset_ns) * 1e-9
        longest_s, last_s = max(longest_s, t_s - last_s), t_s
        board.show(board.codes(wave.shown_w(np.array([t_s]), sensor.lag_s))[0])
    return longest_s


def _played(
    index: int, wave: Waveform, onset_ns: int, trace: dict[str, Any], latency_s: float
) -> _Played:
    opens_s, closes_s = SETTLE_S, SETTLE_S + WINDOW_S
    window_ns = [onset_ns + round(t_s * 1e9) for t_s in (opens_s, closes_s)]
    count = round((closes_s + TAIL_S) / latency_s)
    record = {
        "index": index,
        "type": "energy",
        "start_ns": onset_ns,
        "durations_ns": [round(latency_s * 1e9)] * count,
        "window_ns": window_ns,
        "trace": trace,
    }
    edges_ns = [onset_ns - round(IDLE_S * 1e9), window_ns[1]]
    onset = {"onset_ns": onset_ns, "window_ns": edges_ns, "trace": trace}
    inferences = WINDOW_S / latency_s
    true_j = wave.energy_j(opens_s, closes_s) / inferences
    return _Played(read_round(record, []), read_step(onset), true_j)
