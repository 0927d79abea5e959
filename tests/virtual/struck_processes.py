"""Faults of processes: the host's bench, a worker and the conductor on the board are killed."""

from __future__ import annotations

from board_program import RUN, BoardProgram
from kept_results import assert_whole

from bench.records.status import Reason, Status


def host_killed(bench: BoardProgram) -> str:
    """Kill bench while the board measures, and attach to the job."""
    bench.plan("one", latency_rounds=40)
    host = bench.start(*RUN)
    bench.until_rounds(3)
    host.kill()
    attached = bench.run("attach")
    assert attached.returncode == 0, attached.stderr
    assert_whole(bench, 40)
    again = bench.run("attach")
    assert again.returncode == 0 and "nothing to collect" in again.stderr, again.stderr
    return "bench attach: 40 of 40 rounds, exit 0"


def worker_killed(bench: BoardProgram) -> str:
    """Kill the worker of one of two cases in mid-run."""
    bench.plan("one", "two", latency_rounds=60)
    host = bench.start(*RUN)
    bench.until_rounds(5)
    bench.on_board("pkill -9 -f 'agent.pyz wor[k] one/'")
    done = bench.end_of(host)
    assert done.returncode == 1, done.stderr
    one, two = bench.the_run().trials
    assert one.latency_status.status is Status.FAILED
    assert one.latency_status.reasons == (Reason.CRASH,), one.latency_status
    assert "SIGKILL" in one.latency_status.detail
    assert two.latency is not None and two.latency.rounds == 60
    assert not two.failed and not two.interrupted
    return "its case failed: crash, SIGKILL; the other has 60 of 60 rounds; exit 1"


def conductor_killed(bench: BoardProgram) -> str:
    """Kill the conductor in mid-run; its job had changed the power mode."""
    bench.plan("one", latency_rounds=40)
    host = bench.start(*RUN, "--power-mode", "7W")
    bench.until_rounds(3)
    bench.on_board("pkill -9 -f 'agent.pyz conduc[t]'")
    done = bench.end_of(host)
    assert done.returncode == 4, done.stderr
    assert "the agent died before the job was done" in done.stderr
    rounds = assert_cut(bench, 40)
    assert_mode(bench, "15W")
    resume(bench, 40)
    return f"exit 4, {rounds} of 40 rounds kept, power mode put back; --resume measured the rest"


def assert_cut(bench: BoardProgram, wanted: int) -> int:
    """Assert that the only trial says how many of the rounds were done, and return that."""
    (trial,) = bench.the_run().trials
    verdict = trial.latency_status
    assert verdict.status is Status.INCONCLUSIVE, verdict
    assert Reason.INTERRUPTED in verdict.reasons, verdict
    assert trial.latency is not None
    rounds = trial.latency.rounds
    assert 0 < rounds < wanted and f"{rounds} of {wanted} latency rounds" in verdict.detail, verdict
    return rounds


def assert_mode(bench: BoardProgram, name: str) -> None:
    """Assert the board's power mode, and that nothing is left to put back."""
    assert f"NV Power Mode: {name}" in bench.on_board("nvpmodel -q")
    assert bench.on_board(f"ls {bench.work_dir}/state.json 2>/dev/null || true") == ""


def resume(bench: BoardProgram, rounds: int) -> None:
    """Measure what the newest run lacks, and assert that it is whole then."""
    done = bench.run("run", "--resume", bench.the_run().manifest.run_id)
    assert done.returncode == 0, done.stderr
    assert_whole(bench, rounds)


PROCESS_FAULTS = {
    "host killed in mid-run": host_killed,
    "worker killed": worker_killed,
    "conductor killed": conductor_killed,
}
