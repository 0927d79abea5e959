"""How the results store does at scale: 1,000 runs with 10 million latency samples in all.

Makes such a store (the same from the same numbers, with the real evaluation and encoders),
then lists its runs and computes percentiles per case over all samples, each as a process of its
own, as a user would, and holds wall time and peak memory against the bars::

    python scripts/benchmarks/results_scale.py [--runs 1000] [--samples 10000000] [--out DIR]
        [--repeats 3]

The first listing reads every run and has no bar; later ones take what has not changed from an
index. Exits with 1 when a bar is missed. On a busy machine ``chrt -f 5`` before the command (as
root) keeps others from taking its time.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from bench.records.case import Case
from bench.records.recordings import Round
from bench.records.trial import Trial
from bench.store import raw
from bench.store.files import MANIFEST_FILE, TRIALS_FILE
from bench.store.hold import LOCK_FILE
from bench.store.listing import INDEX_FILE

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from bench_program import BENCH
from stored_runs import Recipe, store

LIST_S, PERCENTILES_S, MEMORY_MB = 1.0, 3.0, 500.0
_METER = """
import os, sys, time
begin = time.perf_counter()
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, used = os.wait4(child, 0)
print(time.perf_counter() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(status != 0)
"""
"""A small process between, since Linux counts the memory of who starts a process as its own."""

CASES = tuple(
    Case(device="orin", model="shufflenet_v2_x1_0", scheme=scheme, weights=weights)
    for scheme, weights in (
        ("dense", None),
        ("basis:0.25", "load"),
        ("basis:0.25", "runtime"),
        ("basis:0.25", "factored"),
    )
)
LATENCY_ROUNDS = 20


def generate(out: Path, runs: int, samples: int) -> int:
    """Write ``runs`` runs below ``out`` and return how many latency samples they hold.

    They are copies of one run that was evaluated from a journal, without that, each with latencies
    of its own. Status, memory and energy of a case are the same in all, since their computation is
    not what is timed.
    """
    per_trial = max(LATENCY_ROUNDS, round(samples / runs / len(CASES)))
    rng = np.random.default_rng(1)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    rewritten = shutil.ignore_patterns(MANIFEST_FILE, "*.jsonl", "*.latency.parquet", LOCK_FILE)
    with tempfile.TemporaryDirectory() as temporary:
        pattern = store(Path(temporary), Recipe(cases=CASES))
        for index in range(runs):
            started = begin + timedelta(hours=index)
            run_id = f"{started:%Y%m%d-%H%M%S}-orin-{index:04x}"
            folder = out / run_id
            shutil.copytree(pattern.path, folder, ignore=rewritten)
            manifest = pattern.manifest.model_copy(
                update={
                    "run_id": run_id,
                    "started_at": started.isoformat(),
                    "finished_at": (started + timedelta(minutes=1)).isoformat(),
                }
            )
            (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=1) + "\n")
            shift = 1 + 0.02 * rng.standard_normal()
            lines = []
            for trial in pattern.trials:
                rounds = _rounds(trial, per_trial, rng, shift)
                path = raw.latency_path(folder, trial.trial_id)
                path.write_bytes(raw.encode_latency(rounds))
                lines.append(_renewed(trial, run_id, rounds).model_dump_json().encode())
            (folder / TRIALS_FILE).write_bytes(b"\n".join(lines) + b"\n")
    return runs * len(CASES) * per_trial


def _rounds(trial: Trial, count: int, rng: np.random.Generator, shift: float) -> tuple[Round, ...]:
    assert trial.latency is not None
    durations_ns = trial.latency.p50_s * 1e9 * shift * (1 + rng.gamma(2.0, 0.012, count))
    parts = np.array_split(np.round(durations_ns).astype(np.int64), LATENCY_ROUNDS)
    return tuple(
        Round(index, "latency", (20 + 4 * index) * 10**9, part, background=0.02)
        for index, part in enumerate(parts)
    )


def _renewed(pattern: Trial, run_id: str, rounds: tuple[Round, ...]) -> Trial:
    """Return a trial with the figures that follow from other samples."""
    all_s = np.concatenate([item.durations_ns for item in rounds]) * 1e-9
    p50_s, p90_s, p95_s, p99_s = map(float, np.percentile(all_s, (50, 90, 95, 99)))
    assert pattern.latency is not None
    latency = pattern.latency.model_copy(
        update={
            "p50_s": p50_s,
            "p50_low_s": p50_s * 0.998,
            "p50_high_s": p50_s * 1.002,
            "p90_s": p90_s,
            "p95_s": p95_s,
            "p99_s": p99_s,
            "p90_ci": None,
            "p95_ci": None,
            "p99_ci": None,
            "mean_s": float(all_s.mean()),
            "min_s": float(all_s.min()),
        }
    )
    return pattern.model_copy(update={"run_id": run_id, "latency": latency})


@dataclass(frozen=True)
class Cost:
    """What a command took as a process: seconds, also of CPU time, and MB (10⁶ bytes) of memory at
    its peak. On a busy machine the CPU time says more than the wall time."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def measure(*command: str) -> Cost:
    """Run ``bench`` as a process of its own.

    Raises:
        SystemExit: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-S", "-c", _METER, *BENCH, *command],
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"bench {' '.join(command)} failed")
    wall_s, cpu_s, peak_kib = map(float, done.stdout.split())
    return Cost(wall_s, cpu_s, peak_kib * 1024 / 1e6)


def median(costs: list[Cost]) -> Cost:
    """Return the median of either figure."""
    return Cost(
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        statistics.median(cost.peak_mb for cost in costs),
    )


def measured(store: Path, repeats: int) -> dict[str, tuple[Cost, float | None]]:
    """Return what each command costs, with the time that it may take."""
    where = ("--results", str(store))

    def first() -> Cost:
        (store / INDEX_FILE).unlink(missing_ok=True)
        return measure("results", "list", *where)

    found: dict[str, tuple[Cost, float | None]] = {
        "results list, no index yet": (median([first() for _ in range(repeats)]), None),
    }
    for name, command, bar_s in (
        ("results list", ("results", "list"), LIST_S),
        ("results percentiles", ("results", "percentiles"), PERCENTILES_S),
    ):
        costs = [measure(*command, *where) for _ in range(repeats)]
        found[name] = (median(costs), bar_s)
    return found


def main() -> int:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--out", type=Path, help="keep the store there; one that is there is used")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        store = options.out or Path(temporary)
        if not (store.is_dir() and any(store.iterdir())):
            begin = time.perf_counter()
            count = generate(store, options.runs, options.samples)
            took_s = time.perf_counter() - begin
            print(f"made {options.runs} runs with {count} latency samples in {took_s:.0f} s")
        found = measured(store, options.repeats)
    print(f"{'command':28} {'wall':>8} {'of bar':>7} {'CPU':>8} {'memory':>8} {'of bar':>7}")
    missed = False
    for name, (cost, bar_s) in found.items():
        of_bar = "" if bar_s is None else f"{cost.wall_s / bar_s:.0%}"
        print(
            f"{name:28} {cost.wall_s:6.2f} s {of_bar:>7} {cost.cpu_s:6.2f} s "
            f"{cost.peak_mb:5.0f} MB {cost.peak_mb / MEMORY_MB:7.0%}"
        )
        missed |= cost.peak_mb > MEMORY_MB or (bar_s is not None and cost.wall_s > bar_s)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
