"""What can happen to a run: kinds of faults, and how they are drawn."""

from __future__ import annotations

import random
from dataclasses import dataclass

KINDS = {
    "host": "kill -9 of the host",
    "interrupt": "Ctrl-C at the host",
    "worker": "kill -9 of a worker",
    "sampler": "kill -9 of the sampler",
    "conductor": "kill -9 of the conductor",
    "board": "kill -9 of all on the board, sshd's sessions too",
    "cut": "link cut for a moment",
    "cut-for-good": "link cut until the host gives up",
    "freeze": "link frozen for a moment",
    "forget": "router forgets the connection",
}
"""Every kind with its name in the table."""

_WEIGHTS = {
    "host": 5,
    "interrupt": 1,
    "worker": 4,
    "sampler": 1,
    "conductor": 3,
    "board": 1,
    "cut": 4,
    "cut-for-good": 2,
    "freeze": 2,
    "forget": 1,
}
_AT_THE_JOB = {"worker", "sampler", "conductor", "board"}
_LATEST_S = {"command": 10.0, "job": 5.0, "journal": 2.5}
_LONGEST_S = 3.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its kind, when it is due, and how long it lasts where it is of that sort.

    ``after_s`` counts from an event in the life of a command (``event``): ``command``, its start;
    ``job``, a job runs on the board; ``journal``, a journal arrives in the results folder. A fault
    whose target is not there yet waits for it.
    """

    kind: str
    event: str
    after_s: float
    lasts_s: float = 0.0

    @property
    def at_the_job(self) -> bool:
        """Whether it strikes the processes of a job."""
        return self.kind in _AT_THE_JOB


def draw_fault(draw: random.Random) -> Fault:
    """One fault of a random kind at a random time."""
    (kind,) = draw.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
    event = "job" if kind in _AT_THE_JOB else draw.choice(list(_LATEST_S))
    after_s = draw.uniform(0.0, _LATEST_S[event])
    return Fault(kind, event, after_s, lasts_s=draw.uniform(0.1, _LONGEST_S))
