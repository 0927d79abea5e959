"""Jobs that begin, run, end and are collected over a link that fails: the real agent through a
cable with a real sshd at its end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from board_folder import PROCEDURE, TOLERANCE, make_reference, tiny_model
from cable import Cable

import bench.device.follow
import bench.device.ssh_link
from bench.agent import wire
from bench.device.client import AgentClient, Started
from bench.device.deploy import push_agent
from bench.device.follow import follow
from bench.device.ssh import SshSettings, SshTransport, connect
from bench.errors import LeaseError, TransportError

LIMIT_S = 60.0
LONG = {"latency_rounds": 400}


class Board:
    """A board at the end of the cable, and what the host knows of it."""

    def __init__(self, folder: Path, settings: SshSettings, cancel: threading.Event) -> None:
        self.folder = folder
        self.cancel = cancel
        self.lateness: list[float] = []
        self.transport: SshTransport = connect(settings, cancel)
        agent = push_agent(self.transport, str(folder))
        self.client = AgentClient(
            self.transport, sys.executable, agent, str(folder), f"{folder}/lock"
        )

    def job(self, **changes: Any) -> dict[str, Any]:
        """A job of a second or two; ``changes`` are to its procedure."""
        graph = self.folder / "artifacts/tiny.onnx"
        graph.parent.mkdir(exist_ok=True)
        make_reference(tiny_model(graph), graph.with_suffix(".npz"))
        case = {
            "key": "a",
            "runtime": "onnxruntime",
            "graph": "artifacts/tiny.onnx",
            "reference": "artifacts/tiny.npz",
            "options": {"threads": 1},
            "classifier": True,
            "tolerance": TOLERANCE,
        }
        return {
            "version": wire.WIRE_VERSION,
            "job_id": "j",
            "run_id": "r",
            "owner": "ann@host",
            "root": "/",
            "procedure": {**PROCEDURE, **changes},
            "cases": [case],
            "sensor": None,
            "state": {"power_mode": None, "clocks": None, "governor": None},
        }

    def path(self, name: str) -> Path:
        """A file of the job's folder."""
        return self.folder / "jobs/j" / name

    def wait_for(self, name: str) -> None:
        """Wait until a file of the job's folder exists."""
        deadline = time.monotonic() + LIMIT_S
        while not self.path(name).exists():
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def follow(self, started: Started) -> str:
        """Wait for the job's end as a run does."""
        return follow(self.client, self.transport, "j", started, self.cancel, self.lateness.append)

    def kinds(self) -> list[str]:
        """The kinds of the journal's records, as the host collects them."""
        records, problems = wire.decode_records(self.client.journal("j"))
        assert problems == []
        return [record["kind"] for record in records]

    def end(self) -> None:
        """End a job that is still running."""
        note = self.path("conductor.json")
        if note.exists() and self.client.status("j")["state"] == "running":
            self.client.stop("j")


Make = Callable[..., Board]


@pytest.fixture
def board(
    cabled: SshSettings, cable: Cable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Make]:
    """Makes a board; takes changes to the ssh settings."""
    monkeypatch.setattr(bench.device.ssh_link, "KEEP_ALIVE_S", 0.3)
    monkeypatch.setattr(bench.device.ssh_link, "DEAD_AFTER_S", 3.0)
    monkeypatch.setattr(bench.device.follow, "LEAST_WAIT_S", 0.2)
    made: list[Board] = []

    def make(**changes: float) -> Board:
        settings = replace(cabled, **{"connect_timeout_s": 5.0, "retry_s": 30.0, **changes})
        made.append(Board(tmp_path / "board", settings, threading.Event()))
        return made[-1]

    yield make
    cable.restore()
    for one in made:
        one.end()
        one.transport.close()


@pytest.mark.parametrize("seen", ["job.json", "conductor.json", "journal.jsonl"])
@pytest.mark.parametrize("fault", ["cut", "freeze"])
def test_a_job_whose_start_was_lost_sight_of_is_started_once(
    board: Make, cable: Cable, seen: str, fault: str
) -> None:
    """Before the board was asked, while it brings the job up, and when only the answer is missing.

    A frozen link is given up for dead, then the same question comes over a new one.
    """
    here = board()

    def break_it() -> None:
        here.wait_for(seen)
        with cable.faulty(getattr(cable, fault), seconds=0.5 if fault == "cut" else 4.0):
            pass

    thread = threading.Thread(target=break_it)
    thread.start()
    started = here.client.start("j", here.job())
    thread.join()
    assert here.follow(started) == "finished"
    kinds = here.kinds()
    assert kinds.count("start") == 1 and kinds.count("solo") == 1 and kinds[-1] == "end"


