"""Load markers: load and idle in a known pattern, for a meter that shares no clock with the board.

Request (see serve.py): ``play`` {durations_s, rest_s}: load, idle, load, ..., load for so many
seconds each, with ``rest_s`` of idle before and after. One spinning process per CPU makes the load,
so that it shows in the power of any board, whatever its models and runtimes.
"""

import json
import os
import statistics
import time

from bench.agent import serve
from bench.agent.child import dies_with
from bench.agent.clock import now_ns, to_ns
from bench.agent.failure import Failure

LEAD_S = 0.1
"""For the spinning processes to start, before the rest."""


def main(arguments):
    """``mark LOCK_FD``: serve until stdin ends."""
    (lock_fd,) = arguments
    serve.keep_to_itself(lock_fd)
    requests, answers = serve.private_pipes()
    serve.serve(requests, answers, {"play": play}, {"play": "crash"})


def seconds(markers, where):
    """How long a group takes."""
    return LEAD_S + 2 * markers["rest_s"] + sum(markers[where])


def play(request):
    """Play one group; when load really set in and ended, and by how much the CPUs differed."""
    opens_ns = now_ns()
    edges_s = [time.monotonic() + LEAD_S + request["rest_s"]]
    for duration_s in request["durations_s"]:
        edges_s.append(edges_s[-1] + duration_s)
    spinners = [_spin_on(cpu, edges_s) for cpu in sorted(os.sched_getaffinity(0))]
    stamps = [_stamps(pid, reader) for pid, reader in spinners]
    time.sleep(request["rest_s"])
    columns = list(zip(*stamps))
    return {
        "edges_ns": [to_ns(statistics.median(column)) for column in columns],
        "spread_ns": to_ns(max(max(column) - min(column) for column in columns)),
        "window_ns": [opens_ns, now_ns()],
        "cpus": len(spinners),
    }


def spin(edges_s):
    """Keep one CPU busy between the 1st and 2nd moment, the 3rd and 4th, ...; the real ones."""
    clock = time.monotonic
    stamps = []
    for on_s, off_s in zip(edges_s[::2], edges_s[1::2]):
        time.sleep(max(0.0, on_s - clock()))
        now_s = clock()
        stamps.append(now_s)
        while now_s < off_s:
            now_s = clock()
        stamps.append(now_s)
    return stamps


def _spin_on(cpu, edges_s):
    """Start a process that spins on one CPU; ``(pid, reading end of a pipe)``."""
    reader, writer = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid != 0:
        os.close(writer)
        return pid, reader
    status = 1
    try:
        dies_with(parent)()
        os.sched_setaffinity(0, [cpu])
        with os.fdopen(writer, "w") as stream:
            json.dump(spin(edges_s), stream)
        status = 0
    finally:
        os._exit(status)


def _stamps(pid, reader):
    """What a spinning process reports."""
    with os.fdopen(reader) as stream:
        text = stream.read()
    os.waitpid(pid, 0)
    if not text:
        raise Failure("crash", "a process that plays load markers died")
    return json.loads(text)
