"""What a job will do, in which order, and how long that should take.

A *block* is a step that is not interrupted; its name is a tuple: ``("health", where)``,
``("solo", case)``, ``("load", case)``, ``("idle", where, group)``, ``("warmup", case)``,
``("round", type, index, case)``.
"""

import math
import random
import time
from collections import OrderedDict
from typing import List

HEALTH_S = 0.1
WORKER_STARTS = 6.0
"""Starting a worker, importing a runtime and loading a model, in CPU times of starting the agent
alone (about 0.06 s on a PC, ten times that on a small board): a first guess that knows the
board's speed. The solo pass measures it and what remains is corrected."""
WARMUP_FACTOR = 1.3
"""Warm-ups mostly end soon after their minimum."""
ROUND_OVERHEAD_S = 0.06
"""Lead-in, pipes and the journal's fsync, per round."""
SOLO_RUN_S = 0.5
"""Load in the solo pass before memory is called steady."""
LEAD_S = 0.02
"""Untimed inferences before a latency round: caches still hold the model that ran before."""
MEMORY_SHARE = 0.6
"""Share of the available memory that workers loaded at the same time may take."""


def settle_s(job):
    """Seconds until the sensor shows the present load."""
    procedure = job["procedure"]
    lag_s = (job["sensor"] or {}).get("lag_s") or 0.0
    return procedure["settle_s"] + procedure["settle_tau"] * lag_s


def worker_start_s():
    """First guess of what starting a worker takes; to be called soon after this process began."""
    return WORKER_STARTS * time.process_time()


def block_seconds(job, block, start_s, run_s=0.0):
    """Expected duration of a block.

    ``start_s``: of starting a worker and loading its model; ``run_s``: of one inference, which
    is never cut short (0 while it is not known).
    """
    procedure = job["procedure"]
    kind = block[0]
    if kind == "health":
        return HEALTH_S
    if kind == "solo":
        return start_s + min(SOLO_RUN_S, procedure["warmup_min_s"])
    if kind == "load":
        return start_s
    if kind == "idle":
        return settle_s(job) + procedure["idle_s"]
    if kind == "warmup":
        shortest_s = min(procedure["warmup_max_s"], WARMUP_FACTOR * procedure["warmup_min_s"])
        return max(shortest_s, 3 * run_s)
    if block[1] == "latency":
        lead_s, round_s = whole_runs(LEAD_S, run_s), procedure["latency_round_s"]
        return lead_s + whole_runs(round_s, run_s) + ROUND_OVERHEAD_S
    window_s = procedure["energy_window_s"] + procedure["energy_tail_s"]
    return whole_runs(settle_s(job) + window_s, run_s) + ROUND_OVERHEAD_S


def whole_runs(seconds, run_s):
    """What a block of at least ``seconds`` takes when inferences of ``run_s`` are not cut."""
    return math.ceil(seconds / run_s) * run_s if run_s > 0 else seconds


def round_order(procedure, has_sensor, cases):
    """All rounds as blocks, in seeded random order.

    The rounds of one index stand together, so that drift hits all cases alike and cases can be
    paired by index; the order within is drawn anew each time. Energy rounds are spread evenly
    between the latency rounds.
    """
    draw = random.Random(procedure["seed"])
    energy_rounds = procedure["energy_rounds"] if has_sensor else 0
    laps = []
    for kind, count in (("latency", procedure["latency_rounds"]), ("energy", energy_rounds)):
        laps += [((index + 0.5) / count, kind, index) for index in range(count)]
    rounds = []
    for _, kind, index in sorted(laps):
        order = list(cases)
        draw.shuffle(order)
        rounds += [("round", kind, index, case) for case in order]
    return rounds


def group_blocks(job, group, cases):
    """The blocks of a group of cases whose workers are loaded at the same time."""
    has_sensor = job["sensor"] is not None
    idle = [("idle", where, group) for where in ("before", "after") if has_sensor]
    blocks = [("load", case) for case in cases] + idle[:1]
    blocks += [("warmup", case) for case in cases]
    return blocks + round_order(job["procedure"], has_sensor, cases) + idle[1:]


def expected_blocks(job, start_s):
    """``{block: expected seconds}`` of a whole job in order, if all cases fit in memory."""
    cases = [case["key"] for case in job["cases"]]
    blocks = [("health", "before")] + [("solo", case) for case in cases]
    blocks += group_blocks(job, 0, cases) + [("health", "after")]
    return OrderedDict((block, block_seconds(job, block, start_s)) for block in blocks)


def remaining_blocks(job, groups, load_s, run_s):
    """``{block: expected seconds}`` after the solo pass, which measured the seconds of a load
    and of an inference (dicts by case)."""
    left = OrderedDict()
    for number, cases in enumerate(groups):
        for block in group_blocks(job, number, cases):
            key = block[-1]
            left[block] = block_seconds(job, block, load_s.get(key), run_s.get(key, 0.0))
    left[("health", "after")] = HEALTH_S
    return left


def memory_groups(peaks_bytes, available_bytes):
    """Split cases (``[(case, peak bytes)]``) into groups that fit in memory together.

    One group where the available memory is not known; a case that does not fit stands alone.
    """
    groups: List[List[str]] = []
    room = None
    for case, peak in peaks_bytes:
        if room is None or (available_bytes is not None and peak > room):
            groups.append([])
            room = MEMORY_SHARE * available_bytes if available_bytes is not None else 0
        groups[-1].append(case)
        room -= peak
    return groups
