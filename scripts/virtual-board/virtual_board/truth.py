"""Compares the energy that a run reports with what its board is known to have drawn.

The truth is the injector's own log (``on_board/injector.py``), integrated over the very windows of
the run's energy rounds, on the board's own clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.agent import wire
from bench.analysis.journal import recordings
from bench.analysis.times import inferences_in
from bench.records.recordings import Round
from bench.records.trial import Trial
from bench.store.reader import Run, open_run
from virtual_board import BoardError
from virtual_board.board import Board

LOGS = "/var/log/virtual-board"
ENERGY_KINDS = ("energy", "sustain")


@dataclass(frozen=True, slots=True)
class Truth:
    """What the injector wrote down during one boot of a board.

    From ``t_s[i]`` until the next time the board drew ``true_w[i]`` and its sensor showed
    ``shown_w[i]``. Seconds of the board's CLOCK_MONOTONIC.
    """

    t_s: NDArray[np.float64]
    true_w: NDArray[np.float64]
    shown_w: NDArray[np.float64]

    def energy_j(self, window_ns: tuple[int, int]) -> float | None:
        """Return the true energy of a window, ``None`` if the log does not cover all of it."""
        return self._integral(self.true_w, window_ns)

    def shown_j(self, window_ns: tuple[int, int]) -> float | None:
        """Return the integral of what the sensor showed, as :meth:`energy_j`."""
        return self._integral(self.shown_w, window_ns)

    def _integral(self, watts: NDArray[np.float64], window_ns: tuple[int, int]) -> float | None:
        start_s, stop_s = window_ns[0] * 1e-9, window_ns[1] * 1e-9
        if not (self.t_s[0] <= start_s and stop_s <= self.t_s[-1]):
            return None
        edges_s = np.clip(self.t_s, start_s, stop_s)
        return float(watts[:-1] @ np.diff(edges_s))


@dataclass(frozen=True, slots=True)
class WindowTruth:
    """One energy round: what was reported for its window and what was true, joules.

    ``uncorrected_j`` is the integral of what the sensor showed: what a perfect reader reports that
    does not correct the sensor's lag.
    """

    case: str
    round: int
    span_s: float
    reported_j: float
    true_j: float
    uncorrected_j: float

    @property
    def error(self) -> float:
        """How far the report is off, relative to the truth."""
        return self.reported_j / self.true_j - 1


def read_truth(text: str) -> Truth:
    """Return the truth that an injector's log holds.

    Raises:
        BoardError: there is nothing in it.
    """
    whole = text[: text.rfind("\n") + 1].splitlines()
    rows = [line.split(",") for line in whole if not line.startswith("#")]
    table = np.array([[float(word) for word in row] for row in rows if len(row) == 3])
    if table.size == 0:
        raise BoardError("the injector's log is empty")
    return Truth(table[:, 0], table[:, 1], table[:, 2])


def compare(run: Run, board: Board | None = None) -> list[WindowTruth]:
    """Return every energy round of a run beside the truth.

    Args:
        run: a run on virtual boards.
        board: where it ran, if that is not the board with the device's name.

    Raises:
        BoardError: the board is off or has not the log of the boot in which the run was made.
        StoreError: a journal cannot be read.
    """
    found = []
    for job in run.jobs:
        records, problems = wire.decode_records(job.journal())
        boots = [item["boot_id"] for item in records if item["kind"] == "start"]
        trials = [
            trial
            for trial in run.trials
            if job.covers(trial.case) and trial.attempt == job.facts.attempt
        ]
        if not boots or not trials:
            continue
        here = board or Board(job.facts.device)
        truth = read_truth(here.read(f"{LOGS}/truth-{boots[0]}.csv").decode("ascii"))
        recorded = recordings(records, problems, list(job.facts.artifacts))
        for trial in trials:
            found += _windows(trial, recorded[trial.case.key].rounds, truth)
    return found


def show(name: str, results: Path, board: str | None) -> int:
    """Print the comparison of a run as a table and return 0.

    Raises:
        BoardError: there is nothing to compare.
        BenchError: there is no such run.
    """
    windows = compare(open_run(name, results), Board(board) if board else None)
    if not windows:
        raise BoardError("no energy round of that run lies in the injector's log")
    print("round  window s  reported J     true J    error  sensor uncorrected")
    for item in windows:
        plain = item.uncorrected_j / item.true_j - 1
        print(
            f"{item.round:5d}  {item.span_s:8.2f}  {item.reported_j:10.3f} {item.true_j:10.3f} "
            f"{item.error:+8.2%} {plain:+8.2%}  {item.case}"
        )
    total = sum(item.reported_j for item in windows) / sum(item.true_j for item in windows) - 1
    print(f"all {len(windows)} windows together: {total:+.2%}")
    return 0


def _windows(trial: Trial, rounds: Sequence[Round], truth: Truth) -> list[WindowTruth]:
    reported = {
        figure.index: figure.gross_j
        for figure in trial.rounds
        if figure.kind in ENERGY_KINDS and figure.gross_j is not None
    }
    found = []
    for item in rounds:
        if item.kind not in ENERGY_KINDS or item.index not in reported or item.window_ns is None:
            continue
        inputs = inferences_in(item, item.window_ns) * trial.case.batch
        true_j, shown_j = truth.energy_j(item.window_ns), truth.shown_j(item.window_ns)
        if true_j is None or shown_j is None:
            continue
        span_s = (item.window_ns[1] - item.window_ns[0]) * 1e-9
        reported_j = reported[item.index] * inputs
        case = trial.case.label
        found.append(WindowTruth(case, item.index, span_s, reported_j, true_j, shown_j))
    return found
