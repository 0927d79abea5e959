"""How often the stated 95 % intervals hold the truth, over simulated trials.

A trial goes through the real decisions: latency rounds of inferences whose times are autocorrelated
(AR(1), ρ = 0.7 within a round) are taken until the agent's stopping rule ends them. Energy rounds
have no such rule, their number is the procedure's: the agent's schedule says how many there are and
on which load. Power differs from round to round, and a slow and coarse sensor shows it. The
analysis then states intervals of the median, of the percentiles and of the energy; beside them
stands the naive interval, 1.96·s/√n over what is not independent. The same with fresh loads of
which each shifts latency and power. Wanted: 93 to 97 %.

Verdicts: two cases in paired rounds whose log-ratio has a standard deviation of 2 %. Equal ones may
be called different in 6 % at margin 0, and a true difference of 3 % must be found in 90 % at the
default margin. Two runs of one case, each shifted as a whole, are compared with the allowance for
that and without::

    python scripts/benchmarks/coverage.py [--trials 2000] [--seed 1]
"""

from __future__ import annotations

import argparse
import random as standard_random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtri

from bench.agent import schedule
from bench.agent.stopping import decide
from bench.analysis import allowances, compare
from bench.analysis.conditions import Subject
from bench.analysis.validity import evaluate
from bench.plan.procedures import PROCEDURES, make_procedure
from bench.records.case import Case
from bench.records.power import PowerSource
from bench.records.procedure import Procedure
from bench.records.recordings import PowerTrace, Recording, Round
from bench.records.status import Reason, Source
from bench.records.trial import Trial
from bench.selftest.latency import naive_interval_s

Array = NDArray[np.float64]
Interval = tuple[float, float]

MEDIAN_S, RHO, SPREAD, ROUND_SPREAD = 0.003, 0.7, 0.05, 0.005
POWER_W, POWER_SPREAD, NOISE_W = 6.0, 0.02, 0.3
LAG_S, STEP_W, PERIOD_S, WINDOW_S = 0.43, 0.04, 0.005, 5.0
LATENCY_S = 0.010
ROUND_OVERHEAD_S = 0.08
PAIR_SPREAD, DRIFT = 0.02, 0.05
LOAD_SHIFT = 0.01
"""What a fresh load shifts, relative standard deviation: about what runs on a PC show."""
SETTLE_S, TAIL_S = 0.5, 0.3

CASE = Case(device="simulated", model="net")
POWER = PowerSource(
    sensor="ina3221",
    source=Source.MEASURED,
    scope="module",
    total=("VDD_IN",),
    channels=("VDD_IN",),
    unit="W",
    lag_s=LAG_S,
    resolution_w=STEP_W,
    gain_error=None,
)


class SimulatedCase:
    """One case on a board: its rounds as they are asked for, its log medians by load."""

    def __init__(self, random: np.random.Generator, procedure: Procedure, load_shift: float):
        self._random = random
        self._inferences = round(procedure.latency_round_s / MEDIAN_S)
        self._load_shift = load_shift
        self._shift = 0.0
        self.rounds: list[Round] = []
        self.log_medians: list[list[float]] = []

    def load(self) -> None:
        """A fresh load of the worker."""
        self._shift = float(self._random.normal(0.0, self._load_shift))
        self.log_medians.append([])

    def take(self, kind: str, index: int) -> None:
        """A round of a kind on the present load."""
        load = len(self.log_medians) - 1
        if kind == "energy":
            self.rounds.append(self._energy_round(index, load))
            return
        durations_s = self._delays_s()
        durations_ns = np.round(durations_s * 1e9).astype(np.int64)
        self.rounds.append(Round(index, "latency", 0, durations_ns, load=load, background=0.0))
        self.log_medians[-1].append(float(np.log(np.median(durations_ns))))

    def _delays_s(self) -> Array:
        noise = self._random.normal(0.0, np.sqrt(1 - RHO**2), self._inferences)
        noise[0] = self._random.normal()  # the stationary law from the start
        noise = lfilter([1.0], [1.0, -RHO], noise)
        level = self._shift + self._random.normal(0.0, ROUND_SPREAD)
        delays_s: Array = MEDIAN_S * np.exp(SPREAD * noise + level)
        return delays_s

    def _energy_round(self, index: int, load: int) -> Round:
        """A round at a power of its own, with noise in the readings as the low-pass leaves it."""
        count = round((SETTLE_S + WINDOW_S + TAIL_S + 0.2) / PERIOD_S)
        decay = float(np.exp(-PERIOD_S / LAG_S))
        noise_w = lfilter([1 - decay], [1.0, -decay], self._random.normal(0.0, NOISE_W, count))
        level = 1 + self._shift + self._random.normal(0.0, POWER_SPREAD)
        shown_w = STEP_W * np.round((POWER_W * level + noise_w) / STEP_W)
        t_ns = np.round(np.arange(count) * PERIOD_S * 1e9).astype(np.int64)
        trace = PowerTrace(("VDD_IN",), "W", t_ns, t_ns + 400_000, shown_w[:, None])
        window_ns = (round(SETTLE_S * 1e9), round((SETTLE_S + WINDOW_S) * 1e9))
        loaded_s = SETTLE_S + WINDOW_S + TAIL_S
        durations_ns = np.full(round(loaded_s / LATENCY_S), round(LATENCY_S * 1e9))
        return Round(index, "energy", 0, durations_ns, window_ns, trace, load=load, background=0.0)


