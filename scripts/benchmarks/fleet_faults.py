"""What strikes boards of ``fleet.py`` while they measure, drawn at random."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sleeping_fleet import ROUNDS, SleepingFleet, kill_job, names_of

from bench.agent import wire


@dataclass(frozen=True)
class Fault:
    """What befalls a board: ``kind`` of :data:`KINDS`, once it has finished so many cases and so
    many rounds of the next one."""

    board: str
    kind: str
    cases: int
    rounds: int


KINDS = ("kill", "cut", "freeze")


def draw_faults(seed: int, boards: int, faulty: int, models: int) -> list[Fault]:
    """Draw which boards are struck, how and when; the same for the same seed."""
    draw = random.Random(seed)
    names = sorted(draw.sample(names_of(boards), faulty))
    return [
        Fault(name, draw.choice(KINDS), draw.randrange(models), draw.randrange(ROUNDS))
        for name in names
    ]


class Strike(threading.Thread):
    """Strikes boards when their moment has come, until :meth:`stop`, for ``within_s`` at most.

    ``left``: the faults that have not struck. ``finished``: the cases (device, model) that were
    finished when their board was struck.
    """

    def __init__(self, fleet: SleepingFleet, faults: Sequence[Fault], within_s: float) -> None:
        super().__init__(daemon=True)
        self._fleet = fleet
        self._within_s = within_s
        self._over = threading.Event()
        self.left = list(faults)
        self.finished: set[tuple[str, str]] = set()

    def run(self) -> None:
        """Look at the boards' folders until all are struck."""
        deadline_s = time.monotonic() + self._within_s
        while self.left and time.monotonic() < deadline_s:
            self.left = [fault for fault in self.left if not self._struck(fault)]
            if self._over.wait(0.1):
                return

    def stop(self) -> None:
        """End: the run that was to be struck is over."""
        self._over.set()
        self.join()

    def _struck(self, fault: Fault) -> bool:
        journals = {path: path.read_bytes() for path in self._fleet.journals(fault.board)}
        done = [path for path, data in journals.items() if b'"kind":"end"' in data]
        at_work = [path for path in journals if path not in done]
        if not at_work or len(done) < fault.cases:
            return False
        rounds = journals[at_work[-1]].count(b'"kind":"round"')
        # Who was not looked at in time is struck in the next case.
        if len(done) == fault.cases and rounds < fault.rounds:
            return False
        self.finished |= {(fault.board, model) for path in done for model in _models(path)}
        if fault.kind == "kill":
            kill_job(at_work[-1])
        elif fault.kind == "cut":
            self._fleet.cables[fault.board].cut()
        else:
            self._fleet.cables[fault.board].freeze()
        return True


def _models(journal: Path) -> set[str]:
    job = json.loads((journal.parent / wire.JOB_FILE).read_bytes())
    return {case["key"].partition("/")[0] for case in job["cases"]}
