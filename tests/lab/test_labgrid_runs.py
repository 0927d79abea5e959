"""`bench` as a program on places of a real coordinator."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_program import Program, wait_until
from labgrid_lab import HOST, THEM, US, Lab
from sshd import Sshd

from bench.cli import main
from bench.config.device_settings import LabgridDevice
from bench.fleet.attach import settings_of
from bench.fleet.connection import open_transport
from bench.store.reader import open_run

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


def test_boards_of_a_reservation_are_those_that_the_cases_were_shared_out_to(
    lab: Lab, bench: Program, settings: dict[str, Any]
) -> None:
    any_of_pool = {**settings, "reservation": {"pool": "desk"}}
    bench.devices(a=any_of_pool, b=any_of_pool, c=any_of_pool)
    bench.plan("one", "two", "three")
    command = ["run", "--plan", "plan.yaml", "--spread", *("--device", "a,b,c")]
    done = bench.run(*command)
    # There are two such places: the third device has none, and the others measure everything.
    assert done.returncode == 4, done.stderr
    assert "no labgrid place with pool=desk became free" in done.stderr
    assert lab.holder("nano") is None and lab.holder("dark") is None
    assert lab.reservations() == 0
    (run_id,) = bench.run_ids()
    run = open_run(run_id, bench.folder / "results")
    (pool,) = run.manifest.pools
    assert not run.missing and len(pool.devices) == 2
    recorded = {name: run.manifest.devices[name]["place"] for name in pool.devices}
    assert set(recorded.values()) == {"nano", "dark"}
    assert {job.facts.device: job.facts.place for job in run.jobs} == recorded
    # Also one that had no job yet is gone on with there.
    (name, *_) = pool.devices
    wanted = LabgridDevice(**any_of_pool)
    there = settings_of({name: wanted}, name, replace(run, jobs=()))
    assert isinstance(there, LabgridDevice) and there.place == recorded[name]


def test_a_killed_host_keeps_its_place_until_the_run_is_collected(
    lab: Lab, bench: Program, settings: dict[str, Any]
) -> None:
    # Also a reservation finds the board again that it was given before.
    bench.devices(board={**settings, "reservation": {"name": "nano"}})
    bench.plan("one", latency_rounds=12)
    process = bench.start("run", "--plan", "plan.yaml", "--device", "board")
    bench.wait_for_rounds(1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert lab.holder("nano") == OURS
    # The board measures on for this run, so attach in another results folder keeps its place.
    others = bench.run("attach", "--results", "others")
    (run_id,) = bench.run_ids()
    assert "is kept until `bench attach" in others.stderr and run_id in others.stderr
    assert lab.holder("nano") == OURS
    done = bench.run("attach", "--json")
    assert done.returncode == 0, done.stderr
    assert "left behind by an earlier bench" in done.stderr
    (trial,) = json.loads(done.stdout)["trials"]
    assert trial["latency"]["rounds"] == 12
    assert lab.holder("nano") is None
    assert lab.reservations() == 0


def test_a_host_killed_before_any_job_gets_its_place_returned_by_attach(
    lab: Lab, bench: Program, settings: dict[str, Any]
) -> None:
    slow = bench.folder / "slow-python"
    slow.write_text(f'#!/bin/sh\nsleep 2\nexec {settings["python"]} "$@"\n')
    slow.chmod(0o755)
    bench.devices(board={**settings, "python": str(slow), "place": "nano"})
    process = bench.start("run", "--plan", "plan.yaml", "--device", "board")
    wait_until(lambda: lab.holder("nano") == OURS, "the place was not taken")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert job_places(bench) == set()
    assert lab.holder("nano") == OURS
    assert "`bench attach` or the next run on it returns it" in bench.run("status").stderr
    done = bench.run("attach")
    assert done.returncode == 0
    assert "place nano, left behind by an earlier bench, is returned" in done.stderr
    assert lab.holder("nano") is None
    assert "place" not in bench.run("attach").stderr


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
    as_us: None,
    settings: dict[str, Any],
    sshd: Sshd,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with lab.session(US) as session:
        proxy = next(
            entry.extra["proxy"] for path, entry in session.resources.items() if path[0] == "exp-b"
        )
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text(
        f"Host {proxy}\n  HostName {sshd.host}\n  Port {sshd.port}\n  IdentityFile {sshd.key}\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    before = sshd.log.read_text(errors="replace").count("Accepted publickey")
    transport = open_transport(LabgridDevice(place="orin", **settings))
    try:
        assert transport.run(["echo", "there"], timeout_s=10).stdout == b"there\n"
    finally:
        transport.close()
    assert sshd.log.read_text(errors="replace").count("Accepted publickey") == before + 2


def test_every_command_says_what_is_wrong_with_a_place(
    lab: Lab,
    board: Program,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(board.folder)
    assert main(["devices", "trust", "board"]) == 0
    assert "is trusted" in capsys.readouterr().err
    with lab.taken("nano"):
        held = f"place nano is held by {THEM}@{HOST}: ask them"
        assert main(["run", "--plan", "plan.yaml", "--device", "board"]) == 4
        assert f"bench: board: {held}" in capsys.readouterr().err
        assert main(["doctor", "board"]) == 4
        assert held in capsys.readouterr().out
        assert main(["status"]) == 4
        assert f"bench: board: {held}" in capsys.readouterr().err
    assert main(["devices", "list"]) == 0
    assert "place nano" in capsys.readouterr().out