def simulate(
    random: np.random.Generator, procedure: Procedure, load_shift: float
) -> tuple[Trial, list[Round]]:
    """Return one trial as the agent would take and the host evaluate it, and its rounds."""
    fields = procedure.model_dump()
    case = SimulatedCase(random, procedure, load_shift)
    plan = schedule.segment_rounds(fields, True, [CASE.key], standard_random.Random(1))
    index, reason, elapsed_s = procedure.latency_rounds, None, 0.0
    each_s = procedure.latency_round_s + ROUND_OVERHEAD_S
    for segment in plan:
        case.load()
        for _, kind, number, _ in segment:
            case.take(kind, number)
            elapsed_s += each_s if kind == "latency" else 0.0
        while (reason := decide({CASE.key: case.log_medians}, elapsed_s, fields)) is None:
            case.take("latency", index)
            index, elapsed_s = index + 1, elapsed_s + each_s
    recording = Recording(
        case_key=CASE.key,
        solo=None,
        warmup=None,
        failure=None,
        rounds=tuple(case.rounds),
        idle=(),
        health=(),
        finished=True,
        stopping={"reason": reason},
    )
    trial = evaluate(recording, CASE, procedure, POWER, run_id="simulated", trial_id="t001")
    return trial, case.rounds


@dataclass(frozen=True, slots=True)
class Stated:
    """An interval of a trial with the truth it should hold; ``None`` where it is refused."""

    name: str
    true: float
    interval: Interval | None


def intervals(trial: Trial, rounds: list[Round]) -> Iterator[Stated]:
    """Yield all stated intervals of a trial, and the naive ones."""
    latency, energy = trial.latency, trial.energy
    assert latency is not None and energy is not None
    assert latency.p50_low_s is not None and latency.p50_high_s is not None
    assert energy.uncertainty_j is not None
    taken = [item.durations_ns * 1e-9 for item in rounds if item.kind == "latency"]
    yield Stated("median", MEDIAN_S, (latency.p50_low_s, latency.p50_high_s))
    yield Stated("median, naive", MEDIAN_S, naive_interval_s(np.array(taken)))
    within = float(np.hypot(SPREAD, ROUND_SPREAD))
    for percent, found in ((90, latency.p90_ci), (95, latency.p95_ci), (99, latency.p99_ci)):
        true_s = MEDIAN_S * float(np.exp(within * ndtri(percent / 100)))
        yield Stated(f"p{percent}", true_s, None if found is None else (found.low, found.high))
    half_j = energy.uncertainty_j
    yield Stated("energy", POWER_W * LATENCY_S, (energy.gross_j - half_j, energy.gross_j + half_j))
    readings_w = np.concatenate([item.trace.values[:, 0] for item in rounds if item.trace])
    naive_j = 1.96 * readings_w.std(ddof=1) / np.sqrt(readings_w.size) * LATENCY_S
    yield Stated(
        "energy, naive", POWER_W * LATENCY_S, (energy.gross_j - naive_j, energy.gross_j + naive_j)
    )


