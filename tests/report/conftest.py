"""Synthetic runs, written through the real analysis and the real store."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.analysis.validity import evaluate
from bench.records.artifact import ArtifactFacts
from bench.records.case import Case
from bench.records.manifest import Manifest
from bench.records.power import PowerSource
from bench.records.procedure import Procedure
from bench.records.recordings import IdleLine, PowerTrace, Recording, Round
from bench.records.status import Reason, Source, Status, Verdict
from bench.store.reader import Run, open_run
from bench.store.writer import RunWriter

S = 1_000_000_000
BOOT_NS = 86_400 * S
LATENCY_ROUNDS, ENERGY_ROUNDS = 20, 2

INA3221 = PowerSource(
    sensor="ina3221",
    source=Source.MEASURED,
    scope="module",
    total=("VDD_IN",),
    channels=("VDD_IN", "VDD_SOC"),
    unit="W",
    lag_s=0.43,
    resolution_w=0.04,
    gain_error=0.05,
)
ESTIMATE = PowerSource(
    sensor="estimate",
    source=Source.ESTIMATED,
    scope="model of CPU time",
    total=("cpu-model",),
    channels=("cpu-model",),
    unit="J",
    lag_s=0.0,
    resolution_w=None,
    gain_error=None,
    note="estimated from CPU use: 10 W idle and 25 W busy are assumptions",
)
DECLINED = Verdict(
    status=Status.UNMEASURED, reasons=(Reason.DECLINED,), detail="estimates were declined"
)

SHUFFLENET = [
    ("dense", None, 6.1e-3, 52, 9.2),
    ("basis:0.25", "load", 6.15e-3, 54, 7.7),
    ("basis:0.25", "runtime", 8.4e-3, 45, 7.7),
    ("basis:0.25", "factored", 6.6e-3, 44, 7.7),
]
"""Scheme, weight mode, seconds, MB of memory, MB of file: about what templates.md saw."""


class Synthetic:
    """A run in the making."""

    ina3221 = INA3221

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.folder = folder
        self.rng = np.random.default_rng(seed)

    def cases(self, device: str = "local", model: str = "shufflenet_v2_x1_0") -> list[Case]:
        return [
            Case(device=device, model=model, scheme=scheme, weights=weights)
            for scheme, weights, *_ in SHUFFLENET
        ]

    def write(
        self,
        cases: list[Case],
        *,
        power: PowerSource | None = ESTIMATE,
        failures: dict[int, dict[str, Any]] | None = None,
        skip: tuple[int, ...] = (),
        speed: Callable[[int], float] = lambda number: SHUFFLENET[number % 4][2],
        load_w: float = 8.0,
        **manifest: Any,
    ) -> Run:
        """Store a run. ``failures``: journal records by case number; ``skip``: no trial at all."""
        devices = list(dict.fromkeys(case.device for case in cases))
        fields = {
            "run_id": "20261124-035012-local-a1b2",
            "started_at": "2026-11-24T03:50:12+00:00",
            "finished_at": "2026-11-24T03:51:20+00:00",
            "command": ("bench", "run"),
            "git_revision": "ac3b5c6f0c2e4b7d9a1f",
            "versions": {"python": "3.11.2", "onnxruntime": "1.32.0", "numpy": "2.3.5"},
            "procedure": self.procedure(),
            "devices": {name: {"transport": "local"} for name in devices},
            "cases": tuple(cases),
            "probes": {
                name: {
                    "board": {"model": "generic Linux", "compatible": []},
                    "python": {"version": "3.11.2"},
                    "runtimes": {"onnxruntime": {"version": "1.32.0"}},
                    "sensors": [{"name": "estimate", "scope": "model of CPU time", "lag_s": 0.0}],
                }
                for name in devices
            },
        }
        writer = RunWriter.create(self.folder, Manifest(**{**fields, **manifest}))
        for number, case in enumerate(cases):
            if number in skip:
                continue
            failure = (failures or {}).get(number)
            recording = self.recording(number, len(cases), power, failure, speed(number), load_w)
            _, _, _, _, file_mb = SHUFFLENET[number % 4]
            trial = evaluate(
                recording,
                case,
                self.procedure(),
                power,
                run_id=writer.manifest.run_id,
                trial_id=f"t{number + 1:03d}",
                artifact=ArtifactFacts(
                    graph_sha256="0" * 64,
                    weights_sha256="1" * 64,
                    file_bytes=int(file_mb * 1e6),
                    opset=18,
                    ir_version=10,
                ),
                energy_reason=DECLINED,
            )
            writer.append(trial, recording)
        return open_run(writer.path, self.folder)

    def procedure(self) -> Procedure:
        return Procedure(
            name="quick",
            warmup_min_s=1,
            warmup_max_s=5,
            latency_rounds=LATENCY_ROUNDS,
            latency_round_s=0.2,
            energy_rounds=ENERGY_ROUNDS,
            energy_window_s=2,
            energy_tail_s=0.3,
            idle_s=2,
            settle_s=0.5,
            settle_tau=1,
            target_ci=0.02,
        )

    def recording(
        self,
        number: int,
        count: int,
        power: PowerSource | None,
        failure: dict[str, Any] | None,
        latency_s: float,
        load_w: float,
    ) -> Recording:
        rounds: list[Round] = []
        if failure is None or failure["reason"] == "crash":
            for index in range(LATENCY_ROUNDS):
                start_s = 20 + (index * count + number) * 0.25
                rounds.append(self._round(index, "latency", start_s, latency_s, 0.2))
        end_s = 20 + LATENCY_ROUNDS * count * 0.25
        if failure is None and power is not None:
            for index in range(ENERGY_ROUNDS):
                start_s = end_s + (index * count + number) * 3
                trace = self._trace(power, start_s, 2.8, load_w * (1 + 0.08 * (number % 4)), True)
                window = (self._ns(start_s + 0.45), self._ns(start_s + 2.45))
                rounds.append(self._round(index, "energy", start_s, latency_s, 2.8, window, trace))
        idle: list[IdleLine] = []
        if power is not None:
            for where, start_s in (("before", 15), ("after", end_s + ENERGY_ROUNDS * count * 3)):
                window = (self._ns(start_s + 0.1), self._ns(start_s + 1.9))
                trace = self._trace(power, start_s, 2, 0, False)
                idle.append(IdleLine(where, window, trace))
        _, _, _, memory_mb, _ = SHUFFLENET[number % 4]
        loaded = failure is None or failure["reason"] == "crash"
        return Recording(
            case_key=str(number),
            solo=self._solo(memory_mb) if loaded else None,
            warmup={"steady": True, "took_s": 1.1, "runs": 180},
            failure=failure,
            rounds=tuple(rounds),
            idle=tuple(idle),
            health=(),
            finished=True,
        )

    def _ns(self, seconds: float) -> int:
        return BOOT_NS + round(seconds * S)

    def _solo(self, memory_mb: float) -> dict[str, Any]:
        return {
            "import_s": 0.31,
            "load_s": 0.08,
            "first_s": 0.012,
            "imported_bytes": 61_000_000,
            "load_rise_bytes": int(memory_mb * 0.9e6),
            "steady_rise_bytes": int(memory_mb * 1e6),
            "peak_bytes": int(memory_mb * 1e6) + 65_000_000,
            "runtime_version": "1.32.0",
            "parity": {"passed": True, "max_abs_error": 3e-6, "cosine": 1.0},
        }

    def _round(
        self,
        index: int,
        kind: str,
        start_s: float,
        latency_s: float,
        length_s: float,
        window: tuple[int, int] | None = None,
        trace: PowerTrace | None = None,
    ) -> Round:
        count = max(1, round(length_s / latency_s))
        spread = self.rng.gamma(2.0, 0.012, count) + self.rng.normal(0, 0.004)
        stalls = self.rng.random(count) < 0.01
        durations_s = latency_s * (1 + spread + stalls * self.rng.uniform(0.5, 3, count))
        durations_ns = np.round(durations_s * S).astype(np.int64)
        return Round(index, kind, self._ns(start_s), durations_ns, window, trace, 0.02)

    def _trace(
        self, power: PowerSource, start_s: float, length_s: float, load_w: float, loaded: bool
    ) -> PowerTrace:
        t_s = np.arange(0, length_s, 0.01) + self.rng.uniform(-0.002, 0.002, round(length_s / 0.01))
        rise = 1 - np.exp(-np.maximum(t_s, 0) / power.lag_s) if power.lag_s else 1.0
        power_w = 4.2 + (load_w * rise if loaded else 0.0) + self.rng.normal(0, 0.05, t_s.size)
        t_ns = self._ns(start_s) + np.round(t_s * S).astype(np.int64)
        if power.unit == "J":
            jiffies_s = np.floor(t_s * 100) / 100
            values = 10 * t_s + (load_w * jiffies_s if loaded else 0.1 * jiffies_s)
        else:
            values = np.round(power_w / 0.04) * 0.04
        columns = [values, *(values * 0.3 for _ in power.channels[1:])]
        return PowerTrace(
            power.channels, power.unit, t_ns - 20_000, t_ns + 20_000, np.column_stack(columns)
        )


@pytest.fixture
def synthetic(tmp_path) -> Synthetic:
    return Synthetic(tmp_path / "results")


def many_cases(device: str = "orin") -> list[Case]:
    """24 cases with long names and two batch sizes."""
    models = ("shufflenet_v2_x0_5_cifar100", "shufflenet_v2_x2_0", "a-model-with-a-very-long-name")
    schemes = (("dense", None), ("basis:0.25", "load"), ("basis:26/53/106", "runtime"))
    more = (("basis:0.25", "factored"),)
    return [
        Case(device=device, model=model, scheme=scheme, weights=weights, batch=batch)
        for model, (scheme, weights), batch in itertools.product(models, schemes + more, (1, 8))
    ]


@pytest.fixture
def twenty_four() -> list[Case]:
    return many_cases()