def test_the_link_may_be_gone_during_the_measurement(board: Make, cable: Cable) -> None:
    here = board()
    started = here.client.start("j", here.job(latency_rounds=20))
    with cable.faulty(cable.cut, seconds=1.0):
        assert here.follow(started) == "finished"
    assert here.kinds()[-1] == "end"


@pytest.mark.parametrize("fault", ["cut", "freeze", "forget"])
def test_the_link_may_be_gone_beyond_the_announced_end(
    board: Make, cable: Cable, fault: str
) -> None:
    here = board()
    started = here.client.start("j", here.job())
    with cable.faulty(getattr(cable, fault), seconds=started.expected_s + 3.0):
        assert here.follow(started) == "finished"
    kinds = here.kinds()
    assert kinds.count("round") == PROCEDURE["latency_rounds"] and kinds[-1] == "end"


def test_a_link_that_is_gone_for_good_leaves_the_job_to_the_board(
    board: Make, cable: Cable
) -> None:
    here = board(retry_s=2.0)
    started = here.client.start("j", here.job())
    cable.cut()
    with pytest.raises(TransportError, match=r"cannot reach .* \(tried again for \d s\)"):
        here.follow(started)
    cable.restore()
    # Another process, later.
    assert here.follow(Started(0.0, None)) == "finished"
    assert here.kinds()[-1] == "end"
    here.client.mark_collected("j")
    (entry,) = here.client.jobs()["jobs"]
    assert entry["collected"] and entry["state"] == "finished"


def test_a_job_whose_time_is_not_known_is_followed_by_what_the_board_says(board: Make) -> None:
    here = board()
    here.client.start("j", here.job(latency_rounds=20))
    assert here.follow(Started(0.0, None)) == "finished"
    assert here.lateness


def test_an_end_is_heard_while_the_link_is_down(board: Make, cable: Cable) -> None:
    here = board(retry_s=600.0)
    here.client.start("j", here.job(**LONG))
    cable.cut()
    threading.Timer(2.0, here.cancel.set).start()
    with pytest.raises(TransportError, match="cannot reach"):
        here.follow(Started(0.5, None))
    cable.restore()
    assert here.client.status("j")["state"] == "running"


def test_an_end_reaches_a_board_whose_link_is_just_back(board: Make, cable: Cable) -> None:
    here = board(connect_timeout_s=30.0)
    started = here.client.start("j", here.job(**LONG))
    threading.Timer(0.5, here.cancel.set).start()
    with cable.faulty(cable.freeze, seconds=1.5):
        assert here.follow(started) == "stopped"
    records, _ = wire.decode_records(here.client.journal("j"))
    assert records[-1]["reason"] == "stopped"


def test_collecting_goes_on_where_the_link_was_lost(board: Make, cable: Cable) -> None:
    here = board()
    line = wire.encode_record({"kind": "round", "durations_ns": list(range(10_000))})
    here.path("journal.jsonl").parent.mkdir(parents=True)
    here.path("journal.jsonl").write_bytes(line * 200)
    cable.slow(16 * 2**20)

    def break_it() -> None:
        cable.wait_for_down(len(line) * 100)
        with cable.faulty(cable.cut, seconds=0.5):
            pass

    thread = threading.Thread(target=break_it)
    thread.start()
    before = cable.down_bytes
    assert here.client.journal("j") == line * 200
    thread.join()
    assert cable.down_bytes - before < 1.5 * len(line) * 200


def test_what_would_disturb_a_job_is_refused_in_words(board: Make) -> None:
    here = board()
    here.client.start("j", here.job(**LONG))
    with pytest.raises(LeaseError) as caught:
        here.client.clean(True)
    assert caught.value.job_id == "j"
    assert "ann@host" in str(caught.value)
    assert here.client.jobs()["busy"]["job_id"] == "j"
    here.client.stop("j")
    assert here.client.clean(False)["kept"][0]["job_id"] == "j"
