"""What the host makes of the agent's answers; the answers come from small real programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.agent import wire
from bench.device.client import AgentClient, Started
from bench.device.transport import Transport
from bench.errors import AgentError, DeviceError, LeaseError, StateError

Make = Callable[[str], AgentClient]
HOLDER = {
    "job_id": "theirs-7",
    "pid": 12,
    "owner": "ann@host",
    "user": "pi",
    "since_wall_s": 1.7e9,
    "left_s": 150.0,
}


@pytest.fixture
def agent(transport: Transport, tmp_path: Path) -> Make:
    """Makes a client of an agent whose whole program is the given text."""

    def make(text: str) -> AgentClient:
        path = tmp_path / "agent.py"
        path.write_text(text, encoding="utf-8")
        return AgentClient(transport, sys.executable, str(path), f"{tmp_path}/board", "lock")

    return make


ARGUMENTS = "import json, sys; print(json.dumps(sys.argv[1:]), file=sys.stderr); sys.exit(1)"


def arguments_of(ask: Callable[[], object]) -> list[str]:
    """What an agent was called with that does nothing but tell."""
    with pytest.raises(AgentError) as caught:
        ask()
    arguments: list[str] = json.loads(caught.value.detail)
    return arguments


def test_probe_passes_root_and_sensor_options(agent: Make) -> None:
    client = agent(ARGUMENTS)
    arguments = arguments_of(lambda: client.probe("/fake root", {"replay": {"path": "a'b"}}))
    assert arguments[:2] == ["probe", "/fake root"] and arguments[3:] == ["lock"]
    assert json.loads(arguments[2]) == {"replay": {"path": "a'b"}}


def test_start_puts_the_job_where_the_agent_looks(agent: Make, tmp_path: Path) -> None:
    client = agent(
        "import json, os, sys\n"
        "job = json.load(open(os.path.join(sys.argv[2], 'job.json')))\n"
        "assert sys.argv[3:] == ['lock']\n"
        "print(json.dumps({'pid': 1, 'expected_s': job['n'], 'next_checkpoint_s': None}))\n"
    )
    started = client.start("run-1", {"n": 42, "text": "é"})
    assert started == Started(42.0, None)
    job = tmp_path / "board/jobs/run-1" / wire.JOB_FILE
    assert json.loads(job.read_text(encoding="utf-8")) == {"n": 42, "text": "é"}


def test_a_busy_board_says_who_and_since_when(agent: Make) -> None:
    client = agent(f"print({json.dumps(json.dumps({'busy': HOLDER}))})")
    with pytest.raises(LeaseError) as caught:
        client.start("mine", {})
    assert (caught.value.job_id, caught.value.left_s) == ("theirs-7", 150.0)
    said = str(caught.value)
    assert "ann@host (there: user pi) runs job theirs-7 since 2023-11-1" in said
    assert "for about 2 min more" in said and "--wait" in said and "bench attach RUN" in said


def test_a_busy_board_still_lists_its_jobs(agent: Make) -> None:
    answer = {"jobs": [], "busy": HOLDER}
    client = agent(f"print({json.dumps(json.dumps(answer))})")
    assert client.jobs() == answer


@pytest.mark.parametrize(("kind", "error"), [("state", StateError), ("job", AgentError)])
def test_a_job_that_is_refused_is_the_agent_s_own_words(
    agent: Make, kind: str, error: type[DeviceError]
) -> None:
    answer = {"refused": {"kind": kind, "text": "not this one"}}
    client = agent(f"print({json.dumps(json.dumps(answer))})")
    with pytest.raises(error, match=r"^not this one$"):
        client.start("mine", {})


def test_cleaning_asks_before_it_removes(agent: Make) -> None:
    client = agent(ARGUMENTS)
    assert arguments_of(lambda: client.clean(False)) == ["clean", "lock", "no"]
    assert arguments_of(lambda: client.clean(True)) == ["clean", "lock", "yes"]


def test_a_collected_job_is_marked_on_the_board(agent: Make, tmp_path: Path) -> None:
    agent("").mark_collected("j")
    assert (tmp_path / "board/jobs/j" / wire.COLLECTED_FILE).exists()


def test_status_and_stop_give_the_state(agent: Make) -> None:
    client = agent(
        "import json, sys\n"
        "assert sys.argv[2].endswith('board/jobs/j')\n"
        "state = {'status': 'running', 'stop': 'finished'}[sys.argv[1]]\n"
        "print(json.dumps({'state': state, 'remaining_s': None}))\n"
    )
    assert client.status("j")["state"] == "running"
    assert client.stop("j")["state"] == "finished"


def test_the_boards_traceback_is_kept(agent: Make) -> None:
    client = agent("def f():\n    raise ValueError('no such rail: é')\nf()\n")
    with pytest.raises(AgentError) as caught:
        client.probe()
    assert str(caught.value) == (
        "the agent's probe failed on the board: ValueError: no such rail: é"
    )
    assert "Traceback" in caught.value.detail and "in f" in caught.value.detail


def test_what_is_printed_before_the_answer_is_passed_over(agent: Make) -> None:
    answer = {"removable": [], "kept": []}
    text = json.dumps(json.dumps(answer))
    client = agent(f"print('loading\\n[1, 2]\\n{{broken'); print({text}); print('bye')")
    assert client.clean(False) == answer


@pytest.mark.parametrize(
    ("text", "said"), [("print('hello there')", "hello there"), ("", "nothing"), ("1", "nothing")]
)
def test_no_answer_shows_what_came_instead(agent: Make, text: str, said: str) -> None:
    with pytest.raises(AgentError, match=rf"probe gave no JSON answer but '{said}'"):
        agent(text).probe()


def test_an_agent_that_was_killed_names_the_signal(agent: Make) -> None:
    client = agent("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(AgentError, match="ended on the board by signal SIGKILL"):
        client.probe()


def test_a_board_without_that_python(transport: Transport, tmp_path: Path) -> None:
    client = AgentClient(transport, "python3-absent", "agent.pyz", str(tmp_path), "lock")
    with pytest.raises(AgentError, match=r"cannot run python3-absent on the board: .*`python`"):
        client.probe()


def test_journal_and_logs_are_fetched(agent: Make, tmp_path: Path) -> None:
    client = agent("")
    folder = tmp_path / "board/jobs/j"
    folder.mkdir(parents=True)
    with pytest.raises(DeviceError, match=r"journal\.jsonl.*No such file"):
        client.journal("j")
    assert client.log_tail("j") == ""
    data = wire.encode_record({"kind": "start"}) + b"torn"
    (folder / wire.JOURNAL_FILE).write_bytes(data)
    assert client.journal("j") == data
    (folder / "worker-1.log").write_text("".join(f"line {n}\n" for n in range(100)))
    (folder / "empty.log").touch()
    (folder / "a.log").write_bytes(b"\xff broken\n")
    tail = client.log_tail("j")
    assert tail.startswith("== a.log\n\N{REPLACEMENT CHARACTER} broken\n== worker-1.log\n")
    assert "line 99\n" in tail and "line 10\n" not in tail and "empty" not in tail
    assert client.log_tail("absent") == ""
