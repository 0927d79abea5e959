"""Conducts a job on the board: what is done when, and what becomes of failures.

Cool-down, health, solo pass, then each group of cases that fits in memory (group.py); health
again; labelled sets last, since they only count. The journal is written between blocks, never
inside one.
"""

import os
import signal
import sys
import time

from bench.agent import (
    cooldown,
    expectation,
    health,
    identity,
    launch,
    lease,
    placement,
    schedule,
    state,
    wire,
)
from bench.agent.clock import now_ns
from bench.agent.failure import Failure, SensorLost
from bench.agent.group import Group
from bench.agent.journal import Journal, JournalLost
from bench.agent.processes import CaseWorker, PowerSampler, play_markers
from bench.agent.progress import Progress
from bench.agent.runtimes import RUNTIMES

LOOK_S = 0.2
"""How often a waiting conductor looks whether it is to stop."""


class Stopped(Exception):
    """Somebody asked for an early end."""


def main(arguments):
    """``conduct JOBDIR LOCK_FD START_S``.

    The lease's open file is inherited and held until this process ends; START_S is the guess of
    how long a worker takes to start that was announced to the host.
    """
    folder, lock_fd, start_s = arguments
    job = launch.read_job(folder)
    # The first block of the log's file: on a full disk there is still room for the last line.
    sys.stderr.write("job %s, process %d\n" % (job["job_id"], os.getpid()))
    sys.stderr.flush()
    os.set_inheritable(int(lock_fd), False)
    held = lease.Lease(int(lock_fd), job["job_id"], job.get("owner", lease.UNKNOWN))
    journal = Journal(os.path.join(folder, wire.JOURNAL_FILE))
    conductor = Conductor(folder, job, journal, held, float(start_s))
    signal.signal(signal.SIGTERM, conductor.request_stop)
    try:
        conductor.conduct()
    except JournalLost as lost:
        sys.exit(str(lost))


