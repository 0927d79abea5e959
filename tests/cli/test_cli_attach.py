"""The host, the link or the disk fails while a board measures: what `bench attach` finds."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from bench_program import Program, wait_until
from cable import Cable

from bench.agent import wire

RUN = ("run", "--plan", "plan.yaml", "--device", "board")


def kill_host(bench: Program, rounds: int = 2) -> Path:
    """Start a run and end its host without warning in the middle; the journal on the board."""
    host = bench.start(*RUN)
    journal = bench.wait_for_rounds(rounds)
    host.kill()
    host.wait()
    return journal


def records(journal: Path) -> list[dict[str, Any]]:
    return wire.decode_records(journal.read_bytes())[0]


def kill_conductor(journal: Path) -> None:
    """End the job without warning, as a crash of the board would."""
    pid = records(journal)[0]["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid), "the conductor is still there")


def alive(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def test_a_killed_host_loses_nothing_and_nothing_is_measured_twice(bench: Program) -> None:
    bench.plan("one", "two", latency_rounds=20)
    journal = kill_host(bench)
    (listed,) = bench.json("results", "list")
    assert (listed["trials"], listed["to_collect"], listed["complete"]) == (0, 1, False)
    assert "bench attach" in bench.run("results", "list").stdout

    attached = bench.run("attach", "--json")
    assert attached.returncode == 0, attached.stderr
    (listed,) = bench.json("results", "list")
    assert (listed["trials"], listed["to_collect"], listed["complete"]) == (2, 0, True)
    for trial in bench.json("results", "show", listed["run_id"])["trials"]:
        assert trial["latency"]["rounds"] >= 20
        assert "interrupted" not in trial["latency_status"]["reasons"]
    assert (bench.folder / listed["path"] / "report.html").is_file()
    assert bench.journals() == [journal]
    assert [record["kind"] for record in records(journal)].count("start") == 1
    assert (journal.parent / wire.COLLECTED_FILE).exists()

    again = bench.run("attach")
    assert again.returncode == 0
    assert "nothing to collect" in again.stderr
    assert bench.run("attach", listed["run_id"]).returncode == 0
    assert len(bench.json("results", "show", listed["run_id"])["trials"]) == 2


def test_the_next_run_waits_for_the_job_of_a_killed_host_and_collects_it_first(
    bench: Program,
) -> None:
    bench.plan("one", latency_rounds=200)
    kill_host(bench)
    bench.plan("two")
    done = bench.run(*RUN, "--json")
    assert done.returncode == 0, done.stderr
    earlier, later = bench.json("results", "list")
    assert f"of the earlier run {earlier['run_id']} still runs" in done.stderr
    assert earlier["complete"] and later["complete"]
    (trial,) = bench.json("results", "show", earlier["run_id"])["trials"]
    assert trial["case"]["model"] == "one" and trial["latency"]["rounds"] >= 200
    assert (bench.folder / earlier["path"] / "report.html").is_file()
    assert len(bench.journals()) == 2


def test_a_run_that_is_still_at_work_is_left_alone(bench: Program) -> None:
    bench.plan("one", latency_rounds=2000)
    host = bench.start(*RUN)
    bench.wait_for_rounds(1)
    (run_id,) = bench.run_ids()
    assert "being measured" in bench.run("results", "list").stdout
    for command in (("attach", run_id), ("run", "--resume", run_id)):
        refused = bench.run(*command)
        assert refused.returncode == 2
        assert f"another process is at work on {run_id}" in refused.stderr
    busy = bench.run(*RUN)
    assert busy.returncode == 4
    assert run_id in busy.stderr and "--wait" in busy.stderr
    host.send_signal(signal.SIGINT)
    assert host.wait() == 130


def test_wait_measures_when_the_board_is_free(bench: Program) -> None:
    bench.plan("one", latency_rounds=250)
    first = bench.start(*RUN)
    bench.wait_for_rounds(1)
    bench.plan("one")
    second = bench.run(*RUN, "--wait", "--results", "others", "--json")
    assert second.returncode == 0, second.stderr
    assert "waiting for job" in second.stderr
    assert first.wait() == 0


def test_a_link_that_is_down_at_the_end(
    bench: Program, cable: Cable, over_cable: dict[str, Any]
) -> None:
    bench.devices(board={**over_cable, "retry_s": 1})
    bench.plan("one", latency_rounds=20)
    host = bench.start(*RUN, "--json")
    journal = bench.wait_for_rounds(2)
    cable.cut()
    _, said = host.communicate()
    assert host.returncode == 4
    (run_id,) = bench.run_ids()
    assert f"bench attach {run_id}" in said
    assert bench.run("attach").returncode == 4

    cable.restore()
    attached = bench.run("attach", "--json")
    assert attached.returncode == 0, attached.stderr
    (listed,) = bench.json("results", "list")
    assert listed["complete"]
    assert [record["kind"] for record in records(journal)].count("start") == 1


def test_ctrl_c_while_the_link_is_down(
    bench: Program, cable: Cable, over_cable: dict[str, Any]
) -> None:
    bench.devices(board={**over_cable, "retry_s": 600})
    bench.plan("one", latency_rounds=40)
    host = bench.start(*RUN, "--json")
    bench.wait_for_rounds(2)
    cable.cut()
    host.send_signal(signal.SIGINT)
    _, said = host.communicate(timeout=60)
    assert host.returncode == 130
    (run_id,) = bench.run_ids()
    assert f"bench attach {run_id}" in said
    cable.restore()
    assert bench.run("attach").returncode == 0
    (trial,) = bench.json("results", "show", run_id)["trials"]
    assert trial["latency"]["rounds"] >= 40


def test_a_full_disk_is_one_line_and_costs_nothing(
    bench: Program, over_cable: dict[str, Any]
) -> None:
    bench.devices(board=over_cable)
    assert bench.run(*RUN).returncode == 0
    (first,) = bench.run_ids()
    before = bench.json("results", "show", first)

    bench.plan("one", latency_rounds=40)
    full = bench.run(*RUN, "--json", limit_bytes=300_000)
    assert full.returncode == 2
    second = next(run_id for run_id in bench.run_ids() if run_id != first)
    last = full.stderr.strip().splitlines()[-1]
    assert "journals" in last and "File too large" in last and f"bench attach {second}" in last
    assert not (bench.journals()[-1].parent / wire.COLLECTED_FILE).exists()
    assert not list((bench.folder / "results").rglob("*.tmp"))
    assert bench.json("results", "show", first) == before

    assert bench.run("attach").returncode == 0
    assert all(entry["complete"] for entry in bench.json("results", "list"))


def test_a_board_that_was_switched_off(bench: Program) -> None:
    bench.plan("one", "two", latency_rounds=40)
    journal = kill_host(bench, rounds=6)
    kill_conductor(journal)
    # What a board has after it was switched off in the middle of writing, and on again.
    kept = [item for item in records(journal) if not str(item.get("case")).startswith("two/")]
    kept[0]["boot_id"] = "another boot"
    lines = [wire.encode_record(record) for record in kept]
    journal.write_bytes(b"".join(lines) + lines[-1][:20])

    attached = bench.run("attach", "--json")
    assert attached.returncode == 4
    (run_id,) = bench.run_ids()
    assert f"bench run --resume {run_id}" in attached.stderr
    one, two = bench.json("results", "show", run_id)["trials"]
    done = sum(r["kind"] == "round" and r["type"] == "latency" for r in kept)
    assert one["latency_status"]["status"] == "inconclusive"
    assert one["latency_status"]["reasons"][0] == "interrupted"
    assert f"{done} of 40 latency rounds" in one["latency_status"]["detail"]
    assert "switched off" in one["latency_status"]["detail"]
    assert two["latency_status"]["status"] == "failed"
    assert two["latency_status"]["reasons"] == ["power-loss"]
    assert two["latency"] is None


def test_a_job_that_the_board_does_not_have(bench: Program) -> None:
    journal = kill_host(bench, rounds=1)
    kill_conductor(journal)
    moved = journal.parent.rename(bench.folder / "away")
    attached = bench.run("attach")
    assert attached.returncode == 1
    assert "is lost: the board has no such job" in attached.stderr
    (run_id,) = bench.run_ids()
    assert "no such job" in bench.run("results", "show", run_id).stderr
    assert "nothing to collect" in bench.run("attach").stderr

    # It was the wrong board, say; asked for by name, the right one is asked again.
    moved.rename(journal.parent)
    assert bench.run("attach", run_id).returncode == 4
    assert len(bench.json("results", "show", run_id)["trials"]) == 1


def test_ctrl_c_stops_the_job_that_attach_waits_for(bench: Program) -> None:
    bench.plan("one", latency_rounds=400)
    kill_host(bench)
    attaching = bench.start("attach", "--json")
    wait_until(lambda: bool(bench.journals()), "no journal")
    assert attaching.stderr is not None
    while "measuring" not in attaching.stderr.readline():
        pass
    attaching.send_signal(signal.SIGINT)
    attaching.communicate(timeout=60)
    assert attaching.returncode == 130
    (listed,) = bench.json("results", "list")
    assert listed["trials"] == 1 and listed["to_collect"] == 0 and not listed["complete"]
