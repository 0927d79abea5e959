"""Several boards from the command line: which ones, how they are watched, and what hangs."""

from __future__ import annotations

import configparser
import json
import os
import re
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from bench_program import Program, wait_until
from cable import Cable
from stateful_board import LIMITS_KHZ, LOWEST_KHZ, StatefulBoard, assert_untouched

from bench.agent import state, wire
from bench.cli.run import run as run_command

DOCS = Path(__file__).parents[2] / "docs"
GONE = {"transport": "ssh", "host": "127.0.0.1", "port": 1, "connect_timeout_s": 2}


def test_a_pattern_and_a_tag_and_the_table_of_boards(bench: Program) -> None:
    bench.devices(b1={}, b2={"tags": "far", **GONE}, b3={**GONE}, other={})
    done = bench.run("run", "--plan", "plan.yaml", "--device", "b[13],tag:far")
    assert done.returncode == 4
    assert "b3 and b2 lead to one board (127.0.0.1:1)" in done.stderr
    (run_id,) = bench.run_ids()
    manifest = json.loads((bench.folder / "results" / run_id / "manifest.json").read_text())
    assert list(manifest["devices"]) == ["b1", "b3", "b2"]
    table = done.stdout[done.stdout.index("board ") :]
    assert re.search(r"b1 +1 of 1 +done", table)
    assert re.search(r"b3 +0 of 1 +cannot reach", table)
    assert "put aside after 2 failures in a row" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--device", "pi-*"), "no device fits 'pi-*'; there is board"),
        (("run", "--device", "tag:x"), "no device has the tag 'x'; no device has any"),
        (("status", "--device", "bord"), "unknown device 'bord'; did you mean 'board'"),
        (("status", "--watch", "--device", "board"), "--watch asks no board"),
        (("status", "--watch", "--results", "nope"), "there is no results folder nope"),
        (("run", "--resume", "x", "--spread"), "leave out --spread"),
        (
            ("run", "--plan", "plan.yaml", "--device", "all", "--results", "plan.yaml/x"),
            "plan.yaml",
        ),
    ],
)
def test_what_cannot_be_is_one_line(bench: Program, arguments: tuple[str, ...], said: str) -> None:
    done = bench.run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr.strip().splitlines()[-1]
    assert not bench.journals()


def test_watching_a_run_from_another_process(bench: Program) -> None:
    bench.plan("one", latency_rounds=200)
    host = bench.start("run", "--plan", "plan.yaml", "--device", "board")
    bench.wait_for_rounds(1)
    watching = bench.start("status", "--watch", "--json", "--every", "100ms")
    assert watching.stdout is not None
    (run,) = json.loads(watching.stdout.readline())["runs"]
    assert run["running"] and run["cases"] == 1 and run["queue"] == {"board": 1}
    board = run["boards"]["board"]
    assert board["doing"] == "measuring, link silent" and board["expected_s"] > 0
    assert (board["stored"], board["cases"]) == (0, 1)
    job_id = bench.journals()[-1].parent.name
    assert run["jobs"] == [{"job_id": job_id, "device": "board", "state": "on board"}]
    host.send_signal(signal.SIGINT)
    host.communicate()
    # It ends with the run, and its last line says so.
    said, _ = watching.communicate(timeout=60)
    assert watching.returncode == 0
    assert json.loads(said.splitlines()[-1])["runs"] == []
    assert bench.json("status")["runs"] == []


def test_the_table_of_a_terminal_says_how_many_cases_a_board_has(bench: Program) -> None:
    bench.plan("one", "two", latency_rounds=60)
    near, far = os.openpty()
    host = bench.start("run", "--plan", "plan.yaml", "--device", "board", stderr=far)
    os.close(far)
    shown = b""
    row = re.compile(rb"board +measuring.* +about \d+ s +0 of 2")
    while not row.search(shown):
        try:
            shown += os.read(near, 4096)
        except OSError:  # nobody writes there any more
            break
    assert row.search(shown), shown
    host.kill()
    os.close(near)


def test_a_board_that_hangs_is_power_cycled_and_its_job_collected(
    bench: Program, cable: Cable, over_cable: dict[str, Any]
) -> None:
    mark = bench.folder / "cycled"
    code = "import os, sys; open(sys.argv[1], 'w').write(os.environ['BENCH_DEVICE'])"
    remedy = {"command": [sys.executable, "-c", code, str(mark)], "after_s": 0.1, "boot_s": 30}
    bench.devices(board={**over_cable, "retry_s": 0.5, "on_hang": remedy})
    bench.plan("one", latency_rounds=20)
    host = bench.start("run", "--plan", "plan.yaml", "--device", "board", "--json")
    bench.wait_for_rounds(2)
    cable.cut()
    done = threading.Event()

    def come_back() -> None:
        while not done.wait(0.05):
            if mark.exists():
                cable.restore()
                return

    board = threading.Thread(target=come_back)
    board.start()
    out, said = host.communicate(timeout=100)
    done.set()
    board.join()
    assert host.returncode == 0, said
    document = json.loads(out)
    assert mark.read_text() == "board"
    assert [item["kind"] for item in document["incidents"]] == ["failed", "power-cycled"]
    # The job had gone on by itself: nothing is measured twice.
    assert [trial["trial_id"] for trial in document["trials"]] == ["t001"]
    assert len(bench.journals()) == 1


