"""A program that prints ``unix_time watts`` as a power sensor, alone and in the sampler."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.agent import sampler as sampler_module
from bench.agent.sampler import Sampler
from bench.agent.sensors import command
from bench.boards import GENERIC
from bench.config.power_settings import PowerSettings
from bench.power.choice import choose_power, sensor_options

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def meter(tmp_path: Path) -> Iterator[Any]:
    """Makes options of a meter that is a Python program of these lines."""

    def make(code: str) -> dict[str, Any]:
        program = tmp_path / "meter.py"
        program.write_text(f"import sys, time\n{code}\n")
        return {"argv": [sys.executable, "-u", str(program)], "scope": "wall"}

    yield make


STEADY = "while True:\n    print(time.time(), 7.5)\n    time.sleep(0.01)"


def opened(options: dict[str, Any]) -> Any:
    return command.open_sensor("/", options, [])


def taken(sensor: Any, least: int) -> list[Any]:
    """At least so many readings."""
    found: list[Any] = []
    deadline_s = time.monotonic() + 20
    while len(found) < least and time.monotonic() < deadline_s:
        found += sensor.take()
        time.sleep(0.005)
    return found


def test_readings_count_for_the_moment_that_their_line_names(meter: Any) -> None:
    late = "print(time.time() - 5, 3.25)\nprint(time.time() - 4, 4.25)\ntime.sleep(60)"
    began_s = time.monotonic()
    sensor = opened(meter(late))
    try:
        (first, _), (second, _) = found = taken(sensor, 2)
        assert [values for _, values in found] == [[3.25], [4.25]]
        assert began_s - 5 < first < time.monotonic() - 5
        assert began_s - 4 < second < time.monotonic() - 4
    finally:
        sensor.close()


def test_nonsense_is_a_gap_or_passed_over_and_never_0_w(meter: Any) -> None:
    lines = (
        "now = time.time()\n"
        "print('warming up')\n"
        "print(now, 5)\n"
        "print(now + 1, 'nan')\n"
        "print(now + 1, 6)\n"  # a time that does not rise
        "print(1000 * now, 6)\n"  # milliseconds
        "print(now + 2, 1e9)\n"
        "print(now + 3, '7,5')\n"
        "print(now + 3, 8)\n"
        "time.sleep(60)"
    )
    sensor = opened(meter(lines))
    try:
        assert [values for _, values in taken(sensor, 4)] == [[5.0], [None], [None], [8.0]]
    finally:
        sensor.close()


def test_a_program_that_ends_midway_leaves_a_gap(meter: Any) -> None:
    sensor = opened(meter("print(time.time(), 5)"))
    assert [values for _, values in taken(sensor, 2)] == [[5.0], [None]]
    assert sensor.take() == []
    sensor.close()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("print('usage: meter PORT')", "it ended (it said: usage: meter PORT)"),
        ("print(time.time() * 1000, 5)", "it said: "),
        ("", "it ended"),
        ("sys.exit('no such device: ttyUSB0')", "it ended (it said: no such device: ttyUSB0)"),
    ],
)
def test_a_program_that_tells_no_power_is_explained(meter: Any, code: str, words: str) -> None:
    (found,) = command.describe("/", meter(code))
    assert "must print lines of unix time and watts" in found["problem"]
    assert words in found["problem"]


def test_progress_on_stderr_does_no_harm(meter: Any) -> None:
    """However much of it comes: a full pipe would stop the program."""
    noisy = (
        "while True:\n"
        "    sys.stderr.write('\\rreading ' + 4000 * '.')\n"
        "    print(time.time(), 7.5)\n"
        "    time.sleep(0.002)"
    )
    sensor = opened(meter(noisy))
    try:
        found = taken(sensor, 100)
        assert len(found) >= 100 and {tuple(values) for _, values in found} == {(7.5,)}
    finally:
        sensor.close()


def test_a_missing_program_names_the_key() -> None:
    (found,) = command.describe("/", {"argv": ["/no/such/meter"], "scope": "wall"})
    assert "/no/such/meter" in found["problem"] and "power.command.run" in found["problem"]


def test_a_command_is_used_when_named_with_the_scope_that_was_stated(meter: Any) -> None:
    options = meter(STEADY)
    settings = PowerSettings(sensor="command", command={"run": options["argv"], "scope": "wall"})
    found = command.describe("/", sensor_options(settings)["command"])
    power, _ = choose_power(GENERIC, found, settings, estimates=False)
    assert power is not None
    assert (power.scope, power.source.value) == ("wall", "measured")
    assert power.options["argv"] == options["argv"]
    assert "neither its error nor its filter" in power.note
    auto = settings.model_copy(update={"sensor": "auto"})
    power, verdict = choose_power(GENERIC, found, auto, estimates=False)
    assert power is None and "command is there, but only used when named" in verdict.detail


def make_sampler(options: dict[str, Any]) -> Sampler:
    sampler = Sampler(0)
    wanted = {"name": "command", "options": options, "channels": [], "period_s": 0.005}
    sampler.open({"sensor": wanted, "root": "/"})
    return sampler


def test_samples_enclose_what_was_between_start_and_stop(meter: Any) -> None:
    """The edges have readings of their own: none hangs on one from long before or after."""
    sampler = make_sampler(meter(STEADY))
    try:
        time.sleep(0.2)  # what comes while nobody listens is not of this window
        began_ns = sampler.start({})["t_ns"]
        time.sleep(0.1)
        ended_ns = int(time.monotonic() * 1e9)
        trace = sampler.stop({})["trace"]
        times = trace["t_before_ns"]
        assert times[0] <= began_ns and times[-1] >= ended_ns
        assert sum(t < began_ns for t in times) <= 1
        assert {value for (value,) in trace["values"]} == {7.5}
    finally:
        sampler.close()


def test_a_meter_that_is_unplugged_midway_ends_in_a_gap(
    meter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler_module, "LAST_S", 0.2)
    sampler = make_sampler(meter("print(time.time(), 5)\ntime.sleep(60)"))
    try:
        sampler.start({})
        values = [value for (value,) in sampler.stop({})["trace"]["values"]]
        assert values == [5.0, None]
    finally:
        sampler.close()


def runs(pid: str) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path("/proc", pid, "stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_the_program_ends_with_whoever_started_it(meter: Any) -> None:
    """Also when that is killed: nothing of a job may go on."""
    code = (
        "import json, os, sys, time\nfrom bench.agent.sensors import command\n"
        "s = command.open_sensor('/', json.loads(sys.argv[1]), [])\n"
        "print(s._process.pid, flush=True)\ntime.sleep(60)"
    )
    silent = meter("print(time.time(), 5)\ntime.sleep(600)")
    process = subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(silent)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    program = process.stdout.readline().strip()
    assert runs(program)
    process.kill()
    process.communicate()
    deadline_s = time.monotonic() + 10
    while runs(program):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.mark.python36
def test_python_3_6_reads_the_same(meter: Any, python36: Path) -> None:
    options = meter(STEADY)
    code = (
        "import json, sys, time\nfrom bench.agent.sensors import command\n"
        "s = command.open_sensor('/', json.loads(sys.argv[1]), [])\n"
        "time.sleep(0.1)\nprint(json.dumps([v for _, v in s.take()]))\ns.close()"
    )
    done = subprocess.run(
        [python36, "-c", code, json.dumps(options)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {value for (value,) in json.loads(done.stdout)} == {7.5}
