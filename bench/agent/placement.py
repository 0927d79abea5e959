"""Which CPUs the processes of a measurement run on."""

import os


def place(cases):
    """``{"cpus", "sampler", "workers": {case key: [...]}}`` as lists of CPU numbers.

    The sampler (and the conductor, which sleeps) gets the last CPU where there are several.
    Workers keep off it when at least two others remain and their threads fit on those; on a
    smaller board pinning would tie a worker to one CPU that others may be using, so it may run
    anywhere.
    """
    cpus = sorted(os.sched_getaffinity(0))
    others = cpus[:-1]
    workers = {}
    for case in cases:
        fits = max(2, case["options"].get("threads", 1)) <= len(others)
        workers[case["key"]] = others if fits else cpus
    return {"cpus": cpus, "sampler": cpus[-1:], "workers": workers}
