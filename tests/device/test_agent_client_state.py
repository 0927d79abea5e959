"""What the host makes of a board whose state cannot be set or put back."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.device.client import AgentClient
from bench.device.local import LocalTransport
from bench.errors import LeaseError, StateError

Make = Callable[[dict[str, Any]], AgentClient]


@pytest.fixture
def answering(tmp_path: Path) -> Make:
    """Makes a client of an agent that always gives the same answer."""

    def make(answer: dict[str, Any]) -> AgentClient:
        path = tmp_path / "agent.py"
        path.write_text(f"print({json.dumps(answer)!r})")
        return AgentClient(LocalTransport(), sys.executable, str(path), f"{tmp_path}/board", "lock")

    return make


def test_a_refused_state_is_the_agent_s_own_words(answering: Make) -> None:
    client = answering({"refused": {"kind": "state", "text": "no power mode 'x'"}})
    with pytest.raises(StateError, match=r"^no power mode 'x'$"):
        client.start("job", {})


def test_restore_tells_what_was_put_back(answering: Make) -> None:
    state = {"job_id": "j", "power_mode": "MAXN"}
    restored = answering({"restored": state, "problem": None}).restore()
    assert restored is not None
    assert (restored["job_id"], restored["power_mode"]) == ("j", "MAXN")
    assert answering({"restored": None, "problem": None}).restore() is None


def test_what_cannot_be_put_back_is_an_error(answering: Make) -> None:
    with pytest.raises(StateError, match="nvpmodel is gone"):
        answering({"restored": None, "problem": "the board's nvpmodel is gone"}).restore()


def test_a_board_that_measures_is_not_restored(answering: Make) -> None:
    holder = {
        "job_id": "theirs-7",
        "pid": 12,
        "owner": "ann@host",
        "user": "pi",
        "since_wall_s": 1.7e9,
        "left_s": None,
    }
    with pytest.raises(LeaseError, match="theirs-7"):
        answering({"busy": holder}).restore()
