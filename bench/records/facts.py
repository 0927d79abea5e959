"""The shape of what a board told beside the figures, as far as anything is made of it.

Facts are dicts in which every key may be missing. Keys that are not known here are kept as they
are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from bench.records.bounded import Count, Figure, NotNegative, Number, Real, Seconds

_OPEN = ConfigDict(extra="allow")

Range = Annotated[list[Number], Field(min_length=2, max_length=2)]
"""Lowest and highest value."""


@with_config(_OPEN)
class WarmupFacts(TypedDict, total=False):
    """The warm-up of a case (journal record ``warmup``)."""

    load: Count
    steady: bool
    took_s: Seconds
    runs: Count


@with_config(_OPEN)
class StoppingFacts(TypedDict, total=False):
    """Why latency rounds ended (journal record ``stopping``)."""

    reason: str
    rounds: Count
    half_widths: dict[str, Number | None]


@with_config(_OPEN)
class CooldownFacts(TypedDict, total=False):
    """The wait for a temperature (journal record ``cooldown``)."""

    reached: bool
    took_s: Seconds
    wanted_c: Number | None
    temperature_c: Number | None


@with_config(_OPEN)
class MomentFacts(TypedDict, total=False):
    """What was read of a board at once (journal records ``health`` and ``state``)."""

    power_mode: str | None
    clocks: str | None
    governor: dict[str, str]


@with_config(_OPEN)
class LagFacts(TypedDict, total=False):
    """What is known of the sensor's time constant."""

    settings_s: NotNegative | None
    fits_s: list[Figure]
    steps: Count
    note: str


@with_config(_OPEN)
class SourceFacts(TypedDict):
    """The power source; ``total``: names of the channels whose sum is the figure; ``source``: as in
    :class:`bench.records.status.Source`; ``why``: it is this one."""

    total: list[str]
    source: NotRequired[str]
    why: NotRequired[str]


@with_config(_OPEN)
class LayerFacts(TypedDict):
    """What one layer of an engine takes, in a pass in which each is timed."""

    name: str
    ms: Real


@with_config(_OPEN)
class EngineFacts(TypedDict, total=False):
    """What a runtime built of the graph (journal record ``solo``).

    ``cached``: whether it was there before the job; ``build_s``: what building it took, whenever
    that was.
    """

    device: str | None
    compute_capability: str | None
    builder_options: dict[str, Any]
    cached: bool | None
    build_s: Seconds | None
    engine_bytes: Count | None
    layers: list[LayerFacts]


@with_config(_OPEN)
class TrialFacts(TypedDict, total=False):
    """Facts of one trial; ``group``: keys of the cases that were loaded side by side; ``nodes``: of
    the graph, by the execution provider of ONNX Runtime that ran them."""

    runtime_version: str
    providers: list[str]
    provider_options: dict[str, str]
    nodes: dict[str, Count]
    cuda_graph: bool | None
    engine: EngineFacts
    import_s: Seconds | None
    warmup: WarmupFacts
    stopping: StoppingFacts
    cooldown: CooldownFacts
    health: dict[str, MomentFacts]
    state: dict[str, MomentFacts]
    temperature_c: dict[str, Range]
    frequency_khz: dict[str, Range]
    background: dict[str, Real | None]
    sampler_effect: NotNegative | None
    group: list[str]
    loads: Count
    power_source: SourceFacts
    lag: LagFacts
    failure: dict[str, Any]
    lost: list[str]


@with_config(_OPEN)
class BoardFacts(TypedDict, total=False):
    """``board`` of a probe; ``compatible``: of its device tree, the most specific first."""

    model: str | None
    compatible: list[str]


@with_config(_OPEN)
class CpuFacts(TypedDict, total=False):
    """``cpu`` of a probe."""

    model: str | None
    count: Count | None


@with_config(_OPEN)
class MemoryFacts(TypedDict, total=False):
    """``memory`` of a probe."""

    total_bytes: Count | None


@with_config(_OPEN)
class SystemFacts(TypedDict, total=False):
    """``os`` of a probe."""

    l4t: str | None
    kernel: str | None


@with_config(_OPEN)
class ProbeFacts(TypedDict, total=False):
    """What a board answered to ``probe`` (see :mod:`bench.agent.wire`), as it is stored."""

    board: BoardFacts
    cpu: CpuFacts
    memory: MemoryFacts
    os: SystemFacts


def board_kind(probe: Mapping[str, Any]) -> str:
    """Return what boards of one kind have in common, from what one told: its module and carrier
    (without a device tree: its processor), cores, and memory in GiB; empty where it told neither.

    The model string plays no part: modules of one carrier share it whatever is on them.
    """
    cpu, board = probe.get("cpu", {}), probe.get("board", {})
    what = (board.get("compatible") or [cpu.get("model")])[0]
    if not what:
        return ""
    total_bytes = probe.get("memory", {}).get("total_bytes")
    # The kernel keeps some for itself, not always the same.
    memory = f", {math.ceil(total_bytes / 2**30)} GiB" if total_bytes else ""
    return f"{what}, {cpu.get('count') or 'unknown'} cores{memory}"
