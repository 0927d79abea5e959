"""How often the stated 95 % intervals hold the truth, over simulated trials.

Latency: rounds of inferences whose times are autocorrelated (AR(1), ρ = 0.7 within a round) are
taken until the agent's stopping rule ends them; then the analysis states the interval of the
median. Energy: the analysis states the energy of rounds whose power differs from round to round,
as a slow and coarse sensor shows it. Beside both stands the naive interval, 1.96·s/√n over what
is not independent. Wanted: 93 to 97 %.

Verdicts: two cases in paired rounds whose log-ratio has a standard deviation of 2 %. Equal ones may
be called different in 6 % at margin 0, and a true difference of 3 % must be found in 90 % at the
default margin::

    python scripts/benchmarks/coverage.py [--trials 2000] [--seed 1]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from bench.agent.stopping import decide
from bench.analysis import compare
from bench.analysis.stats import median_interval_s
from bench.procedures import PROCEDURES, make_procedure
from bench.recordings import PowerTrace, Round
from bench.records import PowerSource, Procedure
from bench.selftest.energy import make_recording, measure
from bench.selftest.latency import naive_interval_s, rounds_of
from bench.status import Source

Array = NDArray[np.float64]
Interval = tuple[float, float]

MEDIAN_S, RHO, SPREAD, ROUND_SPREAD = 0.003, 0.7, 0.05, 0.005
POWER_W, POWER_SPREAD, NOISE_W = 6.0, 0.02, 0.3
LAG_S, STEP_W, PERIOD_S, WINDOW_S = 0.43, 0.04, 0.005, 5.0
LATENCY_S = 0.010
ROUND_OVERHEAD_S = 0.08
PAIR_SPREAD, DRIFT = 0.02, 0.05


def delays_s(random: np.random.Generator, procedure: Procedure) -> Array:
    """Return as many rounds as may be taken, shape (rounds, inferences)."""
    shape = (procedure.latency_rounds_max or 0, round(procedure.latency_round_s / MEDIAN_S))
    noise = random.normal(0.0, np.sqrt(1 - RHO**2), shape)
    noise[:, 0] = random.normal(0.0, 1.0, shape[0])  # the stationary law from the start
    noise = lfilter([1.0], [1.0, -RHO], noise, axis=1)
    return MEDIAN_S * np.exp(SPREAD * noise + random.normal(0.0, ROUND_SPREAD, (shape[0], 1)))


def rounds_taken(log_medians: Array, procedure: Procedure) -> int:
    """Return after how many rounds the stopping rule ends; shape (cases, rounds)."""
    fields = procedure.model_dump()
    cases = log_medians.tolist()
    for count in range(procedure.latency_rounds, log_medians.shape[1]):
        elapsed_s = len(cases) * count * (procedure.latency_round_s + ROUND_OVERHEAD_S)
        so_far = {str(case): medians[:count] for case, medians in enumerate(cases)}
        if decide(so_far, elapsed_s, fields) is not None:
            return count
    return log_medians.shape[1]


def latency_intervals(random: np.random.Generator, procedure: Procedure) -> tuple[Interval, ...]:
    """Return the stated and the naive interval of the median of one trial, seconds."""
    delays = delays_s(random, procedure)
    log_medians = np.log(np.median(delays, axis=1))
    taken = delays[: rounds_taken(log_medians[None, :], procedure)]
    stated = median_interval_s(rounds_of(taken))
    assert stated is not None
    return stated, naive_interval_s(taken)


def power_source() -> PowerSource:
    """An INA3221 whose time constant is known."""
    return PowerSource(
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


def energy_round(random: np.random.Generator, index: int) -> Round:
    """A round at a power of its own, with noise in the readings as the low-pass leaves it."""
    count = round((WINDOW_S + 1.0) / PERIOD_S)
    decay = float(np.exp(-PERIOD_S / LAG_S))
    noise_w = lfilter([1 - decay], [1.0, -decay], random.normal(0.0, NOISE_W, count))
    power_w = POWER_W * (1 + random.normal(0.0, POWER_SPREAD)) + noise_w
    shown_w = STEP_W * np.round(power_w / STEP_W)
    t_ns = np.round(np.arange(count) * PERIOD_S * 1e9).astype(np.int64)
    trace = PowerTrace(("VDD_IN",), "W", t_ns, t_ns + 400_000, shown_w[:, None])
    window_ns = (round(0.5e9), round((0.5 + WINDOW_S) * 1e9))
    durations_ns = np.full(round((WINDOW_S + 0.8) / LATENCY_S), round(LATENCY_S * 1e9))
    return Round(index, "energy", 0, durations_ns, window_ns, trace, background=0.0)


def energy_intervals(random: np.random.Generator) -> tuple[Interval, ...]:
    """Return the stated and the naive interval of one trial, joules per inference."""
    count = PROCEDURES["standard"].energy_rounds
    rounds = [energy_round(random, index) for index in range(count)]
    stats = measure(make_recording(rounds, ()), power_source(), WINDOW_S).energy
    assert stats is not None and stats.uncertainty_j is not None
    readings_w = np.concatenate([item.trace.values[:, 0] for item in rounds if item.trace])
    naive_j = 1.96 * readings_w.std(ddof=1) / np.sqrt(readings_w.size) * LATENCY_S
    return (
        (stats.gross_j - stats.uncertainty_j, stats.gross_j + stats.uncertainty_j),
        (stats.gross_j - naive_j, stats.gross_j + naive_j),
    )


def coverage(
    draw: Callable[[np.random.Generator], tuple[Interval, ...]],
    true: float,
    trials: int,
    seed: int,
) -> list[float]:
    """Return the share of trials whose intervals hold the truth: stated, naive."""
    random = np.random.default_rng(seed)
    held = np.zeros(2)
    for _ in range(trials):
        held += [low <= true <= high for low, high in draw(random)]
    return list(held / trials)


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


def main() -> None:
    """Simulate and print a line each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for target in (0.01, 0.004):
        procedure = make_procedure("standard", {"target_ci": target})
        stated, naive = coverage(
            lambda random, p=procedure: latency_intervals(random, p),
            MEDIAN_S,
            options.trials,
            options.seed,
        )
        print(
            f"median latency, AR(1) ρ = {RHO}, until ±{target:.1%}: "
            f"{stated:.1%} of {options.trials} (naive {naive:.1%})",
            flush=True,
        )
    true_j = POWER_W * LATENCY_S
    stated, naive = coverage(energy_intervals, true_j, options.trials, options.seed)
    print(
        f"energy, 8 rounds: {stated:.1%} of {options.trials} (naive {naive:.1%})",
        flush=True,
    )
    false = verdicts(1.0, 0.0, options.trials, options.seed)
    print(f"equal cases called different at margin 0: {false:.1%} of {options.trials}", flush=True)
    found = verdicts(1.03, 0.01, options.trials, options.seed)
    print(f"a difference of 3 % found at margin 1 %: {found:.1%} of {options.trials}")


if __name__ == "__main__":
    main()
