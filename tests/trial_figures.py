"""Figures of trials as tests state them, where no measurement has to stand behind them."""

from __future__ import annotations

from typing import Any

from bench.records.figures import LatencyStats
from bench.records.power import EnergyStats
from bench.records.status import Source


def latency_stats(p50_s: float, half_width: float = 0.01) -> LatencyStats:
    """A median with its interval; ``half_width`` is relative."""
    return LatencyStats(
        samples=1000,
        rounds=40,
        p50_s=p50_s,
        p50_low_s=p50_s * (1 - half_width),
        p50_high_s=p50_s * (1 + half_width),
        p90_s=None,
        p95_s=None,
        p99_s=None,
        mean_s=p50_s,
        min_s=p50_s,
        mad_s=0.0,
        throughput_per_s=1 / p50_s,
    )


def energy_stats(gross_j: float, **changes: Any) -> EnergyStats:
    """A measured energy, known within ±1 % besides its gain error."""
    fields = {
        "gross_j": gross_j,
        "net_j": None,
        "uncertainty_j": 0.01 * gross_j,
        "uncertainty_parts_j": {"statistical": 0.01 * gross_j, "lag": 0.001 * gross_j},
        "uncorrected_j": gross_j,
        "power_w": 5.0,
        "idle_w": None,
        "source": Source.MEASURED,
        "scope": "module",
        "sensor": "ina3221",
        "lag_s": 0.43,
        "gain_error": 0.05,
        "rounds": 8,
        "window_s": 5.0,
    }
    return EnergyStats(**{**fields, **changes})
