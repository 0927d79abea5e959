"""When the host looks at a job: at announced times, and else leaves the board alone."""

from __future__ import annotations

from typing import Any

import pytest

from bench.device import follow as following
from bench.device.client import Started
from bench.errors import HangError

ENDED = {"state": "finished", "remaining_s": None, "next_checkpoint_s": None}


def running(remaining_s: float | None, next_checkpoint_s: float | None) -> dict[str, Any]:
    return {
        "state": "running",
        "remaining_s": remaining_s,
        "next_checkpoint_s": next_checkpoint_s,
    }


class Board:
    """An agent that answers what it is told to, a link, and a clock that waiting turns on."""

    def __init__(self, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch):
        self._answers = answers
        self.now_s = 0.0
        self.waits_s: list[float] = []
        self.late: list[float] = []
        self.is_quiet = False
        monkeypatch.setattr(following.time, "monotonic", lambda: self.now_s)

    def status(self, job_id: str) -> dict[str, Any]:
        assert not self.is_quiet
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def quiet(self, on: bool) -> None:
        self.is_quiet = on

    def wait(self, seconds: float) -> bool:
        assert self.is_quiet
        self.waits_s.append(seconds)
        self.now_s += seconds
        return False

    def follow(self, expected_s: float, next_checkpoint_s: float | None) -> str:
        started = Started(expected_s, next_checkpoint_s)
        board: Any = self
        return following.follow(board, board, "job", started, board, self.late.append)


def test_a_job_that_ends_when_it_said_is_looked_at_once(monkeypatch):
    board = Board([ENDED], monkeypatch)
    assert board.follow(60.0, None) == "finished"
    assert board.waits_s == [60.0]


def test_a_job_that_goes_on_is_looked_at_when_it_pauses(monkeypatch):
    board = Board([running(40.0, 42.0), running(3.0, 5.0), ENDED], monkeypatch)
    assert board.follow(60.0, 60.0) == "finished"
    assert board.waits_s == [60.5, 42.5, 5.5]
    assert board.late == [40.0, 5.0]


def test_a_job_that_announces_more_and_more_is_waited_for(monkeypatch):
    board = Board([running(600.0, 600.0)] * 10 + [ENDED], monkeypatch)
    assert board.follow(60.0, 60.0) == "finished"


def test_a_job_that_is_silent_beyond_its_end_hangs(monkeypatch):
    board = Board([running(0.0, 0.0)], monkeypatch)
    with pytest.raises(HangError, match="hangs"):
        board.follow(60.0, 60.0)
    assert 700 < board.now_s < 900
    assert min(board.waits_s) >= following.LEAST_WAIT_S


def test_a_job_that_is_overdue_when_it_is_first_looked_at_hangs_too(monkeypatch):
    board = Board([running(0.0, None)], monkeypatch)
    with pytest.raises(HangError, match="over long ago"):
        board.follow(0.0, None)
    assert board.now_s < 700


def test_a_job_whose_start_was_lost_sight_of_is_given_the_time_it_announces(monkeypatch):
    board = Board([running(None, None), running(3000.0, None), ENDED], monkeypatch)
    assert board.follow(0.0, None) == "finished"


def test_a_job_that_never_tells_anything_is_not_waited_for_without_end(monkeypatch):
    board = Board([running(None, None)], monkeypatch)
    with pytest.raises(HangError):
        board.follow(0.0, None)
    assert 3500 < board.now_s < 3700
