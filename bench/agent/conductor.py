"""Conducts a job on the board: what is done when, and what becomes of failures.

Health, solo pass, then for each group of cases that fits in memory: load, idle line, warm-up,
rounds, idle line; health again. The journal is written between blocks, never inside one.
"""

import os
import signal
import time
from typing import Dict

from bench.agent import blocks, health, identity, launch, placement, schedule, wire
from bench.agent.clock import now_ns
from bench.agent.failure import Failure, SensorLost
from bench.agent.journal import Journal
from bench.agent.processes import CaseWorker, PowerSampler


class Stopped(Exception):
    """Somebody asked for an early end."""


def main(arguments):
    """``conduct JOBDIR LOCK_FD START_S``.

    The lock's open file is inherited and held until this process ends; START_S is the guess of
    how long a worker takes to start that was announced to the host.
    """
    folder, _, start_s = arguments
    job = launch.read_job(folder)
    journal = Journal(os.path.join(folder, wire.JOURNAL_FILE))
    conductor = Conductor(folder, job, journal, float(start_s))
    signal.signal(signal.SIGTERM, conductor.request_stop)
    conductor.conduct()


class Conductor(object):
    """One job from its ``start`` record to its ``end`` record."""

    def __init__(self, folder, job, journal, start_s):
        self._folder = folder
        self._job = job
        self._journal = journal
        self._stop_path = os.path.join(folder, wire.STOP_FILE)
        self._stop_requested = False
        self._left = schedule.expected_blocks(job, start_s)
        self._placement = placement.place(job["cases"])
        self._sampler = None
        self._cases = {case["key"]: case for case in job["cases"]}
        self._peak_bytes = []
        self._load_s = {}
        self._run_s = {}

    def request_stop(self, *_):
        """Signal handler: end after the present block."""
        self._stop_requested = True

    def conduct(self):
        """Do the whole job."""
        os.sched_setaffinity(0, self._placement["sampler"])
        self._record(
            "start",
            job_id=self._job["job_id"],
            t_ns=now_ns(),
            wall_s=time.time(),
            boot_id=identity.boot_id(),
            pid=os.getpid(),
            expected_s=sum(self._left.values()),
            placement=self._placement,
        )
        reason = "finished"
        try:
            self._read_health("before")
            for case in self._job["cases"]:
                self._solo_pass(case)
            self._measure()
            self._read_health("after")
        except Stopped:
            reason = "stopped"
        self._record("end", t_ns=now_ns(), reason=reason)

    def _measure(self):
        """All groups, with the sampler at hand where the job has a sensor."""
        available = health.memory_bytes(self._job["root"], "MemAvailable")
        groups = schedule.memory_groups(self._peak_bytes, available)
        self._left = schedule.remaining_blocks(self._job, groups, self._load_s, self._run_s)
        if self._job["sensor"] is not None and groups:
            try:
                self._sampler = PowerSampler(self._job, self._folder, self._placement["sampler"])
            except SensorLost as lost:
                self._lose_sampler(lost)
        try:
            for number, keys in enumerate(groups):
                self._measure_group(number, keys)
        finally:
            if self._sampler is not None:
                self._sampler.close()

    def _measure_group(self, number, keys):
        """Load the workers of some cases side by side and take their rounds."""
        workers: Dict[str, CaseWorker] = {}
        try:
            for block in schedule.group_blocks(self._job, number, keys):
                self._check_stop()
                try:
                    self._do_block(block, workers)
                except SensorLost as lost:
                    self._lose_sampler(lost)
                except Failure as failure:
                    self._fail(block[-1], failure)
                    if block[-1] in workers:
                        workers.pop(block[-1]).close()
                self._end_block(block)
        finally:
            for worker in workers.values():
                worker.close()

    def _do_block(self, block, workers):
        """Do one block of a group and journal it; blocks of lost cases are passed over."""
        kind, key = block[0], block[-1]
        if kind == "idle":
            if self._sampler is not None and workers:
                fields = blocks.idle_line(self._sampler, self._job)
                self._record("idle", where=block[1], cases=sorted(workers), **fields)
        elif kind == "load":
            workers[key] = self._start_worker(key)
            workers[key].import_runtime()
            workers[key].load()
        elif key in workers and kind == "warmup":
            fields = blocks.warm_up(workers[key], self._job["procedure"])
            self._record("warmup", case=key, **fields)
        elif key in workers and block[1] == "latency":
            fields = blocks.latency_round(workers[key], self._job["procedure"])
            self._record("round", case=key, index=block[2], type="latency", **fields)
        elif key in workers and self._sampler is not None:
            fields = blocks.energy_round(workers[key], self._sampler, self._job)
            self._record("round", case=key, index=block[2], type="energy", **fields)

    def _solo_pass(self, case):
        """One case alone on the board, in a fresh process."""
        self._check_stop()
        worker = self._start_worker(case["key"])
        try:
            fields = worker.solo(self._job["procedure"])
        except Failure as failure:
            self._fail(case["key"], failure)
        else:
            self._peak_bytes.append((case["key"], fields["peak_bytes"]))
            self._record("solo", case=case["key"], t_ns=now_ns(), **fields)
            self._run_s[case["key"]] = fields["steady_run_s"]
            self._load_s[case["key"]] = fields["import_s"] + fields["load_s"] + fields["first_s"]
        finally:
            worker.close()
        self._end_block(("solo", case["key"]))

    def _start_worker(self, key):
        cpus = self._placement["workers"][key]
        return CaseWorker(self._cases[key], self._job, self._folder, cpus)

    def _read_health(self, where):
        self._record("health", where=where, **health.read_health(self._job["root"]))
        self._end_block(("health", where))

    def _fail(self, key, failure):
        """Journal why a case got no (further) numbers; its blocks will not be done."""
        fields = {"reason": failure.reason, "text": failure.text, "detail": failure.detail}
        if failure.parity is not None:
            fields["parity"] = failure.parity
        self._record("failure", case=key, **fields)
        for block in [block for block in self._left if block[-1] == key]:
            del self._left[block]

    def _lose_sampler(self, lost):
        """Journal why there is no (further) power; the latency rounds go on."""
        self._record("sensor", t_ns=now_ns(), text=lost.text, detail=lost.detail)
        if self._sampler is not None:
            self._sampler.close()
            self._sampler = None

    def _record(self, kind, **fields):
        self._journal.append(dict(fields, kind=kind))

    def _end_block(self, block):
        """Let ``status`` know what is left."""
        self._left.pop(block, None)
        remaining_s = sum(self._left.values())
        path = os.path.join(self._folder, launch.PROGRESS_FILE)
        launch.write_file(path, {"t_ns": now_ns(), "remaining_s": remaining_s})

    def _check_stop(self):
        if self._stop_requested or os.path.exists(self._stop_path):
            raise Stopped()
