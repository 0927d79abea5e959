"""Faults of the board: hung, without power, full, with a wrong clock or a dead sensor."""

from __future__ import annotations

import time

from board_program import RUN, BoardProgram
from kept_results import assert_whole
from struck_processes import assert_cut, assert_mode, resume

from bench.records.status import Reason

HANG_S = 20.0
JUMP_S = 5 * 3600
SMALL = "/mnt/small"
INJECTOR = "injector.p[y]"


def hung(bench: BoardProgram) -> str:
    """Stop all CPUs of the board in mid-run, beyond the end that it announced."""
    bench.plan("one", latency_rounds=20)
    host = bench.start(*RUN)
    bench.until_rounds(3)
    bench.board.hang()
    time.sleep(HANG_S)
    bench.board.resume()
    done = bench.end_of(host)
    assert done.returncode == 0, done.stderr
    assert_whole(bench, 20)
    return "20 of 20 rounds, exit 0"


def power_lost(bench: BoardProgram) -> str:
    """Pull the plug in mid-run and boot again from the same disk; the job had set a power mode."""
    bench.plan("one", latency_rounds=40)
    host = bench.start(*RUN, "--power-mode", "7W")
    bench.until_rounds(5)
    bench.look()
    bench.board.kill()
    assert len(bench.seen) >= 5
    bench.board.up(bench.board.way.build)
    assert "NV Power Mode: 7W" in bench.on_board("nvpmodel -q")
    done = bench.end_of(host)
    assert done.returncode == 4, done.stderr
    assert "switched off or restarted during the job" in done.stderr
    rounds = assert_cut(bench, 40)
    assert_mode(bench, "15W")
    resume(bench, 40)
    return f"exit 4, {rounds} of 40 rounds kept, power mode put back; --resume measured the rest"


def disk_full(bench: BoardProgram) -> str:
    """Fill the disk that the journal is written to."""
    bench.work_dir = f"{SMALL}/bench"
    bench.on_board(f"mkdir -p {SMALL} && mount -t tmpfs -o size=4m tmpfs {SMALL}")
    bench.write_devices()
    bench.plan("one", latency_rounds=40)
    host = bench.start(*RUN)
    bench.until_rounds(3)
    bench.on_board(f"dd if=/dev/zero of={SMALL}/filled bs=4k 2>/dev/null || true")
    done = bench.end_of(host)
    assert done.returncode == 4, done.stderr
    assert "free space on the board" in done.stderr, done.stderr
    rounds = assert_cut(bench, 40)
    bench.on_board(f"rm {SMALL}/filled")
    resume(bench, 40)
    return f"exit 4 in words, {rounds} of 40 rounds kept; --resume measured the rest"


def clock_set(bench: BoardProgram) -> str:
    """Set the clock of the board by hours, forth and back."""
    bench.plan("one", latency_rounds=40)
    host = bench.start(*RUN)
    bench.until_rounds(3)
    bench.on_board(f"date -s @$(($(date +%s) + {JUMP_S}))")
    time.sleep(2)
    bench.on_board(f"date -s @$(($(date +%s) - {2 * JUMP_S}))")
    done = bench.end_of(host)
    assert done.returncode == 0, done.stderr
    assert_whole(bench, 40)
    times_ns = [record["t_ns"] for record in bench.records() if "t_ns" in record]
    assert times_ns == sorted(times_ns)
    assert times_ns[-1] - times_ns[0] < JUMP_S * 1e9
    return "40 of 40 rounds, exit 0"


def sensor_unbound(bench: BoardProgram) -> str:
    """Take the driver away from the power sensor in mid-run."""
    driver = "/sys/bus/i2c/drivers/ina3221"
    command = f"for chip in {driver}/*-0040; do echo ${{chip##*/}} > {driver}/unbind; done"
    return _without_sensor(bench, command, Reason.SENSOR_GAPS)


def sensor_stuck(bench: BoardProgram) -> str:
    """Let the power sensor show one value for ever from the middle of the run on."""
    return _without_sensor(bench, f"pkill -STOP -f {INJECTOR}", Reason.SENSOR_STALE)


def _without_sensor(bench: BoardProgram, command: str, reason: Reason) -> str:
    bench.sensor = "ina3221"
    bench.write_devices()
    bench.plan("one", latency_rounds=40)
    host = bench.start(*RUN)
    bench.until_rounds(3)
    bench.on_board(command)
    done = bench.end_of(host)
    assert done.returncode == 0, done.stderr
    assert_whole(bench, 40)
    (trial,) = bench.the_run().trials
    assert reason in trial.energy_status.reasons, trial.energy_status
    return f"energy {reason}; latency 40 of 40 rounds; exit 0"


BOARD_FAULTS = {
    "board hung for 20 s, beyond its announced end": hung,
    "power lost in mid-run, booted again": power_lost,
    "disk of the board full": disk_full,
    "clock of the board set by hours": clock_set,
    "sensor's driver gone in mid-run": sensor_unbound,
    "sensor stuck in mid-run": sensor_stuck,
}
