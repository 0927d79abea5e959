"""Recordings with known truth for the tests of the analysis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from bench.records.case import Case
from bench.records.power import PowerSource
from bench.records.procedure import Procedure
from bench.records.recordings import IdleLine, PowerTrace, Recording, Round
from bench.records.status import Source

S = 1_000_000_000
"""Nanoseconds in a second."""

BOOT_NS = 40 * 24 * 3600 * S
"""A board that has been up for 40 days: nanoseconds do not fit into single floats."""


class Make:
    """Builders; times are seconds after BOOT_NS."""

    def trace(
        self,
        power_w: Callable[[np.ndarray], np.ndarray],
        start_s: float,
        end_s: float,
        period_s: float = 0.005,
        unit: str = "W",
        channel: str = "VDD_IN",
        jitter: float = 0.0,
    ) -> PowerTrace:
        """A trace of a waveform; ``power_w`` is its running energy when ``unit`` is J.

        The periods vary by ``jitter`` of their length to both sides, as the sampler's do.
        """
        count = np.arange(start_s, end_s, period_s).size
        random = np.random.default_rng(round(1000 * start_s))
        varied = 1 + jitter * random.uniform(-1, 1, count - 1)
        t_s = start_s + period_s * np.concatenate(([0.0], np.cumsum(varied)))
        t_ns = BOOT_NS + np.round(t_s * S).astype(np.int64)
        values = np.asarray(power_w(t_s), dtype=np.float64)[:, None]
        return PowerTrace((channel,), unit, t_ns - 50_000, t_ns + 50_000, values)

    def round(
        self, index: int, kind: str, start_s: float, durations_s: Sequence[float], **more
    ) -> Round:
        window_s = more.pop("window_s", None)
        window = None if window_s is None else tuple(BOOT_NS + round(t * S) for t in window_s)
        return Round(
            index=index,
            kind=kind,
            start_ns=BOOT_NS + round(start_s * S),
            durations_ns=np.round(np.asarray(durations_s) * S).astype(np.int64),
            window_ns=window,
            **more,
        )

    def energy_round(
        self,
        index: int,
        start_s: float,
        power_w,
        latency_s: float = 0.01,
        window_s: float = 2.0,
        **more,
    ) -> Round:
        """Load from ``start_s`` on; the window opens 1 s later and has 0.5 s of load behind it."""
        window = (start_s + 1, start_s + 1 + window_s)
        durations = np.full(round((window_s + 1.5) / latency_s), latency_s)
        if "trace" not in more:
            more["trace"] = self.trace(power_w, start_s, window[1] + 0.5, jitter=0.2)
        more.setdefault("background", 0.01)
        return self.round(index, "energy", start_s, durations, window_s=window, **more)

    def idle(self, where: str, start_s: float, power_w) -> IdleLine:
        trace = self.trace(power_w, start_s, start_s + 2)
        window = (BOOT_NS + round((start_s + 0.1) * S), BOOT_NS + round((start_s + 1.9) * S))
        return IdleLine(where, window, trace)

    def source(self, **changes) -> PowerSource:
        fields = {
            "sensor": "ina3221",
            "source": Source.MEASURED,
            "scope": "module",
            "total": ("VDD_IN",),
            "channels": ("VDD_IN",),
            "unit": "W",
            "lag_s": 0.0,
            "resolution_w": 0.04,
            "gain_error": 0.05,
        }
        return PowerSource(**{**fields, **changes})

    def case(self, **changes) -> Case:
        return Case(**{"device": "nano", "model": "net", **changes})

    def procedure(self, **changes) -> Procedure:
        fields = {
            "name": "quick",
            "warmup_min_s": 1,
            "warmup_max_s": 5,
            "latency_rounds": 5,
            "latency_round_s": 0.2,
            "energy_rounds": 2,
            "energy_window_s": 2,
            "energy_tail_s": 0.5,
            "idle_s": 2,
            "settle_s": 0.5,
            "settle_tau": 1,
            "target_ci": 0.02,
        }
        return Procedure(**{**fields, **changes})

    def recording(self, **changes) -> Recording:
        """A clean one: 5 latency rounds at 10 ms, 2 energy rounds at 5 W over an idle 2 W."""
        rng = np.random.default_rng(3)

        def noisy(power_w: float) -> Callable[[np.ndarray], np.ndarray]:
            return lambda t: power_w + rng.normal(0, 0.02, t.size)

        latency = [
            self.round(i, "latency", 10 + i, rng.normal(0.01, 1e-4, 20), background=0.01)
            for i in range(5)
        ]
        energy = [self.energy_round(i, 20 + 5 * i, noisy(5.0)) for i in range(2)]
        fields = {
            "case_key": "net/dense",
            "solo": {
                "import_s": 0.5,
                "load_s": 0.1,
                "first_s": 0.02,
                "imported_bytes": 30_000_000,
                "load_rise_bytes": 10_000_000,
                "steady_rise_bytes": 12_000_000,
                "peak_bytes": 50_000_000,
                "runtime_version": "1.32.0",
                "parity": {
                    "passed": True,
                    "max_abs_error": 1e-6,
                    "max_rel_error": 1e-5,
                    "cosine": 1.0,
                    "top1_agreement": 1.0,
                    "detail": "",
                },
            },
            "warmup": {"steady": True, "took_s": 1.2, "runs": 100},
            "failure": None,
            "rounds": (*latency, *energy),
            "idle": (self.idle("before", 5, noisy(2.0)), self.idle("after", 40, noisy(2.0))),
            "health": (),
            "finished": True,
        }
        return Recording(**{**fields, **changes})


@pytest.fixture
def make() -> Make:
    return Make()
