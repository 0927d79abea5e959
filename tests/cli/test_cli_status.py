"""`bench status` and `bench devices clean`: what is on the boards."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from bench_program import Program, wait_until

from bench.agent import wire

RUN = ("run", "--plan", "plan.yaml", "--device", "board")
GONE = {"transport": "ssh", "host": "127.0.0.1", "port": 1, "connect_timeout_s": 2}


def test_status_from_running_to_collected(bench: Program) -> None:
    bench.devices(board={}, idle={})
    bench.plan("one", latency_rounds=120)
    host = bench.start(*RUN)
    bench.wait_for_rounds(2)
    running = bench.run("status")
    assert running.returncode == 0
    assert "its bench is at work here" in running.stdout and "@" in running.stdout
    assert "idle: no jobs" in running.stderr
    (job,) = bench.json("status")["jobs"]
    assert job["state"] == "running" and job["attended"] and job["left_s"] is not None
    assert not job["orphan"]

    host.kill()
    host.wait()
    wait_until(
        lambda: bench.json("status", "--device", "board")["jobs"][0]["state"] == "finished",
        "the job does not end",
    )
    (run_id,) = bench.run_ids()
    waiting = bench.run("status", "--device", "board")
    assert f"bench attach {run_id}" in " ".join(waiting.stdout.split())
    (elsewhere,) = bench.json("status", "--device", "board", "--results", "others")["jobs"]
    assert elsewhere["orphan"]
    assert "orphaned" in bench.run("status", "--results", "others").stdout

    assert bench.run("attach").returncode == 0
    after = bench.run("status", "--device", "board")
    assert after.stdout == ""
    assert "1 collected jobs" in after.stderr


def test_a_board_that_cannot_be_reached_is_named_beside_the_others(bench: Program) -> None:
    bench.devices(board={}, gone=GONE)
    assert bench.run(*RUN).returncode == 0
    status = bench.run("status", "--json")
    assert status.returncode == 4
    document = json.loads(status.stdout)
    assert [job["device"] for job in document["jobs"]] == ["board"]
    assert "127.0.0.1" in document["unreachable"]["gone"]


def test_clean_shows_what_it_frees_and_frees_it_only_when_told(bench: Program) -> None:
    assert bench.run(*RUN).returncode == 0
    old = bench.folder / "board" / "agent-0123456789abcdef.pyz"
    old.write_bytes(b"x" * 2_000_000)
    shown = bench.run("devices", "clean", "board")
    assert shown.returncode == 0
    assert old.name in shown.stdout and "1.9 MiB" in shown.stdout
    assert "--yes" in shown.stderr
    assert old.exists() and bench.journals()
    cleaned = bench.run("devices", "clean", "board", "--yes")
    assert cleaned.returncode == 0 and "freed" in cleaned.stderr
    assert not old.exists() and not bench.journals()
    assert "nothing to remove" in bench.run("devices", "clean", "board").stderr
    assert bench.run(*RUN).returncode == 0


def test_clean_keeps_what_nobody_has_collected(bench: Program) -> None:
    bench.plan("one", latency_rounds=60)
    host = bench.start(*RUN)
    journal = bench.wait_for_rounds(2)
    busy = bench.run("devices", "clean", "board", "--yes")
    assert busy.returncode == 4 and "busy" in busy.stderr
    host.kill()
    host.wait()
    os.kill(wire.decode_records(journal.read_bytes())[0][0]["pid"], signal.SIGKILL)
    wait_until(lambda: bench.json("status")["jobs"][0]["state"] != "running", "it runs on")
    cleaned = json.loads(bench.run("devices", "clean", "board", "--yes", "--json").stdout)
    assert cleaned["removed"]
    assert [item["job_id"] for item in cleaned["kept"]] == [journal.parent.name]
    assert journal.exists()
    bench.run("attach")
    bench.run("devices", "clean", "board", "--yes")
    assert not Path(journal).exists()
