"""How long the blocks of a job should take, so that nobody has to ask the board meanwhile."""

import math
import random
import time
from collections import OrderedDict

from bench.agent import cooldown, markers, schedule, stopping
from bench.agent.runtimes import RUNTIMES

HEALTH_S = 0.1
WORKER_STARTS = 6.0
"""Starting a worker, importing a runtime and loading a model, in CPU times of starting the agent
alone (about 0.06 s on a PC, ten times that on a small board): a first guess that knows the
board's speed. The solo pass measures it and what remains is corrected."""
WARMUP_FACTOR = 1.3
"""Warm-ups mostly end soon after their minimum."""
ROUND_OVERHEAD_S = 0.06
"""Lead-in, pipes, health and the journal's fsync, per round."""
SOLO_RUN_S = 0.5
"""Load in the solo pass before memory is called steady."""
CHECKPOINT_S = 3.0
"""How long a checkpoint lasts: enough for a host to ask once."""
BETWEEN_CHECKPOINTS_S = 5.0
"""At least so long until the next one: every question starts a program on the board."""


def worker_start_s():
    """First guess of what starting a worker takes; to be called soon after this process began."""
    return WORKER_STARTS * time.process_time()


def expected_blocks(job, start_s):
    """``{block: expected seconds}`` of a whole job in order, if all cases fit in memory.

    ``start_s``: of starting a worker and loading its model.
    """
    cases = [case["key"] for case in job["cases"]]
    blocks = OrderedDict()
    if job["procedure"]["cooldown_to_c"] is not None:
        blocks[("cooldown", "job")] = cooldown.expected_s(job["root"], job["procedure"])
    blocks[("health", "before")] = HEALTH_S
    solo_s = start_s + min(SOLO_RUN_S, job["procedure"]["warmup_min_s"])
    for case in job["cases"]:
        blocks[("solo", case["key"])] = solo_s + build_s(case)
    groups = schedule.loaded_groups([(key, 0) for key in cases], None, schedule.alone(job))
    blocks.update(remaining_blocks(job, groups, dict.fromkeys(cases, start_s), {}))
    return blocks


def build_s(case):
    """First guess of the seconds that it takes to build what the runtime of a case runs."""
    runtime = RUNTIMES.get(case["runtime"])
    if not hasattr(runtime, "build"):
        return 0.0
    return runtime.build_s(case["graph"], case["options"])


def remaining_blocks(job, groups, load_s, run_s):
    """``{block: expected seconds}`` after the solo pass, which measured the seconds of a load and
    of an inference (dicts by case; ``run_s`` is empty before)."""
    left = OrderedDict()
    played = job.get("markers") if groups else None
    if played:
        left[("marker", "before")] = markers.seconds(played, "before")
    for number, cases in enumerate(groups):
        # The order is drawn again when it is carried out; here only the names count.
        for block in schedule.group_blocks(job, number, cases, random.Random(0)):
            left[block] = _block_seconds(job, block, cases, load_s, run_s)
    if played:
        left[("marker", "after")] = markers.seconds(played, "after")
    left[("health", "after")] = HEALTH_S
    keys = [case for cases in groups for case in cases]
    for case in job["cases"]:
        if case["key"] in keys:
            for number, part in enumerate(case.get("accuracy") or []):
                seconds = part["images"] * run_s.get(case["key"], 0.0)
                first_s = load_s[case["key"]] if number == 0 else 0.0
                left[("accuracy", number, case["key"])] = first_s + seconds
    return left


def total_s(blocks, procedure):
    """Seconds of ``{block: seconds}`` with the checkpoints in between."""
    work_s = sum(blocks.values())
    if procedure["sustain_s"] is not None:
        return work_s
    return work_s + CHECKPOINT_S * (work_s // procedure["checkpoint_every_s"])


def until_checkpoint_s(blocks, procedure):
    """Seconds from now until the next checkpoint, ``None`` when the job will end before.

    ``blocks``: what is left, with the expected seconds. As long as latency rounds may go on beyond
    what is expected, the expected end is a checkpoint too: a job that then still runs tells how
    much longer. There is none in a sustained load, which must not be interrupted.
    """
    if procedure["sustain_s"] is not None:
        return None
    remaining_s, every_s = total_s(blocks, procedure), procedure["checkpoint_every_s"]
    if remaining_s > every_s:
        return every_s
    may_go_on = stopping.most_laps(procedure) > procedure["latency_rounds"]
    if may_go_on and any(block[0] == "laps" for block in blocks):
        return max(remaining_s, BETWEEN_CHECKPOINTS_S)
    return None


def whole_runs_s(seconds, run_s):
    """What a block of at least ``seconds`` takes when inferences of ``run_s`` are not cut."""
    return math.ceil(seconds / run_s) * run_s if run_s > 0 else seconds


def lap_s(procedure, cases, run_s):
    """Seconds of one latency round of each of ``cases``; ``run_s``: of an inference, by case."""
    round_s = schedule.latency_round_s(procedure)
    return sum(
        whole_runs_s(schedule.LEAD_S, run_s.get(case, 0.0))
        + whole_runs_s(round_s, run_s.get(case, 0.0))
        + ROUND_OVERHEAD_S
        for case in cases
    )


def _block_seconds(job, block, cases, load_s, run_s):
    procedure = job["procedure"]
    kind, case = block[0], block[-1]
    one_run_s = run_s.get(case, 0.0)
    if kind == "load":
        return load_s[case]
    if kind == "idle":
        return schedule.settle_s(job) + procedure["idle_s"]
    if kind == "step":
        return sum(schedule.step_seconds(job))
    if kind == "warmup":
        shortest_s = min(procedure["warmup_max_s"], WARMUP_FACTOR * procedure["warmup_min_s"])
        return max(shortest_s, 3 * one_run_s)
    if kind == "laps":
        return 0.0  # rounds beyond the least number are announced once they are taken
    if kind == "cooldown":
        return procedure["cooldown_max_s"] / 2
    if kind == "sustain":
        return procedure["sustain_s"]
    if block[1] == "latency":
        return lap_s(procedure, [case], run_s)
    loaded_s = schedule.settle_s(job) + schedule.energy_window_s(job) + schedule.tail_s(job)
    return whole_runs_s(loaded_s, one_run_s) + ROUND_OVERHEAD_S
