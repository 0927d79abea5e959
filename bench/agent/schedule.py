"""What a job does, in which order (how long that takes: expectation.py).

A *block* is a step that is not interrupted; its name is a tuple whose last element is the case,
where there is one: ``("cooldown", "job")``, ``("health", where)``, ``("solo", case)``,
``("marker", where)``, ``("load", segment, case)``, ``("idle", where, segment, group)``, ``("step",
group)``, ``("warmup", segment, case)``, ``("round", type, index, case)``, ``("laps", segment,
group)`` (the latency rounds beyond the least number), ``("cooldown", case)``, ``("sustain", case)``
and ``("accuracy", part, case)``.

A *lap* is one round of every case. A *segment* is what is measured between two fresh loads.
"""

from bench.agent.runtimes import RUNTIMES

LEAD_S = 0.02
"""Untimed inferences before a latency round: caches still hold the model that ran before."""
FEWEST_ARRIVALS = 30
"""Mean number of arrivals in a latency or sustain round of the scenario ``server``, at least."""
STEP_REST_S = 1.0
"""Parked before a load step, at least: the level that it starts from."""
STEP_LAGS = 6.0
STEP_LOAD_S = (1.0, 4.0)
"""Load after a step: so many time constants of the sensor, within these limits."""
STEP_LOAD_UNKNOWN_S = 3.0
"""The same where the time constant is not known: seven of the longest that we know (0.43 s)."""
SUSTAIN_ROUND_S = (1.0, 5.0)
"""A sustained load is recorded in rounds of a twentieth of it, within these limits."""
MEMORY_SHARE = 0.6
"""Share of the available memory that workers loaded at the same time may take."""


def settle_s(job):
    """Seconds until the sensor shows the present load."""
    procedure = job["procedure"]
    lag_s = procedure["settle_tau"] * _lag_s(job)
    return procedure["settle_s"] + lag_s + _meter_period_s(job)


def tail_s(job):
    """Seconds of load after the window of an energy round."""
    return job["procedure"]["energy_tail_s"] + _meter_period_s(job)


def has_power(job):
    """Whether anything reads power: a sensor on the board, or a meter on the host."""
    return job["sensor"] is not None or bool(job.get("markers"))


def energy_window_s(job):
    """Seconds over which the power of an energy round counts."""
    procedure = job["procedure"]
    return max(procedure["energy_window_s"], procedure["energy_window_tau"] * _lag_s(job))


def latency_round_s(procedure):
    """Seconds of a latency round."""
    return _with_arrivals_s(procedure, procedure["latency_round_s"])


def sustain_round_s(procedure):
    """Seconds of one round of a sustained load."""
    least_s, most_s = SUSTAIN_ROUND_S
    return _with_arrivals_s(procedure, min(most_s, max(least_s, procedure["sustain_s"] / 20.0)))


def step_seconds(job):
    """``(parked, load)``: seconds of a load step before and after it sets in."""
    rest_s = max(settle_s(job), STEP_REST_S)
    lag_s = job["sensor"]["lag_s"]
    if lag_s is None:
        return rest_s, STEP_LOAD_UNKNOWN_S
    least_s, most_s = STEP_LOAD_S
    return rest_s, min(most_s, max(least_s, STEP_LAGS * lag_s))


def arrivals(procedure, kind, index):
    """What a worker draws its arrivals from, ``None`` unless they come by themselves.

    Rounds of the same type and index have the same arrivals in all cases, so that they pair.
    """
    if procedure["scenario"] != "server":
        return None
    seed = "%s %s %d" % (procedure["seed"], kind, index)
    return {"rate_per_s": procedure["rate_per_s"], "seed": seed}


def lap(draw, kind, index, cases):
    """One round of every case in random order (``draw``: a random.Random)."""
    order = list(cases)
    draw.shuffle(order)
    return [("round", kind, index, case) for case in order]


def segment_rounds(procedure, is_powered, cases, draw):
    """The least rounds that are taken: for each segment, blocks in random order.

    The rounds of one index stand together, so that drift hits all cases alike and cases can be
    paired by index; the order within is drawn anew each time. Both kinds of rounds are spread
    evenly over the whole, and so over the segments.
    """
    loads = procedure["loads"]
    energy_rounds = procedure["energy_rounds"] if is_powered else 0
    laps = []
    for kind, count in (("latency", procedure["latency_rounds"]), ("energy", energy_rounds)):
        laps += [((index + 0.5) / count, kind, index) for index in range(count)]
    segments = [[] for _ in range(loads)]
    for place, kind, index in sorted(laps):
        segments[int(place * loads)] += lap(draw, kind, index, cases)
    return segments


def group_blocks(job, group, cases, draw):
    """The blocks of a group of cases whose workers are loaded at the same time."""
    procedure = job["procedure"]
    is_powered, has_sensor = has_power(job), job["sensor"] is not None
    if procedure["sustain_s"] is None:
        segments = segment_rounds(procedure, is_powered, cases, draw)
        for number, rounds in enumerate(segments):
            rounds.append(("laps", number, group))
    else:
        segments = [_sustained(procedure, cases)]
    blocks = []
    for number, rounds in enumerate(segments):
        blocks += [("load", number, case) for case in cases]
        if is_powered:
            blocks.append(("idle", "before", number, group))
        if number == 0 and has_sensor and job["sensor"]["unit"] == "W":
            # A counter of energy has no low-pass that a step could show.
            blocks.append(("step", group))
        blocks += [("warmup", number, case) for case in cases] + rounds
    return blocks + ([("idle", "after", len(segments) - 1, group)] if is_powered else [])


def alone(job):
    """Keys of cases that are not loaded beside others: those on a GPU.

    A parked context there costs power, and a memory that is shared cannot be told apart. It is for
    the procedure to say that rounds shall pair all the same.
    """
    if job["procedure"]["gpu_together"]:
        return set()
    on_gpu = {name for name, each in RUNTIMES.items() if getattr(each, "ON_GPU", False)}
    return {case["key"] for case in job["cases"] if case["runtime"] in on_gpu}


def loaded_groups(peaks_bytes, available_bytes, alone=()):
    """Split cases (``[(case, peak bytes)]``) into groups that are loaded at the same time.

    A group fits in memory together; one group where the available memory is not known. A case that
    does not fit stands alone, and so do those in ``alone``.
    """
    groups = [[case] for case, _ in peaks_bytes if case in alone]
    room = None
    for case, peak in peaks_bytes:
        if case in alone:
            continue
        if room is None or (available_bytes is not None and peak > room):
            groups.append([])
            room = MEMORY_SHARE * available_bytes if available_bytes is not None else 0
        groups[-1].append(case)
        room -= peak
    return groups


def _sustained(procedure, cases):
    """One case after the other, each from the same temperature where one is wanted."""
    blocks = []
    for case in cases:
        if procedure["cooldown_to_c"] is not None:
            blocks.append(("cooldown", case))
        blocks.append(("sustain", case))
    return blocks


def _with_arrivals_s(procedure, seconds):
    if procedure["scenario"] != "server":
        return seconds
    return max(seconds, FEWEST_ARRIVALS / float(procedure["rate_per_s"]))


def _meter_period_s(job):
    """Time between two readings of the meter on the host, 0 where there is none: a reading of it
    may be a mean over so long."""
    return (job.get("markers") or {}).get("meter_period_s", 0.0)


def _lag_s(job):
    """Time constant of the sensor, 0 where there is none or it is not known."""
    return (job["sensor"] or {}).get("lag_s") or 0.0
