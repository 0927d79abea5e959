"""Under which conditions a trial was measured, and which trials of two runs belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.records.facts import MomentFacts, TrialFacts, board_kind
from bench.records.manifest import Manifest
from bench.records.trial import Trial


@dataclass(frozen=True, slots=True)
class Subject:
    """A trial with its run: one side of a comparison.

    ``conditions``: what a fair comparison has equal on both sides, by name. ``kind``: what other
    boards of its kind have too, empty where that is not known. ``spread``: what boards of its pool
    differ by, by quantity (:mod:`bench.analysis.board_spread`); empty where no pool has shown it.
    """

    trial: Trial
    conditions: dict[str, str]
    kind: str = ""
    spread: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Run and trial, as ``bench compare`` takes it."""
        return f"{self.trial.run_id}#{self.trial.trial_id}"


@dataclass(frozen=True, slots=True)
class Difference:
    """A condition that is not the same on both sides."""

    name: str
    a: str
    b: str


def subject(trial: Trial, manifest: Manifest) -> Subject:
    """Return a trial with the conditions it was measured under."""
    case, procedure = trial.case, manifest.procedure
    probe = manifest.probes.get(case.device, {})
    system = probe.get("os", {})
    state = _begin(trial.facts)
    calibration = None if trial.energy is None else trial.energy.calibration
    found = {
        "device": case.device,
        "board": probe.get("board", {}).get("model") or probe.get("cpu", {}).get("model"),
        "system": system.get("l4t") or system.get("kernel"),
        "power mode": case.power_mode or state.get("power_mode"),
        "clocks": state.get("clocks") or "as found",
        "governor": ", ".join(sorted(set(state.get("governor", {}).values()))),
        "power sensor": None if calibration is None else calibration.words,
        "model": case.model,
        "scheme": case.scheme,
        "weights": case.weights,
        "runtime": case.runtime,
        "runtime version": trial.facts.get("runtime_version"),
        "precision": case.precision,
        "CUDA graph": "yes" if trial.facts.get("cuda_graph") else None,
        "batch": case.batch,
        "threads": case.threads,
        "procedure": procedure.name,
        "scenario": procedure.scenario.value,
        "rate": procedure.rate_per_s,
        "sustained": procedure.sustain_s,
        "graph": None if trial.artifact is None else trial.artifact.graph_sha256[:12],
    }
    conditions = {name: str(value) for name, value in found.items() if value}
    return Subject(trial, conditions, board_kind(probe))


def differences(a: Subject, b: Subject) -> tuple[Difference, ...]:
    """Return the conditions that differ; one that only one side has (or tells) differs too."""
    names = dict.fromkeys((*a.conditions, *b.conditions))
    return tuple(
        Difference(name, a.conditions.get(name, "—"), b.conditions.get(name, "—"))
        for name in names
        if a.conditions.get(name) != b.conditions.get(name)
    )


_CASE = ("model", "scheme", "weights", "runtime", "precision", "batch", "threads")
_LEVELS = (
    (*_CASE, "device", "asked"),
    (*_CASE, "asked"),
    (*_CASE, "device"),
    _CASE,
    tuple(name for name in _CASE if name != "threads"),
)
"""What must be equal for two trials to be the same case, strictest first: all, then on another
device, in another power mode, both, and with another number of threads."""


def match(
    a: Sequence[Subject], b: Sequence[Subject]
) -> tuple[list[tuple[Subject, Subject]], list[Subject], list[Subject]]:
    """Return ``(pairs, left over in a, left over in b)``.

    A laxer level pairs only what is left over and has exactly one partner.
    """
    pairs: list[tuple[Subject, Subject]] = []
    left_a, left_b = list(a), list(b)
    for names in _LEVELS:
        for one in list(left_a):
            same = [two for two in left_b if _key(two, names) == _key(one, names)]
            rivals = [two for two in left_a if _key(two, names) == _key(one, names)]
            if len(same) == 1 and len(rivals) == 1:
                pairs.append((one, same[0]))
                left_a.remove(one)
                left_b.remove(same[0])
    order = {id(item): position for position, item in enumerate(a)}
    return sorted(pairs, key=lambda pair: order[id(pair[0])]), left_a, left_b


def _key(item: Subject, names: Sequence[str]) -> tuple[Any, ...]:
    case = item.trial.case
    asked = {"asked": case.power_mode}
    return tuple(asked[name] if name in asked else getattr(case, name) for name in names)


def _begin(facts: TrialFacts) -> MomentFacts:
    """Return the board's settings when measuring began, as far as they are known."""
    states, health = facts.get("state", {}), facts.get("health", {})
    return states.get("set") or states.get("before") or health.get("before") or {}
