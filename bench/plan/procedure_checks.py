"""What a procedure cannot be: values with which nothing could be measured.

Every message names a field by its key in a plan file and, in brackets, its option of ``bench run``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from bench.records.procedure import Procedure, Scenario

FEWEST_LATENCY_ROUNDS = 3
"""An interval of the median from fewer rounds says nothing."""

FEWEST_ENERGY_ROUNDS = 2
"""One round does not show how much energy varies."""

SHORTEST_WINDOW_S = 0.05
"""Ten readings at the sampler's usual 5 ms."""

SHORTEST_SUSTAIN_S = 10.0

OPTIONS = {
    "seed": "--seed",
    "rate_per_s": "--rate",
    "loads": "--loads",
    "latency_rounds": "--rounds",
    "energy_rounds": "--energy-rounds",
    "energy_window_s": "--window",
    "target_ci": "--target-ci",
    "max_time_s": "--max-time",
    "cooldown_to_c": "--cooldown-to",
    "gpu_together": "--gpu-together",
    "sustain_s": "--sustain",
}
_MAY_BE_ZERO = {
    "warmup_min_s",
    "energy_window_tau",
    "energy_tail_s",
    "settle_s",
    "settle_tau",
    "cooldown_max_s",
    "cooldown_to_c",
    "seed",
}


def named(field: str) -> str:
    """Return a field's key with its option of ``bench run``, if it has one."""
    option = OPTIONS.get(field)
    return field if option is None else f"{field} ({option})"


def problems(procedure: Procedure) -> Iterator[str]:
    """Yield why a procedure cannot work."""
    yield from _range_problems(procedure)
    yield from _count_problems(procedure)
    if procedure.warmup_min_s > procedure.warmup_max_s:
        yield (
            f"warmup_min_s {procedure.warmup_min_s:g} is longer than warmup_max_s "
            f"{procedure.warmup_max_s:g}; raise warmup_max_s"
        )
    if procedure.energy_window_s < SHORTEST_WINDOW_S:
        yield (
            f"{named('energy_window_s')} of {procedure.energy_window_s:g} s holds too few power "
            f"readings to integrate; give {SHORTEST_WINDOW_S:g} s or more"
        )
    if procedure.target_ci > 0.5:
        yield (
            f"{named('target_ci')} of {procedure.target_ci:.0%} is no precision; give a relative "
            "half-width such as 2% (in a file: 0.02)"
        )
    if procedure.sustain_s is not None and procedure.sustain_s < SHORTEST_SUSTAIN_S:
        yield (
            f"{named('sustain_s')} of {procedure.sustain_s:g} s shows no change over time; "
            f"give {SHORTEST_SUSTAIN_S:g} s or more, such as 30m"
        )
    server = procedure.scenario is Scenario.SERVER
    if server and procedure.rate_per_s is None:
        yield f"scenario server needs {named('rate_per_s')}: how many arrivals per second"
    if not server and procedure.rate_per_s is not None:
        yield f"{named('rate_per_s')} is for the scenario server, not for {procedure.scenario}"


def _range_problems(procedure: Procedure) -> Iterator[str]:
    for field, value in procedure:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            least = "0 or more" if field in _MAY_BE_ZERO else "more than 0"
            if not math.isfinite(value) or value < 0 or (not value and field not in _MAY_BE_ZERO):
                yield f"{named(field)} is {value}: it must be {least}"


def _count_problems(procedure: Procedure) -> Iterator[str]:
    if procedure.latency_rounds < FEWEST_LATENCY_ROUNDS:
        yield (
            f"{named('latency_rounds')} is {procedure.latency_rounds}, but an interval of the "
            f"median takes {FEWEST_LATENCY_ROUNDS} rounds or more"
        )
    if procedure.energy_rounds < FEWEST_ENERGY_ROUNDS:
        yield (
            f"{named('energy_rounds')} is {procedure.energy_rounds}, but how much energy varies "
            f"shows from {FEWEST_ENERGY_ROUNDS} rounds on (to measure no energy, leave it out and "
            "give --power none, or set 'power: {sensor: none}' for the device)"
        )
    most = procedure.latency_rounds_max
    if most is not None and most < procedure.latency_rounds:
        yield (
            f"latency_rounds_max {most} is less than {named('latency_rounds')} "
            f"{procedure.latency_rounds}; raise it"
        )
    fewest = min(procedure.latency_rounds, procedure.energy_rounds)
    if procedure.loads > fewest and procedure.sustain_s is None:
        yield (
            f"{named('loads')} is {procedure.loads}, but the rounds are spread over the loads "
            f"and there are only {fewest} of a kind; give more rounds or fewer loads"
        )
