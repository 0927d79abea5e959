"""How the work on each board goes on, as far as it is known: boards that measure are not asked.

:class:`Boards` keeps it; :func:`published` also writes it into the run's folder once a second, for
``bench status --watch`` of another process. Nothing depends on that file: it goes when the run
ends, and one that cannot be written is left out.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from bench.fleet.observer import Observer
from bench.json_text import parse_object
from bench.records.case import Case
from bench.records.status import Source
from bench.records.trial import Trial
from bench.store.writer import RunWriter

LIVE_FILE = "live.json"
WRITE_S = 1.0


@dataclass(frozen=True, slots=True)
class BoardView:
    """What is known of a board. Times are seconds since 1970.

    ``doing``: since ``since_s``, for ``expected_s`` (``None``: nobody can tell). ``heard``: what it
    said when it was last looked at, at ``heard_s``. ``result``: of the last case that was stored.
    ``problem``: why it was given up, empty when it was not. ``cases``: how many it has, and
    ``stored``: how many of them have a trial, ``None`` and 0 before a run has planned them.
    """

    doing: str = "waiting"
    since_s: float = 0.0
    expected_s: float | None = None
    heard: str = ""
    heard_s: float | None = None
    result: str = ""
    stored: int = 0
    cases: int | None = None
    ended: bool = False
    problem: str = ""

    def left_s(self, now_s: float) -> float | None:
        """Return how long the present work is expected to take from ``now_s`` on."""
        if self.expected_s is None:
            return None
        return max(self.since_s + self.expected_s - now_s, 0.0)


_FIELDS = fields(BoardView)


class Boards:
    """An observer that keeps the last state of each board, in the order they were heard of."""

    def __init__(self) -> None:
        self._views: dict[str, BoardView] = {}
        self._run_id: str | None = None
        self._done: defaultdict[str, set[Case]] = defaultdict(set)
        self._lock = threading.Lock()

    def views(self) -> dict[str, BoardView]:
        """Return what is known now, by device."""
        with self._lock:
            return dict(self._views)

    def planned(self, run_id: str, cases: Mapping[str, int]) -> None:
        """A run is about to measure: its cases count from now on, those of others do not."""
        with self._lock:
            self._run_id, self._done = run_id, defaultdict(set)
            for name, count in cases.items():
                view = self._views.get(name, BoardView())
                self._views[name] = replace(view, cases=count, stored=0)

    def phase(self, device: str, text: str, expected_s: float | None = None) -> None:
        """A device has begun something."""
        now_s = time.time()
        self._change(device, doing=text, since_s=now_s, expected_s=expected_s, ended=False)

    def note(self, device: str, text: str) -> None:
        """Notes are for the person at the terminal."""

    def heard(self, device: str, text: str) -> None:
        """A device has been looked at."""
        self._change(device, heard=text, heard_s=time.time())

    def ended(self, device: str, problem: str) -> None:
        """Nothing more is done with a device."""
        doing = "given up" if problem else "done"
        self._change(device, doing=doing, expected_s=None, ended=True, problem=problem)

    def trial(self, trial: Trial) -> None:
        """A trial has been stored, of a job of this run or of an earlier one on the same board."""
        device = trial.case.device
        with self._lock:
            if self._run_id in (None, trial.run_id):
                # A case whose job was cut short is measured once more and has two trials.
                self._done[device].add(trial.case)
            stored = len(self._done[device])
        self._change(device, result=result_words(trial), stored=stored)

    def _change(self, device: str, **changes: Any) -> None:
        with self._lock:
            self._views[device] = replace(self._views.get(device, BoardView()), **changes)


def result_words(trial: Trial) -> str:
    """Return a trial in a few words: case, median latency and energy (as estimated where it is),
    each with its own status; the latency's status alone where there is no figure of it."""
    latency, energy = trial.latency_status.status.value, trial.energy_status.status.value
    words = [latency]
    if trial.latency is not None:
        words = [f"{1e3 * trial.latency.p50_s:.4g} ms {latency}"]
    if trial.energy is not None:
        estimated = "est. " if trial.energy.source is Source.ESTIMATED else ""
        words.append(f"{estimated}{1e3 * trial.energy.gross_j:.4g} mJ {energy}")
    return f"{trial.case.label}: {', '.join(words)}"


class _Both:
    """Tells two observers."""

    def __init__(self, one: Observer, two: Observer) -> None:
        self._observers = (one, two)

    def planned(self, run_id: str, cases: Mapping[str, int]) -> None:
        for observer in self._observers:
            observer.planned(run_id, cases)

    def phase(self, device: str, text: str, expected_s: float | None = None) -> None:
        for observer in self._observers:
            observer.phase(device, text, expected_s)

    def note(self, device: str, text: str) -> None:
        for observer in self._observers:
            observer.note(device, text)

    def heard(self, device: str, text: str) -> None:
        for observer in self._observers:
            observer.heard(device, text)

    def ended(self, device: str, problem: str) -> None:
        for observer in self._observers:
            observer.ended(device, problem)

    def trial(self, trial: Trial) -> None:
        for observer in self._observers:
            observer.trial(trial)


@contextmanager
def published(
    observer: Observer, run: RunWriter, cases: Mapping[str, Sequence[Case]]
) -> Iterator[Observer]:
    """Return an observer that tells ``observer`` and keeps the file in a run's folder.

    ``cases``: those that are to be measured, by device.
    """
    boards = Boards()
    done = threading.Event()
    path = run.path / LIVE_FILE
    told = _Both(observer, boards)
    told.planned(run.manifest.run_id, {name: len(own) for name, own in cases.items()})

    def write() -> None:
        last: dict[str, BoardView] = {}
        while True:
            views = boards.views()
            if views != last:
                _write(path, views)
                last = views
            if done.wait(WRITE_S):
                return

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield told
    finally:
        done.set()
        writer.join()
        with suppress(OSError):
            path.unlink(missing_ok=True)


def read_live(run: Path) -> dict[str, BoardView]:
    """Return what the process at work on a run last told of its boards; empty if it told nothing
    that can be read."""
    try:
        document = parse_object((run / LIVE_FILE).read_bytes())
        return {str(name): BoardView(**view) for name, view in document["boards"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write(path: Path, views: Mapping[str, BoardView]) -> None:
    boards = {
        name: {item.name: getattr(view, item.name) for item in _FIELDS}
        for name, view in views.items()
    }
    temporary = path.with_name(path.name + ".tmp")
    with suppress(OSError):
        temporary.write_text(json.dumps({"boards": boards}), encoding="utf-8")
        temporary.replace(path)
        return
    with suppress(OSError):
        temporary.unlink(missing_ok=True)
