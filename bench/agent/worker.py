"""One case in its own process: import the runtime, load, infer, report raw times.

Requests (see serve.py): ``import`` {runtime, reference, root, packages},
``build`` {graph, options} (only where the runtime has something to build),
``load`` {graph, options},
``run`` {seconds, lead_s, arrivals}, ``memory`` {}, ``parity`` {tolerance, classifier},
``accuracy`` {part}. Loading the inputs is part of ``import``, so that memory rises hold only what
the model costs.
"""

import faulthandler
import functools
import json
import os
import resource
import sys
import time

from bench.agent import accuracy, cpu, parity, serve, timing
from bench.agent.clock import to_ns
from bench.agent.failure import Failure
from bench.agent.runtimes import RUNTIMES

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def main(arguments):
    """``work NAME LOCK_FD``: serve until stdin ends. NAME is for people who look at ps."""
    _, lock_fd = arguments
    serve.keep_to_itself(lock_fd)
    serve.be_first_to_go()
    faulthandler.enable()  # an engine that crashes leaves in the log where that was
    requests, answers = serve.private_pipes()
    worker = Worker()
    handlers = {
        "import": worker.import_runtime,
        "build": worker.build,
        "load": worker.load,
        "run": worker.run,
        "memory": worker.memory,
        "parity": worker.parity,
        "accuracy": worker.accuracy,
    }
    reasons = dict.fromkeys(("import", "build", "load"), "load")
    reasons.update(dict.fromkeys(("run", "memory", "parity", "accuracy"), "crash"))
    serve.serve(requests, answers, handlers, reasons)


class Worker(object):
    """The state that a worker gathers as the requests come, in their order."""

    def import_runtime(self, request):
        """Import the engine and the reference inputs; report the memory before any model."""
        if request["runtime"] not in RUNTIMES:
            known = ", ".join(sorted(RUNTIMES))
            raise Failure("load", "unknown runtime %r (has: %s)" % (request["runtime"], known))
        self._runtime = RUNTIMES[request["runtime"]]
        self._root = request["root"]
        # After the agent's own zip file and before what the board has installed.
        sys.path[1:1] = request["packages"]
        self._reference = require(request["reference"])
        began = time.monotonic()
        try:
            self._engine = self._runtime.import_engine()
        except ImportError as error:
            raise Failure("load", "cannot import %s: %s" % (request["runtime"], error))
        import_s = time.monotonic() - began
        self._inputs, self._outputs = read_names(self._reference)
        self._feed = dict(zip(self._inputs, read_arrays(self._reference, "in", self._inputs)))
        self._imported_bytes = resident_bytes()
        return {"import_s": import_s, "imported_bytes": self._imported_bytes}

    def build(self, request):
        """Have the runtime build what it runs in place of the graph, unless it has that."""
        graph = require(request["graph"])
        return self._runtime.build(self._engine, graph, request["options"])

    def load(self, request):
        """Load the model and run it once."""
        graph = require(request["graph"])
        began = time.monotonic()
        self._run, facts = self._runtime.open_model(self._engine, graph, request["options"])
        loaded = time.monotonic()
        load_rise = resident_bytes() - self._imported_bytes
        began_first = time.monotonic()
        self._run(self._outputs, self._feed)
        first_s = time.monotonic() - began_first
        after_first = getattr(self._run, "after_first", None)
        if after_first is not None:
            facts.update(after_first())
        answer = {"load_s": loaded - began, "first_s": first_s, "load_rise_bytes": load_rise}
        answer.update(facts)
        return answer

    def run(self, request):
        """Infer back to back, or at the Poisson arrivals of ``arrivals`` {rate_per_s, seed}.

        Raw times, our CPU time and the board's before and after; where the runtime tells copies
        and computation apart, those of the same inferences. With arrivals a duration counts from
        the arrival to the end of the inference.
        """
        infer = functools.partial(self._run, self._outputs, self._feed)
        seconds, lead_s, arrivals = request["seconds"], request["lead_s"], request["arrivals"]
        offsets_s = None
        if arrivals is not None:
            offsets_s = timing.poisson_offsets_s(arrivals["rate_per_s"], seconds, arrivals["seed"])
        take_split = getattr(self._run, "take_split", None)
        if take_split is not None:
            take_split()  # of inferences before this block
        times_before, ours_before = cpu.read_times(self._root), time.process_time()
        if offsets_s is None:
            stamps = timing.back_to_back(infer, seconds, lead_s)
            start_s, starts_s, ends_s = stamps[0], stamps, stamps[1:]
        else:
            start_s, ends_s = timing.at_arrivals(infer, offsets_s, seconds, lead_s)
            starts_s = [start_s + offset_s for offset_s in offsets_s]
        ours_after, times_after = time.process_time(), cpu.read_times(self._root)
        starts_ns = [to_ns(stamp) for stamp in starts_s]
        split = take_split() if take_split is not None else {}
        return {
            "start_ns": to_ns(start_s),
            "arrivals_ns": None if arrivals is None else starts_ns,
            "durations_ns": [to_ns(end) - began for began, end in zip(starts_ns, ends_s)],
            "copy_ns": last(split.get("copy_ns"), len(ends_s)),
            "compute_ns": last(split.get("compute_ns"), len(ends_s)),
            "cpu_s": ours_after - ours_before,
            "times": [times_before, times_after],
        }

    def memory(self, request):
        """Resident memory now, as a rise, and the highest so far."""
        return {
            "steady_rise_bytes": resident_bytes() - self._imported_bytes,
            "peak_bytes": peak_bytes(),
        }

    def parity(self, request):
        """Compare one more inference with the reference outputs."""
        outputs = self._run(self._outputs, self._feed)
        expected = read_arrays(self._reference, "out", self._outputs)
        return parity.compare(
            self._outputs, outputs, expected, request["tolerance"], request["classifier"]
        )

    def accuracy(self, request):
        """Count what the model gets right of a part of a labelled set."""
        part = require(request["part"])
        if len(self._inputs) != 1:
            text = "the model has %d inputs; accuracy is for one of images" % len(self._inputs)
            raise Failure("unsupported", text)
        (name,) = self._inputs
        first_output = self._outputs[:1]

        def infer(inputs):
            return self._run(first_output, {name: inputs})[0]

        return accuracy.count(part, infer, len(self._feed[name]))


def read_names(reference):
    """``(input names, output names)`` of a reference file (see recordings.Artifact)."""
    import numpy

    with numpy.load(reference, allow_pickle=False) as archive:
        names = json.loads(str(archive["names"]))
    return names["inputs"], names["outputs"]


def read_arrays(reference, prefix, names):
    """The arrays ``in0``, ``in1``, ... or ``out0``, ... of a reference file, one per name."""
    import numpy

    with numpy.load(reference, allow_pickle=False) as archive:
        return [archive["%s%d" % (prefix, i)] for i in range(len(names))]


def last(values, count):
    """The last ``count`` of a list (those before were untimed); ``None`` of ``None``."""
    return None if values is None else values[len(values) - count :]


def require(path):
    """``path`` itself; raises Failure when no such file is on the board."""
    if not os.path.isfile(path):
        raise Failure("load", "file %s is not on the board" % path)
    return path


def resident_bytes():
    """Resident memory of this process now."""
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * PAGE_BYTES


def peak_bytes():
    """Highest resident memory of this process so far (VmHWM)."""
    with open("/proc/self/status") as stream:
        for line in stream:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
