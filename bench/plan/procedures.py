"""How to measure: the presets, changes to them, and how long they will take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from bench.analysis.marker_pattern import markers_s
from bench.config.field_problems import in_words
from bench.errors import ConfigError, suggest
from bench.plan.procedure_checks import OPTIONS, named, problems
from bench.records.case import Case
from bench.records.procedure import Procedure

PROCEDURES: dict[str, Procedure] = {
    # A first look: about a minute for four cases. Says of itself that it is quick.
    "quick": Procedure(
        name="quick",
        warmup_min_s=0.5,
        warmup_max_s=3.0,
        latency_rounds=20,
        latency_round_s=0.2,
        energy_rounds=3,
        energy_window_s=2.0,
        energy_tail_s=0.1,
        idle_s=1.0,
        settle_s=0.1,
        settle_tau=1.0,
        target_ci=0.02,
    ),
    # For decisions: windows long enough that a slow sensor's lag no longer matters.
    "standard": Procedure(
        name="standard",
        warmup_min_s=3.0,
        warmup_max_s=30.0,
        latency_rounds=40,
        latency_rounds_max=200,
        latency_round_s=0.3,
        energy_rounds=8,
        energy_window_s=5.0,
        energy_window_tau=10.0,
        energy_tail_s=0.2,
        idle_s=5.0,
        settle_s=0.5,
        settle_tau=5.0,
        target_ci=0.01,
        max_time_s=900.0,
    ),
    # For a paper: fresh loads, since where a process lies in memory alone moves a latency. Five of
    # them halve the interval of three (Student's factor 2.8 instead of 4.3).
    "publish": Procedure(
        name="publish",
        loads=5,
        warmup_min_s=10.0,
        warmup_max_s=120.0,
        latency_rounds=60,
        latency_rounds_max=600,
        latency_round_s=0.5,
        energy_rounds=10,
        energy_window_s=60.0,
        energy_window_tau=10.0,
        energy_tail_s=0.5,
        idle_s=30.0,
        settle_s=1.0,
        settle_tau=5.0,
        target_ci=0.005,
        max_time_s=3600.0,
    ),
}

MOST_FOR_TARGET = 10
"""How far beyond their least number rounds go on for a precision that was asked for without any
limit, in a preset that has none either."""

QUIETEST_ROUND = 0.001
"""Relative spread of round medians below which no board that we know stays."""

# What a job takes besides its timed blocks, seconds: on the slow side of a PC, on the fast side
# of a small board. The board itself corrects it once it has loaded the models.
_START_S = 1.5
_SOLO_S = 0.5
_ROUND_OVERHEAD_S = 0.08
_WARMUP_FACTOR = 1.3


@dataclass(frozen=True, slots=True)
class ExpectedTime:
    """Seconds of a job with the least rounds, and with as many as are allowed.

    Waiting for a board to cool down comes on top.
    """

    least_s: float
    longest_s: float


def find_procedure(name: str) -> Procedure:
    """Return a preset by name.

    Raises:
        ConfigError: no such preset.
    """
    if name not in PROCEDURES:
        raise ConfigError(f"unknown procedure {name!r}; {suggest(name, PROCEDURES)}")
    return PROCEDURES[name]


def make_procedure(preset: str, changes: Mapping[str, Any]) -> Procedure:
    """Return a preset with some fields changed (keys: fields of :class:`Procedure`).

    A procedure of which more than the seed was changed is named ``<preset> (changed)``.

    Raises:
        ConfigError: no such preset or field, or a value that cannot work.
    """
    base = find_procedure(preset)
    if "name" in changes:
        raise ConfigError("a procedure's name is that of its preset; use 'preset'")
    fields = {**base.model_dump(), **_rounds_limit(base, changes), **changes}
    try:
        made = Procedure(**fields)
    except ValidationError as error:
        raise ConfigError(_field_problem(error)) from None
    for problem in problems(made):
        raise ConfigError(problem)
    if made.model_copy(update={"seed": base.seed}) != base:
        made = made.model_copy(update={"name": f"{preset} (changed)"})
    return made


def doubts(procedure: Procedure, cases: Sequence[Case]) -> list[str]:
    """Return what is allowed but will hardly give what was asked for, a line each.

    ``cases``: those of one device.
    """
    found = []
    if procedure.max_time_s is not None and procedure.sustain_s is None and cases:
        each_s = len(cases) * (procedure.latency_round_s + _ROUND_OVERHEAD_S)
        least_s = procedure.latency_rounds * each_s
        affordable = max(procedure.latency_rounds, int(procedure.max_time_s / each_s))
        # 1.96 for many rounds; the true factor is larger, so what is called impossible is.
        needed = math.ceil((1.96 * QUIETEST_ROUND / procedure.target_ci) ** 2)
        if procedure.max_time_s < least_s:
            found.append(
                f"{named('max_time_s')} of {procedure.max_time_s:g} s has no effect: the "
                f"{procedure.latency_rounds} latency rounds that are wanted in any case take "
                f"{least_s:.0f} s for {len(cases)} cases"
            )
        if needed > affordable:
            found.append(
                f"{named('target_ci')} of {procedure.target_ci:.3%} cannot be reached in "
                f"{named('max_time_s')} of {procedure.max_time_s:g} s: even on the quietest "
                f"board it takes {needed} rounds and there is time for {affordable}; the latency "
                "will be 'ci-wide'"
            )
    return found


def expected_time(
    procedure: Procedure,
    cases: Sequence[Case],
    lag_s: float | None,
    meter_period_s: float | None = None,
) -> ExpectedTime:
    """Return how long a device will measure its cases.

    ``lag_s`` is the time constant of its power sensor, ``None`` when it has neither sensor nor
    meter. ``meter_period_s``: between two readings of its meter, ``None`` without one.
    """
    if not cases:
        return ExpectedTime(0.0, 0.0)
    count = len(cases)
    each_round_s = count * (procedure.latency_round_s + _ROUND_OVERHEAD_S)
    least_s = count * (_START_S + _SOLO_S) + procedure.loads * count * _START_S
    warmup_s = min(procedure.warmup_max_s, _WARMUP_FACTOR * procedure.warmup_min_s)
    least_s += procedure.loads * count * warmup_s
    jobs = len({case.power_mode for case in cases})
    if meter_period_s is not None:
        least_s += jobs * markers_s(meter_period_s)
    if procedure.sustain_s is not None:
        least_s += count * procedure.sustain_s
        return ExpectedTime(least_s, least_s)
    if lag_s is not None:
        period_s = meter_period_s or 0.0
        settle_s = procedure.settle_s + procedure.settle_tau * lag_s + period_s
        window_s = max(procedure.energy_window_s, procedure.energy_window_tau * lag_s)
        tail_s = procedure.energy_tail_s + period_s
        energy_s = settle_s + window_s + tail_s + _ROUND_OVERHEAD_S
        least_s += procedure.energy_rounds * count * energy_s
        least_s += (procedure.loads + 1) * jobs * (settle_s + procedure.idle_s)
    rounds_s = procedure.latency_rounds * each_round_s
    limits_s = [] if procedure.max_time_s is None else [procedure.max_time_s]
    if procedure.latency_rounds_max is not None:
        limits_s.append(procedure.latency_rounds_max * each_round_s)
    # Without any limit exactly the least number of rounds is taken.
    most_s = max(rounds_s, min(limits_s, default=rounds_s))
    return ExpectedTime(least_s + rounds_s, least_s + most_s)


def _rounds_limit(base: Procedure, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what follows for the most latency rounds from what was asked for."""
    rounds = changes.get("latency_rounds", base.latency_rounds)
    if not isinstance(rounds, int):
        return {}
    if base.latency_rounds_max is not None:
        return {"latency_rounds_max": max(base.latency_rounds_max, rounds)}
    if "target_ci" in changes and "max_time_s" not in changes:
        return {"latency_rounds_max": MOST_FOR_TARGET * rounds}
    return {}


def _field_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    field = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        known = [name for name in Procedure.model_fields if name != "name"]
        for name, option in OPTIONS.items():
            if field in (option, option.removeprefix("--").replace("-", "_")):
                return f"unknown key {field!r}; the key of that option is {name!r}"
        return f"unknown key {field!r}; {suggest(field, known)}"
    return f"{named(field)}: {in_words(problem)}"
