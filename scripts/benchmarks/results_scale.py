"""How the results store does at scale: 1,000 runs with 10 million latency samples in all.

Makes such a store (the same from the same numbers, with the real encoders and the real records),
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
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from bench.analysis.validity import evaluate
from bench.figures import ArtifactFacts
from bench.procedures import PROCEDURES
from bench.recordings import IdleLine, PowerTrace, Recording, Round
from bench.records import Case, JobEnd, JobFacts, Manifest, PowerSource, Trial
from bench.status import Source, Status, Verdict
from bench.store import raw
from bench.store.files import MANIFEST_FILE, TRIALS_FILE
from bench.store.jobs import job_path
from bench.store.listing import INDEX_FILE
from bench.store.writer import FOLDERS

LIST_S, PERCENTILES_S, MEMORY_MB = 1.0, 3.0, 500.0
_PROGRAM = "import sys; from bench.cli import main; sys.exit(main())"
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


MS = 1_000_000
CASES = tuple(
    Case(device="orin", model="shufflenet_v2_x1_0", scheme=scheme, weights=weights)
    for scheme, weights in (
        ("dense", None),
        ("basis:0.25", "load"),
        ("basis:0.25", "runtime"),
        ("basis:0.25", "factored"),
    )
)
MEDIANS_MS = (6.1, 6.15, 8.4, 6.6)
LATENCY_ROUNDS = 20
POWER = PowerSource(
    sensor="ina3221",
    source=Source.MEASURED,
    scope="module",
    total=("VDD_IN",),
    channels=("VDD_IN",),
    unit="W",
    lag_s=0.0,
    resolution_w=0.04,
    gain_error=0.05,
)
ARTIFACT = ArtifactFacts(
    graph_sha256="5e1f" * 16,
    weights_sha256="a9c0" * 16,
    file_bytes=7_700_000,
    opset=17,
    ir_version=8,
)
SOLO = {
    "import_s": 0.31,
    "load_s": 0.08,
    "first_s": 0.012,
    "imported_bytes": 61_000_000,
    "load_rise_bytes": 48_000_000,
    "steady_rise_bytes": 52_000_000,
    "peak_bytes": 120_000_000,
    "runtime_version": "1.23.0",
    "parity": {"passed": True, "max_abs_error": 3e-6, "cosine": 1.0},
}


def generate(out: Path, runs: int, samples: int) -> int:
    """Write ``runs`` runs below ``out`` and return how many latency samples they hold.

    Status, memory and energy of a case are the same in all runs, since their computation is not
    what is timed; samples and what follows from them differ.
    """
    per_trial = max(LATENCY_ROUNDS, round(samples / runs / len(CASES)))
    rng = np.random.default_rng(1)
    recordings = [_recording(number, per_trial, rng) for number in range(len(CASES))]
    patterns = [_trial(number, item) for number, item in enumerate(recordings)]
    power = [raw.encode_power(raw.segments(item)) for item in recordings]
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    for index in range(runs):
        started = begin + timedelta(hours=index)
        run_id = f"{started:%Y%m%d-%H%M%S}-orin-{index:04x}"
        folder = out / run_id
        for name in FOLDERS:
            (folder / name).mkdir(parents=True)
        _write_facts(folder, run_id, started)
        shift = 1 + 0.02 * rng.standard_normal()
        lines = []
        for number, pattern in enumerate(patterns):
            rounds = _rounds(number, per_trial, rng, shift)
            (folder / "raw" / f"{pattern.trial_id}.latency.parquet").write_bytes(
                raw.encode_latency(rounds)
            )
            (folder / "raw" / f"{pattern.trial_id}.power.parquet").write_bytes(power[number])
            lines.append(_renewed(pattern, run_id, rounds).model_dump_json().encode())
        (folder / TRIALS_FILE).write_bytes(b"\n".join(lines) + b"\n")
    return runs * len(CASES) * per_trial


def _durations_ns(number: int, count: int, rng: np.random.Generator, shift: float) -> np.ndarray:
    spread = rng.gamma(2.0, 0.012, count)
    return np.round(MEDIANS_MS[number] * MS * shift * (1 + spread)).astype(np.int64)


def _rounds(number: int, count: int, rng: np.random.Generator, shift: float) -> tuple[Round, ...]:
    parts = np.array_split(_durations_ns(number, count, rng, shift), LATENCY_ROUNDS)
    starts_ns = [
        (20_000 + (index * len(CASES) + number) * 1_000) * MS for index in range(len(parts))
    ]
    return tuple(
        Round(index, "latency", start_ns, durations_ns, background=0.02)
        for index, (start_ns, durations_ns) in enumerate(zip(starts_ns, parts, strict=True))
    )


def _trace(start_ms: int, length_ms: int, power_w: float, rng: np.random.Generator) -> PowerTrace:
    t_ns = (start_ms + np.arange(0, length_ms, 10) + rng.integers(0, 3)) * MS
    values = np.round((power_w + rng.normal(0, 0.05, t_ns.size)) / 0.04) * 0.04
    return PowerTrace(("VDD_IN",), "W", t_ns, t_ns + 40_000, values[:, None])


def _recording(number: int, count: int, rng: np.random.Generator) -> Recording:
    rounds = list(_rounds(number, count, rng, 1.0))
    for index in range(3):
        start_ms = 200_000 + (index * len(CASES) + number) * 3_000
        durations_ns = _durations_ns(number, round(2_800 / MEDIANS_MS[number]), rng, 1.0)
        window_ns = ((start_ms + 450) * MS, (start_ms + 2_450) * MS)
        trace = _trace(start_ms, 2_800, 9.0, rng)
        rounds.append(Round(index, "energy", start_ms * MS, durations_ns, window_ns, trace, 0.02))
    idle = tuple(
        IdleLine(where, ((at_ms + 100) * MS, (at_ms + 1900) * MS), _trace(at_ms, 2_000, 4.2, rng))
        for where, at_ms in (("before", 15_000), ("after", 250_000))
    )
    warmup = {"steady": True, "took_s": 1.1, "runs": 180}
    key = CASES[number].key
    return Recording(key, SOLO, warmup, None, tuple(rounds), idle, (), finished=True)


def _trial(number: int, recording: Recording) -> Trial:
    return evaluate(
        recording,
        CASES[number],
        PROCEDURES["quick"],
        POWER,
        run_id="run",
        trial_id=f"t{number + 1:03d}",
        artifact=ARTIFACT,
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


def _write_facts(folder: Path, run_id: str, started: datetime) -> None:
    manifest = Manifest(
        run_id=run_id,
        started_at=started.isoformat(),
        finished_at=(started + timedelta(minutes=1)).isoformat(),
        command=("bench", "run", "--device", "orin"),
        git_revision=None,
        versions={"bench-on-device": "0.1.0", "python": "3.11.2", "numpy": "2.4.6"},
        procedure=PROCEDURES["quick"],
        devices={"orin": {"transport": "ssh", "host": "orin.local", "user": "nvidia"}},
        cases=CASES,
        probes={
            "orin": {
                "board": {"model": "NVIDIA Jetson Orin Nano Developer Kit"},
                "os": {"l4t": "36.4.0", "kernel": "5.15.148-tegra"},
            }
        },
    )
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=1) + "\n")
    facts = JobFacts(
        device="orin",
        job_id=f"{run_id}-orin",
        power=POWER,
        without_power=Verdict(status=Status.UNMEASURED),
        artifacts={case.key: ARTIFACT for case in CASES},
        end=JobEnd(state="finished"),
    )
    job_path(folder, facts.job_id).write_text(facts.model_dump_json(indent=1) + "\n")


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
        [sys.executable, "-S", "-c", _METER, sys.executable, "-c", _PROGRAM, *command],
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
