"""The conductor's view of its kinds of processes: a case's worker, the sampler, load markers."""

import os

from bench.agent import expectation, markers, packages
from bench.agent.child import Child
from bench.agent.failure import Failure, SensorLost

LOAD_LIMIT_S = 600.0
ANSWER_LIMIT_S = 60.0
BUILD_LIMIT_S = 3600.0
"""TensorRT tries many ways to compute each layer: minutes, on a small board tens of them."""
ONE_RUN_S = 1e-9
"""A block that is over after one inference."""
SLOW_RUNS = 20
"""A run may take this many times the first inference before it counts as a hang."""


class CaseWorker(object):
    """One case loaded (or being loaded) in its own process. All methods raise Failure."""

    def __init__(self, case, job, folder, cpus, lock_fd):
        self.key = case["key"]
        self._case = case
        self._root = job["root"]
        limits = job.get("limits", {})
        self._load_limit_s = limits.get("load_s", LOAD_LIMIT_S)
        self._answer_limit_s = limits.get("answer_s", ANSWER_LIMIT_S)
        self._build_limit_s = limits.get("build_s", BUILD_LIMIT_S)
        self._slowest_s = 0.0
        # A job folder lies in ``jobs`` of the board folder.
        self._packages = packages.search_path(os.path.dirname(os.path.dirname(folder)))
        log = os.path.join(folder, "worker-%d.log" % job["cases"].index(case))
        # For people who look at ps. Under a POSIX locale Python 3.6 can start nothing but ASCII.
        name = self.key.encode("ascii", "backslashreplace").decode("ascii")
        self._child = Child(["work", name], log, cpus, lock_fd, job["root"])

    def import_runtime(self):
        """Import the runtime and read the reference inputs; see worker.py for the answers."""
        return self._child.ask(
            {
                "do": "import",
                "runtime": self._case["runtime"],
                "reference": self._case["reference"],
                "root": self._root,
                "packages": self._packages,
            },
            self._load_limit_s,
        )

    def build(self):
        """Build what the runtime runs in place of the graph, unless it has that: ``{cached}``."""
        request = {"do": "build", "graph": self._case["graph"], "options": self._case["options"]}
        return self._child.ask(request, self._build_limit_s)

    def load(self):
        """Load the model and run it once."""
        request = {"do": "load", "graph": self._case["graph"], "options": self._case["options"]}
        answer = self._child.ask(request, self._load_limit_s)
        self._slowest_s = SLOW_RUNS * answer["first_s"]
        return answer

    def run(self, seconds, lead_s, arrivals=None):
        """A timed block of at least ``seconds`` after an untimed one of ``lead_s``.

        Inferences run back to back, or as ``arrivals`` (of schedule.arrivals) come.
        """
        limit_s = seconds + lead_s + self._answer_limit_s + self._slowest_s
        request = {"do": "run", "seconds": seconds, "lead_s": lead_s, "arrivals": arrivals}
        return self._child.ask(request, limit_s)

    def settle(self, procedure):
        """Run until memory is steady; ``{steady_run_s, steady_rise_bytes, peak_bytes}``."""
        # Untimed but for one: lists of times would count as the model's memory.
        steady = self.run(ONE_RUN_S, min(expectation.SOLO_RUN_S, procedure["warmup_min_s"]))
        fields = {"steady_run_s": steady["durations_ns"][-1] / 1e9}
        fields.update(self._child.ask({"do": "memory"}, self._answer_limit_s))
        return fields

    def solo(self, procedure):
        """Everything of the solo pass; the fields of a ``solo`` record.

        Memory is read before parity, whose arrays would count as the model's; a parity failure
        raises Failure with its figures, so that no other number gets out.
        """
        fields = self.import_runtime()
        fields.update(self.load())
        fields.update(self.settle(procedure))
        request = {"do": "parity", "tolerance": self._case["tolerance"]}
        request["classifier"] = self._case["classifier"]
        parity = self._child.ask(request, self._answer_limit_s + self._slowest_s)
        if not parity["passed"]:
            problem = "outputs differ from the reference: %s" % parity["detail"]
            raise Failure("parity", problem, parity=parity)
        fields["parity"] = parity
        return fields

    def count_right(self, part):
        """Run a part {path, images} of a labelled set; the fields of an ``accuracy`` record."""
        limit_s = self._answer_limit_s + part["images"] * self._slowest_s
        return self._child.ask({"do": "accuracy", "part": part["path"]}, limit_s)

    def close(self):
        """End the process."""
        self._child.close()


def play_markers(job, where, folder, cpus, lock_fd):
    """Play a group of load markers in a process of its own; the fields of a ``marker`` record.

    Raises Failure.
    """
    log = os.path.join(folder, "markers.log")
    child = Child(["mark"], log, cpus, lock_fd, job["root"])
    wanted = job["markers"]
    request = {"do": "play", "durations_s": wanted[where], "rest_s": wanted["rest_s"]}
    limit_s = markers.seconds(wanted, where) + job.get("limits", {}).get("answer_s", ANSWER_LIMIT_S)
    try:
        return child.ask(request, limit_s)
    finally:
        child.close()


class PowerSampler(object):
    """The sampler with the job's sensor open. All methods raise SensorLost."""

    def __init__(self, job, folder, cpus, lock_fd):
        self._limit_s = job.get("limits", {}).get("answer_s", ANSWER_LIMIT_S)
        log = os.path.join(folder, "sampler.log")
        self._child = Child(["sample"], log, cpus, lock_fd, job["root"])
        try:
            self._ask({"do": "open", "sensor": job["sensor"], "root": job["root"]})
        except SensorLost:
            self._child.close()
            raise

    def start(self):
        """Begin sampling; returns after the first sample."""
        self._ask({"do": "start"})

    def stop(self):
        """End sampling; ``(trace, CPU seconds it took)``."""
        answer = self._ask({"do": "stop"})
        return answer["trace"], answer["cpu_s"]

    def close(self):
        """End the process."""
        self._child.close()

    def _ask(self, request):
        try:
            return self._child.ask(request, self._limit_s)
        except Failure as failure:
            raise SensorLost(failure)
