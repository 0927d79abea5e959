"""`bench` as a program on places of a real coordinator."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from bench_program import Program
from labgrid_lab import HOST, THEM, US, Lab, wait_until
from sshd import Sshd

OURS = f"{HOST}/{US}"


@pytest.fixture
def board(bench: Program, settings: dict[str, Any]) -> Program:
    bench.devices(board={**settings, "place": "nano"})
    return bench


def job_places(bench: Program) -> set[str]:
    files = (bench.folder / "results").glob("*/jobs/*.json")
    return {json.loads(path.read_text())["place"] for path in files}


def test_a_run_takes_its_place_and_returns_it(lab: Lab, board: Program) -> None:
    process = board.start("run", "--plan", "plan.yaml", "--device", "board", "--json")
    board.wait_for_rounds(1)
    assert lab.holder("nano") == OURS
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    (trial,) = json.loads(stdout)["trials"]
    assert trial["latency"]["samples"] > 0
    assert lab.holder("nano") is None
    assert job_places(board) == {"nano"}


def test_a_killed_host_keeps_its_place_until_the_run_is_collected(
    lab: Lab, bench: Program, settings: dict[str, Any]
) -> None:
    # Also a reservation finds the board again that it was given before.
    bench.devices(board={**settings, "reservation": {"name": "nano"}})
    bench.plan("one", latency_rounds=20)
    process = bench.start("run", "--plan", "plan.yaml", "--device", "board")
    bench.wait_for_rounds(1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert lab.holder("nano") == OURS
    done = bench.run("attach", "--json")
    assert done.returncode == 0, done.stderr
    assert "left behind by an earlier bench" in done.stderr
    (trial,) = json.loads(done.stdout)["trials"]
    assert trial["latency"]["rounds"] == 20
    assert lab.holder("nano") is None
    assert lab.reservations() == 0


def test_a_busy_place_costs_its_device_alone(lab: Lab, board: Program) -> None:
    with lab.taken("nano"):
        done = board.run("run", "--plan", "plan.yaml", "--device", "board")
    assert done.returncode == 4
    assert f"bench: board: place nano is held by {THEM}@{HOST}: ask them" in done.stderr


def test_ctrl_c_while_a_reservation_waits_gives_it_up(
    lab: Lab, bench: Program, settings: dict[str, Any]
) -> None:
    bench.devices(board={**settings, "reservation": {"board": "orin"}})
    with lab.taken("orin"):
        process = bench.start("run", "--plan", "plan.yaml", "--device", "board")
        wait_until(lambda: lab.reservations() == 1, "nothing was reserved")
        assert process.stderr is not None
        assert any("waiting up to 600 s" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130
        assert lab.reservations() == 0


def test_a_board_that_only_its_exporter_sees_is_reached_through_it(
    lab: Lab,
    bench: Program,
    settings: dict[str, Any],
    sshd: Sshd,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with lab.session(US) as session:
        proxy = next(
            entry.extra["proxy"] for path, entry in session.resources.items() if path[0] == "exp-b"
        )
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/config").write_text(
        f"Host {proxy}\n  HostName {sshd.host}\n  Port {sshd.port}\n  IdentityFile {sshd.key}\n"
    )
    monkeypatch.setenv("HOME", str(home))
    bench.devices(board={**settings, "place": "orin"})
    before = sshd.log.read_text(errors="replace").count("Accepted publickey")
    done = bench.run("doctor", "board")
    assert done.stdout.splitlines()[0].split() == ["✓", "place", "orin"], done.stdout + done.stderr
    assert sshd.log.read_text(errors="replace").count("Accepted publickey") == before + 2
    assert lab.holder("orin") is None


def test_doctor_and_trust_say_what_is_wrong(lab: Lab, board: Program) -> None:
    with lab.taken("nano"):
        done = board.run("doctor", "board")
        assert done.returncode == 4
        assert f"held by {THEM}@{HOST}" in done.stdout
    assert "is trusted" in board.run("devices", "trust", "board").stderr
    assert "place nano" in board.run("devices", "list").stdout
    assert lab.holder("nano") is None
