"""How is measured, and what is asked of the board for it."""

from __future__ import annotations

from enum import StrEnum

from bench.records.base import Record


class Scenario(StrEnum):
    """How inferences are asked for (terms of MLPerf Inference)."""

    SINGLE_STREAM = "single-stream"
    """The next one starts when the last one has ended."""
    OFFLINE = "offline"
    """As single-stream, but throughput counts: it makes sense with a batch above 1."""
    SERVER = "server"
    """Poisson arrivals at ``Procedure.rate_per_s``; latency includes the time in the queue."""


class Procedure(Record):
    """How to measure. Durations in seconds.

    Rounds: at least ``latency_rounds`` and ``energy_rounds`` per case are taken. After that,
    latency rounds go on until every case's median is known within ``target_ci`` (relative
    half-width of its interval), or more rounds no longer help, or ``latency_rounds_max`` rounds or
    ``max_time_s`` seconds (for all cases of a group together) are reached.

    Energy windows are ``max(energy_window_s, energy_window_tau · τ)`` long and open after
    ``settle_s + settle_tau · τ`` of load, τ being the sensor's time constant.

    ``loads``: the rounds are spread over this many fresh loads of every worker. ``cooldown_to_c``:
    wait before the job until no temperature is above it, at most ``cooldown_max_s``.
    ``gpu_together``: cases on a GPU are loaded side by side like all others, so that their rounds
    pair, instead of one at a time. ``sustain_s``: instead of rounds, load one case after the other
    for so long and record latency, power, clocks and temperature over time.
    ``checkpoint_every_s``: the longest the host is left without news.
    """

    name: str
    seed: int = 1
    scenario: Scenario = Scenario.SINGLE_STREAM
    rate_per_s: float | None = None
    loads: int = 1
    warmup_min_s: float
    warmup_max_s: float
    latency_rounds: int
    latency_rounds_max: int | None = None
    latency_round_s: float
    energy_rounds: int
    energy_window_s: float
    energy_window_tau: float = 0.0
    energy_tail_s: float
    idle_s: float
    settle_s: float
    settle_tau: float
    target_ci: float
    max_time_s: float | None = None
    cooldown_to_c: float | None = None
    cooldown_max_s: float = 300.0
    gpu_together: bool = False
    sustain_s: float | None = None
    checkpoint_every_s: float = 600.0


class BoardState(Record):
    """What is asked of a board before it measures; ``None`` leaves that as it is.

    ``clocks``: ``"max"`` pins them (jetson_clocks, else the cpufreq limits).
    """

    power_mode: str | None = None
    clocks: str | None = None
    governor: str | None = None
