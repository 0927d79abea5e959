"""Any program that prints ``unix_time watts``, as a meter: real programs, recorded as in a run."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bench_program import wait_until

from bench.errors import SensorError, StoreError
from bench.meters import METERS
from bench.meters.meter import MeterOptions, Reading
from bench.meters.recorder import Recorder
from bench.store.meters import meter_log_path, meter_path, read_meter

JOB = "job-1"
SAY = "import sys, time\ndef say(*words): print(*words, flush=True)\n"


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., tuple[Recorder, float, list[str]]]:
    """Start recording a Python program; the recorder, its period and what was told."""
    started = []

    def record(program: str) -> tuple[Recorder, float, list[str]]:
        told: list[str] = []
        recorder = Recorder(meter_path(tmp_path, JOB), meter_log_path(tmp_path, JOB), told.append)
        options = MeterOptions(command=(sys.executable, "-c", SAY + program))
        period_s = recorder.start(METERS["command"], options)
        started.append(recorder)
        return recorder, period_s, told

    yield record
    for recorder in started:
        recorder.stop()


def test_readings_keep_the_time_that_was_printed(record: Callable, tmp_path: Path) -> None:
    """Whatever the pace at which lines arrive; a failed read is kept as one, never as 0 W."""
    recorder, period_s, told = record(
        "for i in range(8): say(f'{1000 + i / 4},', 2.5 if i != 5 else 'nan'); time.sleep(0.01)\n"
        "time.sleep(60)"
    )
    recorder.stop()
    found = read_meter(tmp_path, JOB)
    assert period_s == 0.25
    assert found.readings.t_ns.tolist() == [1_000_000_000_000 + i * 250_000_000 for i in range(8)]
    assert np.isnan(found.readings.power_w).tolist() == [i == 5 for i in range(8)]
    assert found.readings.power_w[0] == 2.5
    assert found.lost == ""
    assert told == []


def test_a_meter_that_is_unplugged_midway_keeps_what_it_measured(
    record: Callable, tmp_path: Path
) -> None:
    recorder, _, told = record(
        "for i in range(60): say(i / 30, 3); time.sleep(1 / 30)\n"
        "sys.stderr.write('retrying\\nno such device: /dev/ttyUSB0\\n'); sys.exit(3)"
    )
    wait_until(lambda: bool(told), "nothing was told")
    recorder.stop()
    (text,) = told
    assert "the meter was lost" in text
    assert "exit status 3" in text
    assert "no such device: /dev/ttyUSB0" in text
    found = read_meter(tmp_path, JOB)
    assert found.readings.power_w.tolist() == [3.0] * 60
    assert "no such device" in found.lost


def test_lines_that_are_no_readings_are_told_and_left_out(record: Callable, tmp_path: Path) -> None:
    recorder, _, told = record(
        "say('Meter 1.0'); say('1 2 3'); say('-5 1'); say('1796086678179 1')\n"
        "for i in range(6): say(i, 1)\ntime.sleep(60)"
    )
    recorder.stop()
    (text,) = told
    assert text.endswith(
        "printed a line that is no 'unix_time watts': 'Meter 1.0'; such lines are left out"
    )
    assert read_meter(tmp_path, JOB).readings.t_ns.size == 6


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("sys.exit('cannot find the meter')", "cannot find the meter"),
        ("for i in range(9): say('hello')\ntime.sleep(60)", "no 'unix_time watts': 'hello', and"),
        ("for i in range(9): say(1796086678179, 5)\ntime.sleep(60)", "not in seconds since 1970"),
        ("say(5, 1)\nsys.exit(0)", "ended (exit status 0)"),
        ("pass", "without a reading; it must print 'unix_time watts' lines until it is ended"),
        ("for i in range(9): say(7, 1)\ntime.sleep(60)", "readings do not advance: each must be"),
    ],
)
def test_a_meter_that_gives_no_readings_is_refused(
    tmp_path: Path, program: str, words: str
) -> None:
    told: list[str] = []
    recorder = Recorder(meter_path(tmp_path, JOB), meter_log_path(tmp_path, JOB), told.append)
    with pytest.raises(SensorError) as caught:
        recorder.start(
            METERS["command"], MeterOptions(command=(sys.executable, "-c", SAY + program))
        )
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    # It is said once, by whoever waits for the start.
    assert told == []


def test_a_program_that_is_not_there_is_refused(tmp_path: Path) -> None:
    recorder = Recorder(meter_path(tmp_path, JOB), meter_log_path(tmp_path, JOB), print)
    with pytest.raises(SensorError, match="cannot start no-such-meter: No such file"):
        recorder.start(METERS["command"], MeterOptions(command=("no-such-meter",)))


@pytest.mark.parametrize("where", ["open_meter", "close"])
def test_a_driver_that_hangs_does_not_hang_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    class Stuck:
        NEEDS = TAKES = ()

        def open_meter(self, *_: object) -> Stuck:
            if where == "open_meter":
                threading.Event().wait()
            return self

        def read(self, wait_s: float) -> list[Reading]:
            return [Reading(time.monotonic_ns(), 1.0, time.monotonic_ns())]

        def close(self) -> None:
            threading.Event().wait()

    told: list[str] = []
    monkeypatch.setattr("bench.meters.recorder.START_S", 1.5)
    monkeypatch.setattr("bench.meters.recorder.STOP_S", 0.2)
    recorder = Recorder(meter_path(tmp_path, JOB), meter_log_path(tmp_path, JOB), told.append)
    if where == "open_meter":
        with pytest.raises(SensorError, match="no two readings"):
            recorder.start(Stuck(), MeterOptions())
    else:
        recorder.start(Stuck(), MeterOptions())
        recorder.stop()
        assert read_meter(tmp_path, JOB).readings.t_ns.size > 2
    assert told == ["the meter: it does not end within 0.2 s and is left alone"]


class Stubborn:
    """A meter, and a kind of meters, that cannot be closed; lost after some readings if asked."""

    NEEDS: tuple[str, ...] = ()
    TAKES: tuple[str, ...] = ()

    def __init__(self, lost_after: int) -> None:
        self._left = lost_after

    def open_meter(self, *_: object) -> Stubborn:
        return self

    def read(self, wait_s: float) -> list[Reading]:
        self._left -= 1
        if self._left < 0:
            raise SensorError("unplugged")
        time.sleep(0.01)
        return [Reading(time.monotonic_ns(), 1.0, time.monotonic_ns())]

    def close(self) -> None:
        raise RuntimeError("no such device")


@pytest.mark.parametrize(
    ("lost_after", "said"),
    [
        (10**6, "the meter: it could not be closed: no such device"),
        # One that is gone cannot be closed either, and that explains it.
        (200, "the meter was lost: unplugged"),
    ],
)
def test_a_meter_that_cannot_be_closed_is_told(tmp_path: Path, lost_after: int, said: str) -> None:
    told: list[str] = []
    recorder = Recorder(meter_path(tmp_path, JOB), meter_log_path(tmp_path, JOB), told.append)
    recorder.start(Stubborn(lost_after), MeterOptions())
    if "lost" in said:
        wait_until(lambda: bool(told), "nothing was told")
    recorder.stop()
    assert told == [said]
    assert read_meter(tmp_path, JOB).readings.t_ns.size > 2


def test_the_program_and_what_it_started_end_with_the_recording(
    record: Callable, tmp_path: Path
) -> None:
    """Also a shell's child that ignores a polite request."""
    pid_file = tmp_path / "pid"
    recorder, _, _ = record(
        "import os, signal\n"
        f"if os.fork() == 0: signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)\n"
        "for i in range(9): say(i, 1); time.sleep(0.01)\n"
        "time.sleep(600)"
    )
    wait_until(lambda: pid_file.exists() and pid_file.read_text() != "", "it did not begin")
    recorder.stop()
    status = Path(f"/proc/{pid_file.read_text()}/stat")

    def is_over() -> bool:
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"

    wait_until(is_over, "what the program started goes on")


