"""The timed blocks: warm-up, rounds, idle line, load step.

Nothing here touches the disk or the clock of another process: a block asks the worker and the
sampler, which are processes of their own, and returns the fields of a journal record.
"""

import statistics
import time

from bench.agent import cpu, schedule
from bench.agent.clock import now_ns
from bench.agent.failure import Failure

WARMUP_WINDOWS = 3
WARMUP_AGREEMENT = 0.05
SHORTEST_WINDOW_S = 0.05


def warm_up(worker, procedure):
    """Run until steady, give up after ``warmup_max_s``; with what memory the fresh load takes.

    Raises:
        Failure: arrivals would come faster than the worker serves them, so that the queue, and
            the latency with it, would only grow.
    """
    began = time.monotonic()
    memory = worker.settle(procedure)
    shortest_s, longest_s = procedure["warmup_min_s"], procedure["warmup_max_s"]
    window_s = max(SHORTEST_WINDOW_S, shortest_s / (2 * WARMUP_WINDOWS))
    medians, runs = [], 0
    while True:
        durations = worker.run(window_s, 0.0)["durations_ns"]
        runs += len(durations)
        medians.append(statistics.median(durations))
        took_s = time.monotonic() - began
        steady = took_s >= shortest_s and is_steady(medians)
        if steady or took_s >= longest_s:
            break
    if procedure["scenario"] == "server" and procedure["rate_per_s"] * medians[-1] >= 1e9:
        text = "cannot keep up with %g arrivals per second: at most %.4g runs per second"
        raise Failure("timeout", text % (procedure["rate_per_s"], 1e9 / medians[-1]))
    return {
        "steady": steady,
        "took_s": took_s,
        "runs": runs,
        "steady_rise_bytes": memory["steady_rise_bytes"],
        "peak_bytes": memory["peak_bytes"],
    }


def is_steady(medians):
    """Whether windows with these medians show no warming up any more.

    The last three agree within 5 %; or, on a board where others disturb them by more than that,
    the last six have no trend: neither half of them lies wholly above the other. (Noise is not
    the warm-up's to judge: it shows in the interval and in the rounds' background.)
    """
    last = medians[-WARMUP_WINDOWS:]
    if len(last) < WARMUP_WINDOWS:
        return False
    if max(last) <= min(last) * (1 + WARMUP_AGREEMENT):
        return True
    earlier = medians[-2 * WARMUP_WINDOWS : -WARMUP_WINDOWS]
    if len(earlier) < WARMUP_WINDOWS:
        return False
    return min(earlier) <= max(last) and min(last) <= max(earlier)


def latency_round(worker, procedure, index):
    """A short block with no sampler at work."""
    arrivals = schedule.arrivals(procedure, "latency", index)
    block = worker.run(schedule.latency_round_s(procedure), schedule.LEAD_S, arrivals)
    return _round_fields(block, None, None, block["cpu_s"])


def energy_round(worker, sampler, job, index):
    """Settle, window and tail as one block of load under the sampler.

    Without one (``None``) a meter on the host reads the power, and there is no trace.
    """
    procedure = job["procedure"]
    settle_s, window_s = schedule.settle_s(job), schedule.energy_window_s(job)
    seconds = settle_s + window_s + schedule.tail_s(job)
    arrivals = schedule.arrivals(procedure, "energy", index)
    block, trace, sampler_cpu_s = _sampled_run(worker, sampler, seconds, arrivals)
    opens_ns = block["start_ns"] + int(settle_s * 1e9)
    window_ns = [opens_ns, opens_ns + int(window_s * 1e9)]
    return _round_fields(block, window_ns, trace, block["cpu_s"] + sampler_cpu_s)


def sustain_round(worker, sampler, procedure, index):
    """A stretch of a sustained load; without a sampler (``None``) it has no trace."""
    seconds = schedule.sustain_round_s(procedure)
    arrivals = schedule.arrivals(procedure, "sustain", index)
    if sampler is None:
        block = worker.run(seconds, 0.0, arrivals)
        return _round_fields(block, None, None, block["cpu_s"])
    block, trace, sampler_cpu_s = _sampled_run(worker, sampler, seconds, arrivals)
    window_ns = [block["start_ns"], _end_ns(block, seconds)]
    return _round_fields(block, window_ns, trace, block["cpu_s"] + sampler_cpu_s)


def load_step(worker, sampler, job):
    """Power while a parked board takes up load: shows the low-pass of the sensor."""
    rest_s, load_s = schedule.step_seconds(job)
    sampler.start()
    opens_ns = now_ns()
    try:
        time.sleep(rest_s)
        block = worker.run(load_s, 0.0)
    finally:
        trace, _ = sampler.stop()
    window_ns = [opens_ns, _end_ns(block, load_s)]
    return {"onset_ns": block["start_ns"], "window_ns": window_ns, "trace": trace}


def idle_line(sampler, job):
    """Power while every worker is parked (blocked in a read); no trace without a sampler."""
    time.sleep(schedule.settle_s(job))
    if sampler is not None:
        sampler.start()
    opens_ns = now_ns()
    time.sleep(job["procedure"]["idle_s"])
    closes_ns = now_ns()
    trace = None if sampler is None else sampler.stop()[0]
    return {"window_ns": [opens_ns, closes_ns], "trace": trace}


def _sampled_run(worker, sampler, seconds, arrivals):
    """``(block, trace, CPU seconds of the sampler)`` of a run that the trace encloses."""
    if sampler is None:
        return worker.run(seconds, 0.0, arrivals), None, 0.0
    sampler.start()
    try:
        block = worker.run(seconds, 0.0, arrivals)
    finally:
        trace, sampler_cpu_s = sampler.stop()
    return block, trace, sampler_cpu_s


def _end_ns(block, seconds):
    """When a block of at least ``seconds`` ended; with arrivals it may end without a load."""
    if block["arrivals_ns"] is None:
        return block["start_ns"] + sum(block["durations_ns"])
    last_ns = block["arrivals_ns"][-1] + block["durations_ns"][-1]
    return max(last_ns, block["start_ns"] + int(seconds * 1e9))


def _round_fields(block, window_ns, trace, ours_s):
    before, after = block["times"]
    return {
        "start_ns": block["start_ns"],
        "arrivals_ns": block["arrivals_ns"],
        "durations_ns": block["durations_ns"],
        "copy_ns": block["copy_ns"],
        "compute_ns": block["compute_ns"],
        "window_ns": window_ns,
        "trace": trace,
        "background": cpu.background_share(before, after, ours_s),
    }
