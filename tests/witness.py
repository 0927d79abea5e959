"""An observer that remembers what it was told."""

from __future__ import annotations

from collections.abc import Mapping

from bench.records.trial import Trial


class Witness:
    """``problems``: by device that has ended, why it was given up; empty when it was not."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.notes: list[str] = []
        self.trials: list[Trial] = []
        self.problems: dict[str, str] = {}

    def planned(self, run_id: str, cases: Mapping[str, int]) -> None:
        pass

    def phase(self, device: str, text: str, expected_s: float | None = None) -> None:
        self.phases.append(text)

    def note(self, device: str, text: str) -> None:
        self.notes.append(text)

    def heard(self, device: str, text: str) -> None:
        pass

    def ended(self, device: str, problem: str) -> None:
        self.problems[device] = problem

    def trial(self, trial: Trial) -> None:
        self.trials.append(trial)
