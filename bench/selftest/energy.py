"""Energy per inference of known waveforms through the reading and evaluating code.

Every row is a measurement as ``standard`` takes it: eight rounds, each with a load that sets in,
a settling time of one time constant and a window. The windows of one round are cut from one trace,
which is what the sampler would have seen up to then.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import binom

from bench.analysis.validity import evaluate
from bench.plan.procedures import PROCEDURES
from bench.records.case import Case
from bench.records.power import PowerSource
from bench.records.recordings import IdleLine, LoadStep, Recording, Round
from bench.records.status import Reason
from bench.records.trial import Trial
from bench.selftest.fake_board import LAYOUTS, FakeBoard, Layout
from bench.selftest.outcome import Coverage, Row
from bench.selftest.replay import (
    MARGIN_S,
    Player,
    Sensor,
    energy_round,
    idle_line,
    load_step,
    power_source,
)
from bench.selftest.waveforms import IDLE_W, KINDS, Kind, Waveform, constant, idle, square, step

LAG_S = 0.43
BUDGETS = {0.5: 0.03, 2.0: 0.01, 10.0: 0.005}
"""Largest relative error by the length of the window in seconds."""
ROUNDS = 8
SETTLE_S = 0.1 + LAG_S
TAIL_S = 0.1
STEP_IDLE_S, STEP_LOAD_S = 0.5, 4.0
IDLE_S = 2.0
IDLE_APART_S = 60.0
"""The idle lines lie this long before and after the rounds."""
LEAST_COVERAGE = 0.93
"""Stated 95 % intervals hold the truth at least this often in the long run."""
BY_CHANCE = 0.001
"""Probability that rows which do hold that fall below the least share."""

CASE = Case(device="selftest", model="waveform")


@dataclass(frozen=True, slots=True)
class Measured:
    """The rows of the gross and the net energy with what they were made from, for estimators that
    are known to be wrong."""

    row: Row
    net: Row
    recording: Recording
    power: PowerSource
    sensor: Sensor
    window_s: float


def energy_grid() -> Iterator[Measured]:
    """Yield every waveform in every layout, raw and filtered, in every window."""
    seed = 0
    for kind in KINDS:
        for layout in LAYOUTS:
            for lag_s in (0.0, LAG_S):
                seed += 1
                yield from measured_rows(kind, layout, Sensor(lag_s=lag_s), tuple(BUDGETS), seed)


def special_rows() -> Iterator[Measured]:
    """Yield what a sensor may do besides being slow: fail now and then, or refresh rarely."""
    failing = Kind("constant, 2 % of reads fail", constant)
    short = Kind("inferences of 3 ms", square(1 / 0.003, locked=True), latency_s=0.003)
    for seed, layout in enumerate(LAYOUTS, 1000):
        yield from measured_rows(failing, layout, Sensor(failing=0.02), tuple(BUDGETS), seed)
        yield from measured_rows(short, layout, Sensor(lag_s=LAG_S, refresh_s=LAG_S), (10.0,), seed)


def measured_rows(
    kind: Kind, layout: Layout, sensor: Sensor, windows_s: Sequence[float], seed: int
) -> Iterator[Measured]:
    """Yield a waveform as a sensor shows it in a layout, in windows of some lengths."""
    draw = np.random.default_rng(seed)
    length_s = SETTLE_S + max(windows_s) + TAIL_S + kind.latency_s + 2 * MARGIN_S
    with (
        tempfile.TemporaryDirectory(prefix="bench-selftest-") as folder,
        FakeBoard(Path(folder), layout, filtered=sensor.lag_s > 0) as board,
    ):
        player = Player(board, sensor, seed)
        power = power_source(board)
        waves = [kind.draw(draw, length_s) for _ in range(ROUNDS)]
        traces = [player.play(wave, -MARGIN_S, length_s) for wave in waves]
        steps = (load_step(player, step(draw, 2 * STEP_LOAD_S), STEP_IDLE_S, STEP_LOAD_S),)
        lines = [
            idle_line(player, idle(draw, 2 * IDLE_S), where, at_s, IDLE_S)
            for where, at_s in (("before", -IDLE_APART_S), ("after", IDLE_APART_S))
        ]
    for window_s in windows_s:
        window = (SETTLE_S, SETTLE_S + window_s)
        rounds = [
            energy_round(i, trace, kind.latency_s, window, TAIL_S) for i, trace in enumerate(traces)
        ]
        recording = make_recording(rounds, steps, lines)
        trial = measure(recording, power, window_s)
        filtered = f"τ {sensor.lag_s:g} s" if sensor.lag_s else "raw"
        if sensor.refresh_s:
            filtered = f"held {sensor.refresh_s:g} s"
        setting = f"{layout.name}, {filtered}, {window_s:g} s"
        true_j = _truth_j(waves, window, kind)
        row = energy_row("energy", kind.name, setting, trial, true_j, window_s)
        net = net_row(kind.name, setting, trial, true_j, kind.latency_s, window_s)
        # An unfiltered sensor cannot see a load that repeats with its readings: saying so is right.
        aliased = Reason.ALIASING.value in row.flags and not sensor.lag_s
        row, net = replace(row, excused=aliased), replace(net, excused=aliased)
        yield Measured(row, net, recording, power, sensor, window_s)


def make_recording(
    rounds: Sequence[Round], steps: Sequence[LoadStep], idle_lines: Sequence[IdleLine] = ()
) -> Recording:
    """Return the recording of a case of which only the energy was measured."""
    return Recording(
        case_key=CASE.key,
        solo=None,
        warmup=None,
        failure=None,
        rounds=tuple(rounds),
        idle=tuple(idle_lines),
        health=(),
        finished=True,
        steps=tuple(steps),
    )


def measure(recording: Recording, power: PowerSource, window_s: float) -> Trial:
    """Evaluate a recording as ``bench run`` does."""
    procedure = PROCEDURES["standard"].model_copy(
        update={
            "energy_rounds": len(recording.rounds),
            "energy_window_s": window_s,
            "energy_window_tau": 0.0,
            "settle_tau": 1.0,
        }
    )
    return evaluate(recording, CASE, procedure, power, run_id="selftest", trial_id="t001")


def energy_row(
    check: str, name: str, setting: str, trial: Trial, true_j: float, window_s: float
) -> Row:
    """Return the row of a trial, in millijoules per inference."""
    stats = trial.energy
    reported_j, half_width_j = (
        (None, None) if stats is None else (stats.gross_j, stats.uncertainty_j)
    )
    return _row(check, name, setting, trial, reported_j, half_width_j, true_j, BUDGETS[window_s])


def net_row(
    name: str, setting: str, trial: Trial, gross_j: float, latency_s: float, window_s: float
) -> Row:
    """Return the row of the net energy; its budget is as many joules as that of the gross energy.

    ``gross_j``: true gross energy per inference, which takes ``latency_s``.
    """
    stats = trial.energy
    true_j = gross_j - IDLE_W * latency_s
    reported_j, half_width_j = (
        (None, None) if stats is None else (stats.net_j, stats.net_uncertainty_j)
    )
    budget = BUDGETS[window_s] * gross_j / true_j
    return _row("net", name, setting, trial, reported_j, half_width_j, true_j, budget)


def coverage_of(rows: Sequence[Row], name: str) -> Coverage:
    """Return how many of the stated intervals hold the truth.

    Fewer than LEAST_COVERAGE may by chance: as few as a binomial distribution allows.
    """
    stated = [row for row in rows if row.covers is not None]
    least = float(binom.ppf(BY_CHANCE, len(stated), LEAST_COVERAGE)) / max(1, len(stated))
    share = sum(row.covers is True for row in stated) / max(1, len(stated))
    return Coverage(name, share, len(stated), least)


def _row(
    check: str,
    name: str,
    setting: str,
    trial: Trial,
    reported_j: float | None,
    half_width_j: float | None,
    true_j: float,
    budget: float,
) -> Row:
    interval = None
    if reported_j is not None and half_width_j is not None:
        interval = (reported_j - half_width_j) * 1e3, (reported_j + half_width_j) * 1e3
    return Row(
        check=check,
        name=name,
        setting=setting,
        reported=None if reported_j is None else reported_j * 1e3,
        true=true_j * 1e3,
        unit="mJ",
        budget=budget,
        interval=interval,
        flags=tuple(reason.value for reason in trial.energy_status.reasons),
    )


def _truth_j(waves: Sequence[Waveform], window: tuple[float, float], kind: Kind) -> float:
    """Return the true energy per inference: the mean over the rounds' windows."""
    inferences = (window[1] - window[0]) / kind.latency_s
    return float(np.mean([wave.energy_j(*window) for wave in waves])) / inferences
