"""Who wants to know how the work on the devices goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from bench.records.trial import Trial


class Observer(Protocol):
    """Told what happens. Called from several threads."""

    def planned(self, run_id: str, cases: Mapping[str, int]) -> None:
        """A run is about to measure: how many cases each device has."""

    def phase(self, device: str, text: str, expected_s: float | None = None) -> None:
        """A device has begun something that is expected to take ``expected_s``."""

    def note(self, device: str, text: str) -> None:
        """Something a person should know; ``device`` is empty when it concerns all."""

    def heard(self, device: str, text: str) -> None:
        """A device that was left alone has been looked at: what it said."""

    def ended(self, device: str, problem: str) -> None:
        """Nothing more is done with a device; ``problem`` is why, empty when it is done."""

    def trial(self, trial: Trial) -> None:
        """A trial has been stored."""


@contextmanager
def telling_the_end(observer: Observer, device: str) -> Iterator[None]:
    """Tell that the work on a device, which is in the block, has ended, and by which error."""
    problem = ""
    try:
        yield
    except Exception as error:
        problem = str(error)
        raise
    finally:
        observer.ended(device, problem)