def test_a_clock_that_is_set_back_leaves_a_gap(record: Callable, tmp_path: Path) -> None:
    recorder, _, _ = record("for i in (1, 2, 3, 4, 2.5, 3.5, 5): say(i, i)\ntime.sleep(60)")
    recorder.stop()
    assert read_meter(tmp_path, JOB).readings.power_w.tolist() == [1, 2, 3, 4, 5]


def test_a_file_that_was_cut_short_or_damaged(tmp_path: Path) -> None:
    path = meter_path(tmp_path, JOB)
    path.parent.mkdir()
    path.write_bytes(b"t_ns,power_w,arrived_ns\n5,1.5,9\n6,,10\n7,1.")
    found = read_meter(tmp_path, JOB).readings
    assert found.t_ns.tolist() == [5, 6]
    assert math.isnan(found.power_w[1])
    path.write_bytes(b"t_ns,power_w,arrived_ns\n5,mouse,9\n")
    with pytest.raises(StoreError, match="cannot read"):
        read_meter(tmp_path, JOB)
    path.write_bytes(b"t_ns,power_w,arrived_ns\n5,1,9\n9223372036854775807,1,9\n")
    with pytest.raises(StoreError, match="a time that cannot be"):
        read_meter(tmp_path, JOB)
    path.unlink()
    with pytest.raises(StoreError, match="No such file"):
        read_meter(tmp_path, JOB)
