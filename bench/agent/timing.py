"""The timed loops of a worker: back to back, or at arrivals that come by themselves."""

import gc
import random
import time

SPIN_S = 5e-4
"""Waiting for an arrival ends in a busy loop of this length: a sleep ends late by a fraction of
it, which would count as latency."""


def back_to_back(infer, seconds, lead_s):
    """Run for at least ``seconds``; stamps (monotonic seconds), one more than runs.

    One clock call per inference: a stamp is the end of one inference and the start of the next.
    The runs of the first ``lead_s`` seconds are not stamped.
    """
    clock = time.monotonic
    stamps = []
    add = stamps.append
    gc.collect()
    gc.disable()
    try:
        now = _lead(infer, lead_s)
        end = now + seconds
        add(now)
        while now < end:
            infer()
            now = clock()
            add(now)
    finally:
        gc.enable()
    return stamps


def at_arrivals(infer, offsets_s, seconds, lead_s):
    """One run per arrival, first come, first served; ``(start, ends)`` in monotonic seconds.

    Arrivals come at ``start`` plus each of ``offsets_s`` (rising), whether the last run has ended
    or not. Returns when all are served and ``seconds`` have passed since ``start``.
    """
    clock, sleep = time.monotonic, time.sleep
    ends = []
    add = ends.append
    gc.collect()
    gc.disable()
    try:
        start = _lead(infer, lead_s)
        for offset_s in offsets_s:
            arrival = start + offset_s
            early_s = arrival - clock() - SPIN_S
            if early_s > 0:
                sleep(early_s)
            while clock() < arrival:
                pass
            infer()
            add(clock())
        sleep(max(0.0, start + seconds - clock()))
    finally:
        gc.enable()
    return start, ends


def poisson_offsets_s(rate_per_s, seconds, seed):
    """Times of arrivals at a mean rate within ``seconds``, from a seed (str); at least one."""
    draw = random.Random(seed)
    offsets = [draw.expovariate(rate_per_s)]
    while offsets[-1] < seconds:
        offsets.append(offsets[-1] + draw.expovariate(rate_per_s))
    return offsets[:-1] or [0.0]


def _lead(infer, lead_s):
    """Run untimed for at least ``lead_s``; the time after that."""
    now = time.monotonic()
    end = now + lead_s
    while now < end:
        infer()
        now = time.monotonic()
    return now
