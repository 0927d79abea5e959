"""Measures the cases of one group: their workers are loaded side by side and take turns."""

import math
import random
import statistics
import time

from bench.agent import blocks, expectation, health, schedule, stopping
from bench.agent.clock import now_ns
from bench.agent.failure import Failure, SensorLost


class Group(object):
    """One group from its first load to its last idle line. A lost case leaves the others."""

    def __init__(self, conductor, number, keys):
        self._conductor = conductor
        self._job = conductor.job
        self._procedure = conductor.job["procedure"]
        self._number = number
        self._keys = keys
        self._draw = random.Random(self._procedure["seed"])
        self._workers = {}
        self._segment = 0
        self._log_medians = {key: [] for key in keys}
        """By case, a list per fresh load: see stopping.py."""
        self._latency_s = 0.0
        self._next_index = self._procedure["latency_rounds"]

    def measure(self):
        """Do all blocks of the group."""
        do = {
            "load": self._load,
            "idle": self._idle,
            "step": self._step,
            "warmup": self._warm_up,
            "round": self._round,
            "cooldown": self._cool_down,
            "sustain": self._sustain,
        }
        try:
            for block in schedule.group_blocks(self._job, self._number, self._keys, self._draw):
                if block[0] == "laps":
                    self._further_laps(block)
                else:
                    self._conductor.begin_block(block)
                    do[block[0]](block)
                self._conductor.progress.end(block)
        finally:
            for worker in self._workers.values():
                worker.close()

    def _attempt(self, key, action, *arguments):
        """``action(worker, *arguments)``: a failure costs the case, a lost sensor the power.

        Passed over once the case is lost.
        """
        if key not in self._workers:
            return
        try:
            action(self._workers[key], *arguments)
        except SensorLost as lost:
            self._conductor.lose_sampler(lost)
        except Failure as failure:
            self._conductor.fail(key, failure)
            self._workers.pop(key).close()

    def _load(self, block):
        """Start a worker, or replace it by a fresh one."""
        _, self._segment, key = block
        if self._segment > 0:
            if key not in self._workers:
                return
            self._workers.pop(key).close()
        self._workers[key] = self._conductor.start_worker(key)
        self._log_medians[key].append([])
        self._attempt(key, _load_model)

    def _idle(self, block):
        if not self._reads_power() or not self._workers:
            return
        try:
            fields = blocks.idle_line(self._conductor.sampler, self._job)
        except SensorLost as lost:
            self._conductor.lose_sampler(lost)
        else:
            self._record("idle", where=block[1], cases=sorted(self._workers), **fields)

    def _step(self, block):
        """A load step with the first case that is still there."""
        if self._conductor.sampler is not None and self._workers:
            self._attempt(self._left_keys()[0], self._take_step)

    def _take_step(self, worker):
        fields = blocks.load_step(worker, self._conductor.sampler, self._job)
        self._record("step", case=worker.key, **fields)

    def _warm_up(self, block):
        self._attempt(block[-1], self._take_warmup)

    def _take_warmup(self, worker):
        fields = blocks.warm_up(worker, self._procedure)
        self._record("warmup", case=worker.key, load=self._segment, **fields)

    def _round(self, block):
        _, kind, index, key = block
        if kind == "latency":
            began = time.monotonic()
            self._attempt(key, self._latency_round, index)
            self._latency_s += time.monotonic() - began
        elif self._reads_power():
            self._attempt(key, self._energy_round, index)

    def _latency_round(self, worker, index):
        fields = blocks.latency_round(worker, self._procedure, index)
        self._record_round(worker.key, index, "latency", fields)
        median_ns = statistics.median(fields["durations_ns"])
        self._log_medians[worker.key][-1].append(math.log(median_ns))

    def _energy_round(self, worker, index):
        fields = blocks.energy_round(worker, self._conductor.sampler, self._job, index)
        self._record_round(worker.key, index, "energy", fields)

    def _further_laps(self, block):
        """Latency rounds beyond the least number, until the stopping rule ends them.

        Each segment takes its share, so that no load of the workers outweighs the others.
        """
        while self._workers:
            medians = {key: self._log_medians[key] for key in self._left_keys()}
            reason = stopping.decide(medians, self._latency_s, self._procedure)
            if reason is not None:
                if self._segment + 1 == self._procedure["loads"]:
                    self._record_stopping(reason, medians)
                return
            laps = stopping.laps_to_go(medians, self._latency_s, self._procedure)
            laps_s = laps * expectation.lap_s(self._procedure, medians, self._conductor.run_s)
            self._conductor.progress.expect(block, laps_s)
            for planned in schedule.lap(self._draw, "latency", self._next_index, list(medians)):
                self._conductor.begin_block(planned)
                self._round(planned)
            self._next_index += 1

    def _record_stopping(self, reason, medians):
        self._record(
            "stopping",
            t_ns=now_ns(),
            reason=reason,
            rounds=stopping.fewest_rounds(medians),
            half_widths={key: stopping.relative_half_width(medians[key]) for key in medians},
        )

    def _cool_down(self, block):
        if block[-1] in self._workers:
            self._conductor.cool_down()

    def _sustain(self, block):
        """One case alone for a long time, round after round."""
        key = block[-1]
        ends = time.monotonic() + self._procedure["sustain_s"]
        index = 0
        while key in self._workers and time.monotonic() < ends:
            self._conductor.check_stop()
            self._attempt(key, self._sustain_round, index)
            index += 1

    def _sustain_round(self, worker, index):
        sampler = self._conductor.sampler
        fields = blocks.sustain_round(worker, sampler, self._procedure, index)
        self._record_round(worker.key, index, "sustain", fields)

    def _record_round(self, key, index, kind, fields):
        brief = health.read_briefly(self._job["root"])
        self._record(
            "round", case=key, index=index, type=kind, load=self._segment, health=brief, **fields
        )

    def _record(self, kind, **fields):
        self._conductor.record(kind, **fields)

    def _reads_power(self):
        """Whether anything does: a meter on the host goes on when the board's sensor is lost."""
        return self._conductor.sampler is not None or bool(self._job.get("markers"))

    def _left_keys(self):
        """The cases that are not lost, in their order."""
        return [key for key in self._keys if key in self._workers]


def _load_model(worker):
    worker.import_runtime()
    worker.load()
