"""What the host makes of the agent's answers; the answers come from small real programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.agent import wire
from bench.device.client import AgentClient
from bench.device.transport import Transport
from bench.errors import AgentError, DeviceError, LeaseError

Make = Callable[[str], AgentClient]


@pytest.fixture
def agent(transport: Transport, tmp_path: Path) -> Make:
    """Makes a client of an agent whose whole program is the given text."""

    def make(text: str) -> AgentClient:
        path = tmp_path / "agent.py"
        path.write_text(text, encoding="utf-8")
        return AgentClient(transport, sys.executable, str(path), f"{tmp_path}/board")

    return make


def test_probe_passes_root_and_sensor_options(agent: Make) -> None:
    client = agent("import json, sys; print(json.dumps({'arguments': sys.argv[1:]}))")
    arguments = client.probe("/fake root", {"replay": {"path": "a'b"}})["arguments"]
    assert arguments[:2] == ["probe", "/fake root"]
    assert json.loads(arguments[2]) == {"replay": {"path": "a'b"}}


def test_start_puts_the_job_where_the_agent_looks(agent: Make, tmp_path: Path) -> None:
    client = agent(
        "import json, os, sys\n"
        "job = json.load(open(os.path.join(sys.argv[2], 'job.json')))\n"
        "print(json.dumps({'pid': job['n'], 'expected_s': 2, 'next_checkpoint_s': None}))\n"
    )
    started = client.start("run-1", {"n": 42, "text": "é"})
    assert (started.pid, started.expected_s) == (42, 2.0)
    job = tmp_path / "board/jobs/run-1" / wire.JOB_FILE
    assert json.loads(job.read_text(encoding="utf-8")) == {"n": 42, "text": "é"}


def test_a_busy_board_says_who_and_since_when(agent: Make) -> None:
    holder = {"job_id": "theirs-7", "pid": 12, "since_wall_s": 1.7e9}
    client = agent(f"print({json.dumps(json.dumps({'busy': holder}))})")
    with pytest.raises(LeaseError, match=r"job theirs-7 \(process 12\) since 2023-11-1\d "):
        client.start("mine", {})


def test_status_and_stop_give_the_state(agent: Make) -> None:
    client = agent(
        "import json, sys\n"
        "print(json.dumps({'state': sys.argv[1], 'remaining_s': None, 'job': sys.argv[2]}))\n"
    )
    assert client.status("j")["state"] == "status"
    stopped = client.stop("j")
    assert stopped["state"] == "stop" and stopped["job"].endswith("board/jobs/j")


def test_the_boards_traceback_is_kept(agent: Make) -> None:
    client = agent("def f():\n    raise ValueError('no such rail: é')\nf()\n")
    with pytest.raises(AgentError) as caught:
        client.probe()
    assert str(caught.value) == (
        "the agent's probe failed on the board: ValueError: no such rail: é"
    )
    assert "Traceback" in caught.value.detail and "in f" in caught.value.detail


def test_what_is_printed_before_the_answer_is_passed_over(agent: Make) -> None:
    client = agent("print('loading\\n[1, 2]\\n{broken'); print('{\"a\": 1}'); print('bye')")
    assert client.probe() == {"a": 1}


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
    client = AgentClient(transport, "python3-absent", "agent.pyz", str(tmp_path))
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
