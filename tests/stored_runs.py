"""Runs on disk, made from journals by the real evaluation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.agent import wire
from bench.fleet.evaluation import evaluate_job
from bench.plan.procedures import PROCEDURES
from bench.records.artifact import ArtifactFacts
from bench.records.case import Case
from bench.records.job import JobEnd, JobFacts
from bench.records.manifest import Manifest
from bench.records.power import PowerSource
from bench.records.status import Reason, Source, Status, Verdict
from bench.store.jobs import Job, journal_path
from bench.store.reader import Run, open_run
from bench.store.writer import RunWriter

S, MS = 1_000_000_000, 1_000_000
BOOT_NS = 86_400 * S
ARTIFACT = ArtifactFacts(
    graph_sha256="5e1f" * 16, weights_sha256=None, file_bytes=9_000_000, opset=17, ir_version=8
)
SENSOR = PowerSource(
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
ESTIMATE = SENSOR.model_copy(
    update={"sensor": "estimate", "source": Source.ESTIMATED, "scope": "model of CPU time"}
)
SOLO = {
    "import_s": 0.31,
    "load_s": 0.08,
    "first_s": 0.012,
    "imported_bytes": 61_000_000,
    "load_rise_bytes": 48_000_000,
    "steady_rise_bytes": 52_000_000,
    "peak_bytes": 120_000_000,
    "parity": {"passed": True, "max_abs_error": 3e-6, "cosine": 1.0},
}


@dataclass(frozen=True)
class Recipe:
    """What a run is to be like. ``failed``: case numbers that crash before any round;
    ``device_version``: of the engine on the board; ``manifest``: fields of the manifest."""

    run_id: str = "20261124-035012-orin-a1b2"
    started_at: str = "2026-11-24T03:50:12+00:00"
    cases: tuple[Case, ...] = (
        Case(device="orin", model="net"),
        Case(device="orin", model="net", scheme="basis:0.25", weights="runtime"),
    )
    p50_ms: float = 5.0
    power: PowerSource | None = SENSOR
    failed: Sequence[int] = ()
    engine_version: str = "1.23.0"
    power_mode: str = "MAXN"
    collected: bool = True
    evaluated: bool = True
    manifest: dict[str, Any] = field(default_factory=dict)


def store(results: Path, recipe: Recipe = Recipe(), *, old: bool = True) -> Run:
    """Store a run with one job; ``old``: its files look as if written an hour ago."""
    writer = RunWriter.create(results, _manifest(recipe))
    job_id = f"{recipe.run_id}-job"
    facts = JobFacts(
        device=recipe.cases[0].device,
        job_id=job_id,
        power=recipe.power,
        without_power=Verdict(status=Status.UNMEASURED, reasons=(Reason.NO_SENSOR,)),
        artifacts={case.key: ARTIFACT for case in recipe.cases},
        end=JobEnd(state="finished") if recipe.collected else None,
    )
    writer.save_job(facts)
    if recipe.collected:
        records = journal(recipe)
        writer.save_journal(job_id, b"".join(map(wire.encode_record, records)))
        if recipe.evaluated:
            evaluate_job(writer, Job(facts, journal_path(writer.path, job_id)))
    writer.close()
    if old:
        age(writer.path)
    return open_run(writer.path, results)


def age(run: Path, seconds: int = 3600) -> None:
    """Make the files of a run look older."""
    for path in (run, *run.rglob("*")):
        at = path.lstat().st_mtime - seconds
        os.utime(path, (at, at))


def journal(recipe: Recipe) -> list[dict[str, Any]]:
    """Return the records of a job that measured the cases of a run."""
    rng = np.random.default_rng(1)
    keys = [case.key for case in recipe.cases]
    records: list[dict[str, Any]] = [
        {"kind": "start", "version": 1, "t_ns": BOOT_NS, "wall_s": 1.7e9, "job_id": "j"},
        {"kind": "state", "where": "before", "t_ns": BOOT_NS + MS, "power_mode": recipe.power_mode},
        {"kind": "health", "where": "before", "t_ns": BOOT_NS + 2 * MS, **_health(40.0)},
    ]
    measured = []
    for number, key in enumerate(keys):
        if number in recipe.failed:
            records.append({"kind": "failure", "case": key, "reason": "crash", "text": "it died"})
        else:
            solo = {**SOLO, "runtime_version": recipe.engine_version}
            records.append({"kind": "solo", "case": key, "t_ns": BOOT_NS + S, **solo})
            records.append({"kind": "warmup", "case": key, "steady": True, "took_s": 1.0})
            measured.append((number, key))
    powered = recipe.power is not None
    if powered:
        records.append(_idle("before", 5_000, keys))
    at_ms = 10_000
    for kind, rounds, length_ms in (("latency", 20, 100), ("energy", 3 if powered else 0, 2_500)):
        for index in range(rounds):
            for number, key in measured:
                durations_ns = _durations_ns(rng, recipe.p50_ms * (1 + number), length_ms)
                records.append(_round(key, index, kind, at_ms, length_ms, durations_ns))
                at_ms += length_ms + 200
    if powered:
        records.append(_idle("after", at_ms + 1_000, keys))
    records.append({"kind": "health", "where": "after", "t_ns": _ns(at_ms + 5_000), **_health(48)})
    return [*records, {"kind": "end", "t_ns": _ns(at_ms + 6_000), "reason": "finished"}]


def _manifest(recipe: Recipe) -> Manifest:
    fields: dict[str, Any] = {
        "run_id": recipe.run_id,
        "started_at": recipe.started_at,
        "finished_at": recipe.started_at,
        "command": ("bench", "run"),
        "git_revision": None,
        "versions": {"bench-on-device": "0.1.0", "python": "3.11.2"},
        "procedure": PROCEDURES["quick"],
        "devices": {case.device: {"transport": "ssh"} for case in recipe.cases},
        "cases": recipe.cases,
        "probes": {recipe.cases[0].device: {"board": {"model": "Jetson Orin Nano"}}},
    }
    return Manifest(**{**fields, **recipe.manifest})


def _ns(at_ms: float) -> int:
    return BOOT_NS + round(at_ms * MS)


def _durations_ns(rng: np.random.Generator, p50_ms: float, length_ms: float) -> list[int]:
    count = max(2, round(length_ms / p50_ms))
    return [int(value) for value in p50_ms * MS * (1 + rng.normal(0, 0.01, count))]


def _health(temperature_c: float) -> dict[str, Any]:
    return {
        "temperature_c": {"cpu-thermal": temperature_c},
        "frequency_khz": {"cpu0": 1_510_400},
        "throttle": {"oc1": 0},
    }


def _trace(start_ms: float, length_ms: float, power_w: float) -> dict[str, Any]:
    # With jitter, as the sampler has it.
    t_ns = [_ns(start_ms + at + (at * 7 % 13) / 2) for at in range(0, round(length_ms), 20)]
    return {
        "channels": ["VDD_IN"],
        "unit": "W",
        "t_before_ns": t_ns,
        "t_after_ns": [at + 40_000 for at in t_ns],
        "values": [[None if index == 3 else power_w] for index in range(len(t_ns))],
    }


def _idle(where: str, at_ms: float, keys: Sequence[str]) -> dict[str, Any]:
    window = [_ns(at_ms + 100), _ns(at_ms + 1_900)]
    trace = _trace(at_ms, 2_000, 4.0)
    return {
        "kind": "idle",
        "where": where,
        "cases": list(keys),
        "window_ns": window,
        "trace": trace,
    }


def _round(
    key: str, index: int, kind: str, at_ms: float, length_ms: float, durations_ns: list[int]
) -> dict[str, Any]:
    energy = kind == "energy"
    return {
        "kind": "round",
        "case": key,
        "index": index,
        "type": kind,
        "start_ns": _ns(at_ms),
        "durations_ns": durations_ns,
        "window_ns": [_ns(at_ms + 200), _ns(at_ms + 2_200)] if energy else None,
        "trace": _trace(at_ms, length_ms, 9.0) if energy else None,
        "background": 0.01,
        "load": 0,
        "health": _health(45.0 + index),
    }
