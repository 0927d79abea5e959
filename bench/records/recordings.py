"""What is passed on between the parts of the host and never stored as such.

Frozen dataclasses; several hold raw numpy arrays as they came from the board. Units stand in the
names, as in :mod:`bench.records`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.records.artifact import ArtifactFacts


@dataclass(frozen=True, slots=True)
class GraphLimits:
    """What a board's runtime reads: the newest ONNX opset and IR version, and in what form."""

    opset: int
    ir_version: int
    engine: str = "onnxruntime"
    """Whose ways of keeping and folding weights the graph must fit: ``onnxruntime`` or
    ``tensorrt``."""
    computed_weights: bool = True
    """Whether a convolution may have weights that are computed in the graph."""
    strong_types: bool = False
    """Whether the engine computes in the types of the graph, and rounds nothing by itself."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """An exported model on the host's disk with its reference inputs and outputs.

    ``graph`` refers to ``weights`` (external data) by its bare file name, so both must lie in
    one folder. ``reference`` is an ``.npz`` with arrays ``in0``, ``in1``, ..., ``out0``, ... and
    a 0-d string array ``names`` holding JSON ``{"inputs": [...], "outputs": [...]}``.
    File names contain the content hash, so equal names mean equal bytes.
    """

    graph: Path
    weights: Path | None
    reference: Path
    facts: ArtifactFacts
    batch: int
    """Inputs per run."""
    classifier: bool
    """Whether the outputs are class scores, for which top-1 agreement makes sense."""
    fresh: bool
    """Whether this call exported it (``False``: it came from the cache)."""
    bound: Path | None = None
    """JSON that says where in ``weights`` the values of those graph inputs lie that are no part
    of a feed (:mod:`bench.export.bound`), ``None`` where there are none."""


@dataclass(frozen=True, slots=True)
class PowerTrace:
    """Readings of one power source, in order, on the board's monotonic clock.

    ``values``: shape (samples, channels), watts for ``unit == "W"`` or a running energy counter
    in joules for ``unit == "J"`` (already unwrapped). A failed read is NaN, never 0.
    """

    channels: tuple[str, ...]
    unit: str
    t_before_ns: NDArray[np.int64]
    t_after_ns: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Round:
    """A block of back-to-back inferences of one case.

    Inference i runs from ``start_ns + sum(durations_ns[:i])`` for ``durations_ns[i]``.
    ``window_ns`` (energy rounds only) is the part over which power counts.
    ``background`` is the share (0..1) of all CPU time spent by processes that are not ours.

    In the scenario ``server``, inference i arrived at ``arrivals_ns[i]`` and ended
    ``durations_ns[i]`` later (its time in the queue included); otherwise ``arrivals_ns`` is
    ``None``. ``load`` numbers the fresh load of the worker. ``health``: temperatures, clocks and
    throttle counters right after the round; ``throttled``: what throttled the board since the
    reading before it, ``{counter: events}``, where that is known. ``kind`` is ``latency``,
    ``energy`` or ``sustain``. ``copy_ns``, ``compute_ns``: how long each inference copied to the
    GPU and back, and computed there, ``None`` where the runtime does not tell them apart.
    """

    index: int
    kind: str
    start_ns: int
    durations_ns: NDArray[np.int64]
    window_ns: tuple[int, int] | None = None
    trace: PowerTrace | None = None
    background: float | None = None
    load: int = 0
    arrivals_ns: NDArray[np.int64] | None = None
    health: dict[str, Any] | None = None
    throttled: dict[str, int] | None = None
    copy_ns: NDArray[np.int64] | None = None
    compute_ns: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class LoadStep:
    """Power while a load sets in at ``onset_ns``: idle before it, one case running after it."""

    onset_ns: int
    window_ns: tuple[int, int]
    trace: PowerTrace


@dataclass(frozen=True, slots=True)
class Marker:
    """Load that the board played for an external meter, ``where``: before or after the rounds.

    ``edges_ns``: when load set in, ended, set in again, ... (an even number, rising), on the
    board's clock. ``window_ns`` also holds the idle around it.
    """

    where: str
    edges_ns: NDArray[np.int64]
    window_ns: tuple[int, int]


@dataclass(frozen=True, slots=True)
class MeterReadings:
    """What an external meter measured, in order of its own clock (rising nanoseconds).

    A failed reading is NaN, never 0.
    """

    t_ns: NDArray[np.int64]
    power_w: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class IdleLine:
    """Power of the board with all workers loaded and parked, before or after the rounds.

    ``cases``: keys of the cases whose workers are parked, empty where the journal does not say.
    ``trace`` is ``None`` where only a meter on the host read the power.
    """

    where: str
    window_ns: tuple[int, int]
    trace: PowerTrace | None
    cases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything the journal holds about one case, plus the idle lines it shares with others."""

    case_key: str
    solo: dict[str, Any] | None
    warmup: dict[str, Any] | None
    failure: dict[str, Any] | None
    rounds: tuple[Round, ...]
    idle: tuple[IdleLine, ...]
    health: tuple[dict[str, Any], ...]
    finished: bool
    lost: tuple[str, ...] = field(default=())
    """What could not be read from the journal, in words."""
    loads: tuple[dict[str, Any], ...] = ()
    """Journal records of kind ``warmup``, one per fresh load; ``warmup`` sums them up."""
    accuracy: tuple[dict[str, Any], ...] = ()
    """Journal records of kind ``accuracy``."""
    steps: tuple[LoadStep, ...] = ()
    """Those of all cases: the sensor is the same."""
    markers: tuple[Marker, ...] = ()
    """Those of the job."""
    states: tuple[dict[str, Any], ...] = ()
    """Journal records of kind ``state``, in order."""
    stopping: dict[str, Any] | None = None
    """Why no further latency rounds were taken (journal record ``stopping``)."""
    cooldown: dict[str, Any] | None = None
    """The wait for a temperature (journal record ``cooldown``)."""
    group: tuple[str, ...] = ()
    """Keys of the cases that were loaded side by side, this one included; empty: not known."""
    cut_by: str = ""
    """Why the job did not reach its end, where that is known."""
    sensor_lost: str = ""
    """Why there is no power from some point on, empty when the sensor held out."""