def coverage(title: str, procedure: Procedure, load_shift: float, trials: int, seed: int) -> None:
    """Print how often the intervals of simulated trials hold the truth."""
    random = np.random.default_rng(seed)
    given: Counter[str] = Counter()
    held: Counter[str] = Counter()
    reached = disagree = latency_rounds = energy_rounds = 0
    for _ in range(trials):
        trial, rounds = simulate(random, procedure, load_shift)
        latency_rounds += sum(item.kind == "latency" for item in rounds)
        energy_rounds += sum(item.kind == "energy" for item in rounds)
        at_target = trial.facts["stopping"]["reason"] == "target"
        reached += at_target
        disagree += at_target == (Reason.CI_WIDE in trial.latency_status.reasons)
        for stated in intervals(trial, rounds):
            given[stated.name] += stated.interval is not None
            if stated.interval is not None:
                low, high = stated.interval
                held[stated.name] += low <= stated.true <= high
    print(
        f"{title}: {latency_rounds / trials:.0f} latency rounds by the stopping rule and "
        f"{energy_rounds / trials:.0f} energy rounds by the procedure (mean of {trials} trials)"
    )
    print(
        f"  the rule says that the target is reached in {reached / trials:.1%}; the report says "
        f"otherwise in {disagree} trials"
    )
    for name, count in given.items():
        share = "" if count == trials else f" (given in {count / trials:.0%})"
        print(f"  {name}: {held[name] / max(count, 1):.1%}{share}", flush=True)


def rounds_taken(log_medians: Array, procedure: Procedure) -> int:
    """Return after how many rounds the stopping rule ends; shape (cases, rounds)."""
    fields = procedure.model_dump()
    cases = log_medians.tolist()
    for count in range(procedure.latency_rounds, log_medians.shape[1]):
        elapsed_s = len(cases) * count * (procedure.latency_round_s + ROUND_OVERHEAD_S)
        so_far = {str(case): [medians[:count]] for case, medians in enumerate(cases)}
        if decide(so_far, elapsed_s, fields) is not None:
            return count
    return log_medians.shape[1]


def verdicts(true_ratio: float, margin: float, trials: int, seed: int) -> float:
    """Return the share of trials in which B is called better or worse than A."""
    random = np.random.default_rng(seed)
    procedure = PROCEDURES["standard"]
    most = procedure.latency_rounds_max or procedure.latency_rounds
    different = 0
    for _ in range(trials):
        drift = np.linspace(0.0, random.normal(0.0, DRIFT), most)
        logs = np.log(MEDIAN_S) + drift + random.normal(0.0, PAIR_SPREAD / np.sqrt(2), (2, most))
        logs[1] += np.log(true_ratio)
        logs = logs[:, : rounds_taken(logs, procedure)]
        one_load = np.zeros(logs.shape[1], dtype=np.int64)
        mean, half_width = compare.paired_log_ratio(logs[0], logs[1], one_load)
        low, high = np.exp(mean - half_width), np.exp(mean + half_width)
        outcome = compare.decide(float(low), float(high), margin)
        different += outcome in (compare.Outcome.BETTER, compare.Outcome.WORSE)
    return different / trials


def across_runs(between_runs: float, trials: int, seed: int) -> float:
    """Return the share of pairs of shifted runs of one case that are called different at margin 0.

    Shifts have the size that the default allowance is for.
    """
    random = np.random.default_rng(seed)
    shift = float(np.log1p(allowances.BETWEEN_RUNS)) / (1.96 * np.sqrt(2))
    different = 0
    for _ in range(trials):
        a, b = (
            Subject(simulate(random, PROCEDURES["quick"], shift)[0].model_copy(update=name), {})
            for name in ({"run_id": "a"}, {"run_id": "b"})
        )
        latency = compare.compare(a, b, 0.0, between_runs).quantities[0]
        different += latency.outcome in (compare.Outcome.BETTER, compare.Outcome.WORSE)
    return different / trials


def main() -> None:
    """Simulate and print a line each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    trials, seed = options.trials, options.seed
    for target, loads in ((0.01, 1), (0.004, 1), (0.01, 5)):
        procedure = make_procedure("standard", {"target_ci": target, "loads": loads})
        shift = LOAD_SHIFT if loads > 1 else 0.0
        fresh = f", {loads} fresh loads that differ by {shift:.0%}" if shift else ""
        coverage(f"AR(1) ρ = {RHO}, until ±{target:.1%}{fresh}", procedure, shift, trials, seed)
    false = verdicts(1.0, 0.0, trials, seed)
    print(f"equal cases called different at margin 0: {false:.1%} of {trials}", flush=True)
    found = verdicts(1.03, 0.01, trials, seed)
    print(f"a difference of 3 % found at margin 1 %: {found:.1%} of {trials}", flush=True)
    for allowance in (allowances.BETWEEN_RUNS, 0.0):
        false = across_runs(allowance, trials, seed)
        print(
            f"equal runs called different at margin 0, ±{allowance:.0%} allowed between runs: "
            f"{false:.1%} of {trials}",
            flush=True,
        )


if __name__ == "__main__":
    main()