def lose_power(folder: Path, journal: Path, jetson: StatefulBoard) -> None:
    """What a board that is switched off and on while a job measures has lost, and kept."""
    (start, *rest), _ = wire.decode_records(journal.read_bytes())
    os.kill(start["pid"], signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{start['pid']}").exists(), "the job goes on")
    records = [{**start, "boot_id": "the boot before"}, *rest]
    journal.write_bytes(b"".join(map(wire.encode_record, records)))
    note = folder / state.FILE
    note.write_text(json.dumps({**json.loads(note.read_text()), "boot_id": "the boot before"}))
    # nvpmodel keeps its mode over a reboot; nothing pins the clocks any more.
    assert jetson.power_mode == "15W"
    jetson.write("scaling_min_freq", LOWEST_KHZ)
    jetson.write("scaling_governor", "schedutil")


def test_a_job_that_dies_in_a_power_cycle_leaves_the_board_as_it_was_and_the_rest_is_measured(
    bench: Program, cable: Cable, over_cable: dict[str, Any]
) -> None:
    jetson = StatefulBoard(bench.folder / "root")
    mark = bench.folder / "cycled"
    code = "import sys; open(sys.argv[1], 'w').close()"
    remedy = {"command": [sys.executable, "-c", code, str(mark)], "after_s": 0.1, "boot_s": 60}
    bench.devices(
        board={
            **over_cable,
            "retry_s": 0.5,
            "on_hang": remedy,
            "root": str(jetson.root),
            "power": {"sensor": "none"},
        }
    )
    bench.plan("one", "two", latency_rounds=20)
    asked = ("--power-mode", "15W", "--clocks", "max", "--governor", "performance", "--per-model")
    host = bench.start("run", "--plan", "plan.yaml", "--device", "board", *asked, "--json")
    journal = bench.wait_for_rounds(2)
    cable.cut()
    lose_power(bench.folder / "board", journal, jetson)
    wait_until(mark.exists, "it was not power-cycled")
    cable.restore()
    out, said = host.communicate(timeout=100)
    assert host.returncode == 0, said
    document = json.loads(out)
    assert [item["kind"] for item in document["incidents"]] == ["failed", "power-cycled"]
    assert {trial["case"]["model"] for trial in document["trials"]} == {"one", "two"}
    for trial in document["trials"]:
        assert trial["latency"]["rounds"] >= 20
        assert "interrupted" not in trial["latency_status"]["reasons"]
    # Put back before the rest was measured, which was measured as asked.
    for later in bench.journals()[1:]:
        records, _ = wire.decode_records(later.read_bytes())
        found = {record["where"]: record for record in records if record["kind"] == "state"}
        assert found["before"]["power_mode"] == "MAXN"
        assert found["before"]["governor"] == {"cpu0": "schedutil"}
        assert found["set"]["power_mode"] == "15W"
        assert found["set"]["frequency_min_khz"] == {"cpu0": LIMITS_KHZ[1]}
    assert len(bench.journals()) == 3
    assert_untouched(jetson)
    assert not (bench.folder / "board" / state.FILE).exists()


def test_the_nightly_units_of_the_docs(bench: Program) -> None:
    text = (DOCS / "campaigns.md").read_text(encoding="utf-8")
    units = dict(re.findall(r"^`([\w/.-]+)`:\n\n```ini\n(.*?)^```$", text, re.M | re.S))
    parsed = {}
    for path, unit in units.items():
        parsed[Path(path).suffix] = configparser.ConfigParser(interpolation=None)
        parsed[Path(path).suffix].read_string(unit)
    service, timer = parsed[".service"]["Service"], parsed[".timer"]["Timer"]
    program, *arguments = service["ExecStart"].split()
    assert program.endswith("/bench") and arguments[0] == "run"
    known = {option for parameter in run_command.params for option in parameter.opts}
    assert {word for word in arguments if word.startswith("--")} <= known
    assert timer["OnCalendar"] and parsed[".timer"]["Install"]["WantedBy"] == "timers.target"