class Conductor(object):
    """One job from its ``start`` record to its ``end`` record."""

    def __init__(self, folder, job, journal, held, start_s):
        self.job = job
        self.run_s = {}
        """Seconds of one inference by case, from the solo pass."""
        self.sampler = None
        """The sampler with the job's sensor; ``None`` where there is none (any more)."""
        self._folder = folder
        self._journal = journal
        self._lease = held
        self._stop_path = os.path.join(folder, wire.STOP_FILE)
        self._stop_requested = False
        blocks = expectation.expected_blocks(job, start_s)
        self.progress = Progress(folder, held, job["procedure"], blocks)
        self._placement = placement.place(job["cases"])
        self._cases = {case["key"]: case for case in job["cases"]}
        self._peak_bytes = []
        self._load_s = {}
        self._lost = set()

    def request_stop(self, *_):
        """Signal handler: end after the present block."""
        self._stop_requested = True

    def conduct(self):
        """Do the whole job."""
        os.sched_setaffinity(0, self._placement["sampler"])
        self.record(
            "start",
            version=wire.WIRE_VERSION,
            job_id=self.job["job_id"],
            t_ns=now_ns(),
            wall_s=time.time(),
            boot_id=identity.boot_id(),
            pid=os.getpid(),
            expected_s=self.progress.remaining_s,
            placement=self._placement,
        )
        reason = "finished"
        work_dir = os.path.dirname(os.path.dirname(self._folder))
        try:
            state.prepare(self.job, work_dir, self.record)
            self._measure()
        except Stopped:
            reason = "stopped"
        finally:
            state.finish(self.job, work_dir, self.record)
        self.record("end", t_ns=now_ns(), reason=reason)

    def record(self, kind, **fields):
        """Journal something; it is on the disk when this returns."""
        self._journal.append(dict(fields, kind=kind))

    def begin_block(self, block):
        """To be called before each block: an early end and checkpoints are possible here."""
        self.check_stop()
        due_ns = self.progress.checkpoint_ns(block)
        if due_ns is not None:
            # A host that was told a time looks at that time: whatever does not fit in waits.
            self._wait_until(due_ns)
            until_ns = self.progress.begin_checkpoint()
            self.record("checkpoint", t_ns=now_ns(), until_ns=until_ns)
            self._wait_until(until_ns)

    def check_stop(self):
        """Raise Stopped when somebody asked for it."""
        if self._stop_requested or os.path.exists(self._stop_path):
            raise Stopped()

    def cool_down(self):
        """Wait until the board is as cool as the procedure wants it."""
        fields = cooldown.cool_down(self.job["root"], self.job["procedure"], self.check_stop)
        self.record("cooldown", t_ns=now_ns(), **fields)

    def start_worker(self, key):
        """A fresh process for a case."""
        cpus = self._placement["workers"][key]
        return CaseWorker(self._cases[key], self.job, self._folder, cpus, self._lease.fd)

    def _start_sampler(self):
        cpus = self._placement["sampler"]
        return PowerSampler(self.job, self._folder, cpus, self._lease.fd)

    def fail(self, key, failure):
        """Journal why a case got no (further) numbers; its blocks will not be done."""
        fields = {"reason": failure.reason, "text": failure.text, "detail": failure.detail}
        if failure.parity is not None:
            fields["parity"] = failure.parity
        self.record("failure", case=key, **fields)
        self._lost.add(key)
        self.progress.drop(key)

    def lose_sampler(self, lost):
        """Journal why there is no (further) power; the latency rounds go on."""
        self.record("sensor", t_ns=now_ns(), text=lost.text, detail=lost.detail)
        if self.sampler is not None:
            self.sampler.close()
            self.sampler = None

    def _measure(self):
        """All that numbers come from."""
        if self.job["procedure"]["cooldown_to_c"] is not None:
            self.cool_down()
            self.progress.end(("cooldown", "job"))
        self._read_health("before")
        for case in self.job["cases"]:
            self._solo_pass(case["key"])
        self._measure_groups()
        self._read_health("after")
        for case in self.job["cases"]:
            if case["key"] not in self._lost:
                self._accuracy_pass(case["key"], case.get("accuracy") or [])

    def _solo_pass(self, key):
        """One case alone on the board, in a fresh process; before it, another one builds what the
        runtime may have to build, so that the builder's memory is not taken for the model's."""
        self.begin_block(("solo", key))
        built = None
        worker = self.start_worker(key)
        try:
            if hasattr(RUNTIMES.get(self._cases[key]["runtime"]), "build"):
                worker.import_runtime()
                built = worker.build()
                worker.close()
                worker = self.start_worker(key)
            fields = worker.solo(self.job["procedure"])
        except Failure as failure:
            self.fail(key, failure)
        else:
            if built is not None:
                fields["engine"]["cached"] = fields["engine"]["cached"] and built["cached"]
            self._peak_bytes.append((key, fields["peak_bytes"]))
            self.record("solo", case=key, t_ns=now_ns(), **fields)
            self.run_s[key] = fields["steady_run_s"]
            self._load_s[key] = fields["import_s"] + fields["load_s"] + fields["first_s"]
        finally:
            worker.close()
        self.progress.end(("solo", key))

    def _accuracy_pass(self, key, parts):
        """A labelled set through a fresh worker, after all that is timed; a failure costs no more
        than the accuracy."""
        worker = None
        try:
            for number, part in enumerate(parts):
                block = ("accuracy", number, key)
                self.begin_block(block)
                if worker is None:
                    worker = self.start_worker(key)
                    worker.import_runtime()
                    worker.load()
                counts = worker.count_right(part)
                self.record("accuracy", case=key, t_ns=now_ns(), part=number, **counts)
                self.progress.end(block)
        except Failure as failure:
            self.record("accuracy", case=key, t_ns=now_ns(), problem=failure.text)
            self.progress.drop(key)
        finally:
            if worker is not None:
                worker.close()

    def _measure_groups(self):
        """All groups, with the sampler at hand where the job has a sensor."""
        available = health.memory_bytes(self.job["root"], "MemAvailable")
        groups = schedule.loaded_groups(self._peak_bytes, available, schedule.alone(self.job))
        self.record("groups", t_ns=now_ns(), groups=groups, available_bytes=available)
        left = expectation.remaining_blocks(self.job, groups, self._load_s, self.run_s)
        self.progress.replan(left)
        if self.job["sensor"] is not None and groups:
            try:
                self.sampler = self._start_sampler()
            except SensorLost as lost:
                self.lose_sampler(lost)
        try:
            self._play_markers("before", groups)
            for number, keys in enumerate(groups):
                Group(self, number, keys).measure()
            self._play_markers("after", groups)
        finally:
            if self.sampler is not None:
                self.sampler.close()

    def _play_markers(self, where, groups):
        """Load markers around the rounds, where a meter on the host waits for them."""
        if not self.job.get("markers") or not groups:
            return
        self.begin_block(("marker", where))
        cpus = self._placement["cpus"]
        try:
            fields = play_markers(self.job, where, self._folder, cpus, self._lease.fd)
        except Failure as failure:
            # It costs the meter's figures, no others.
            fields = {"problem": failure.text, "detail": failure.detail}
        self.record("marker", where=where, t_ns=now_ns(), **fields)
        self.progress.end(("marker", where))

    def _read_health(self, where):
        self.record("health", where=where, **health.read_health(self.job["root"]))
        self.progress.end(("health", where))

    def _wait_until(self, t_ns):
        while now_ns() < t_ns:
            self.check_stop()
            time.sleep(min(LOOK_S, (t_ns - now_ns()) / 1e9 + 1e-4))
