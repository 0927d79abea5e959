"""Mistakes that power measurements are known for, made on the self-test's own data.

A test that such an estimator passes would prove nothing about the right one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bench.analysis.times import inferences_in
from bench.analysis.trace import total_readings
from bench.records.recordings import Round
from bench.selftest.energy import Measured, measure
from bench.selftest.outcome import WrongEstimator

STALE_S = 0.43
"""How often an energy counter with stale edges is brought up to date: as often as the readings of
some boards. It was last brought up to date when the sampler started."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """``estimate`` returns joules per inference; ``applies`` to what the mistake can show on."""

    name: str
    applies: Callable[[Measured], bool]
    estimate: Callable[[Measured], float | None]


class Tally:
    """How often a mistake missed the budget so far, and how badly."""

    def __init__(self, mistake: Mistake) -> None:
        self._mistake = mistake
        self._tried = self._missed = 0
        self._worst, self._where = 0.0, ""

    def add(self, measured: Measured) -> None:
        """Make the mistake on the data of a row."""
        if not self._mistake.applies(measured):
            return
        row = measured.row
        self._tried += 1
        energy_j = self._mistake.estimate(measured)
        error = 0.0 if energy_j is None else energy_j * 1e3 / row.true - 1
        self._missed += abs(error) > row.budget
        if abs(error) > abs(self._worst):
            self._worst, self._where = error, f"{row.name}, {row.setting}"

    def result(self) -> WrongEstimator:
        """Return what the self-test has to say about it."""
        worst = f"{self._worst:+.1%} at {self._where}" if self._where else "no error at all"
        return WrongEstimator(self._mistake.name, self._tried, self._missed, worst)


def _energy_j(measured: Measured) -> float | None:
    trial = measure(measured.recording, measured.power, measured.window_s)
    return None if trial.energy is None else trial.energy.gross_j


def _all_rails_summed(measured: Measured) -> float | None:
    """Rails that feed each other are counted twice."""
    trace = measured.recording.rounds[0].trace
    assert trace is not None
    power = measured.power.model_copy(update={"total": trace.channels})
    return _energy_j(replace(measured, power=power))


def _no_lag_correction(measured: Measured) -> float | None:
    """A slow sensor is taken at its word."""
    power = measured.power.model_copy(update={"lag_s": 0.0})
    recording = replace(measured.recording, steps=())
    return _energy_j(replace(measured, power=power, recording=recording))


def _failed_read_is_0_w(measured: Measured) -> float:
    """What cannot be read counts as no power."""
    rounds = measured.recording.rounds
    return float(np.mean([_energy_with_zeros_j(item, measured.power.total) for item in rounds]))


def _energy_with_zeros_j(item: Round, total: tuple[str, ...]) -> float:
    assert item.trace is not None and item.window_ns is not None
    t_ns, power_w = total_readings(item.trace, total)
    power_w = np.nan_to_num(power_w, nan=0.0)
    inside = (t_ns >= item.window_ns[0]) & (t_ns <= item.window_ns[1])
    window_s = (item.window_ns[1] - item.window_ns[0]) * 1e-9
    return float(power_w[inside].mean()) * window_s / inferences_in(item, item.window_ns)


def _stale_edges(measured: Measured) -> float:
    """Energy up to the edges is what the last update of a counter before them says."""
    rounds = measured.recording.rounds
    return float(np.mean([_stale_energy_j(item, measured.power.total) for item in rounds]))


def _stale_energy_j(item: Round, total: tuple[str, ...]) -> float:
    assert item.trace is not None and item.window_ns is not None
    t_ns, power_w = total_readings(item.trace, total)
    good = np.isfinite(power_w)
    t_s, power_w = (t_ns[good] - t_ns[0]) * 1e-9, power_w[good]
    steps_j = np.diff(t_s) * (power_w[1:] + power_w[:-1]) / 2
    counter_j = np.concatenate(([0.0], np.cumsum(steps_j)))
    edges_s = (np.array(item.window_ns) - t_ns[0]) * 1e-9
    start_j, stop_j = np.interp(np.floor(edges_s / STALE_S) * STALE_S, t_s, counter_j)
    return float(stop_j - start_j) / inferences_in(item, item.window_ns)


def _always(measured: Measured) -> bool:
    return True


MISTAKES = (
    Mistake("all rails summed", _always, _all_rails_summed),
    Mistake("no lag correction", lambda m: m.sensor.lag_s > 0, _no_lag_correction),
    Mistake("stale edges", lambda m: m.sensor.lag_s == 0, _stale_edges),
    Mistake("a failed read is 0 W", lambda m: m.sensor.failing > 0, _failed_read_is_0_w),
)
