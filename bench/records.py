"""What is stored: frozen pydantic models that cross a file boundary.

They go into ``manifest.json`` and ``trials.jsonl``, refuse unknown keys and carry a schema
version. What is only passed on, raw arrays included, is in :mod:`bench.recordings`.

Units stand in the names: ``_s`` seconds, ``_ns`` nanoseconds on the board's CLOCK_MONOTONIC,
``_w`` watts, ``_j`` joules, ``_bytes``. A quantity that was not measured is ``None``, never 0.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1


class Record(BaseModel):
    """Base of stored records: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Status(StrEnum):
    """What may be done with a quantity of a trial."""

    VALID = "valid"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNMEASURED = "unmeasured"


class Reason(StrEnum):
    """Why a quantity is not simply valid. The group fixes the status it leads to."""

    # inconclusive
    NOT_STEADY = "not-steady"
    CI_WIDE = "ci-wide"
    WINDOW_SHORT = "window-short"
    SENSOR_GAPS = "sensor-gaps"
    SENSOR_STALE = "sensor-stale"
    LAG_UNKNOWN = "lag-unknown"
    ALIASING = "aliasing"
    THROTTLED = "throttled"
    CLOCK_CHANGED = "clock-changed"
    MODE_CHANGED = "mode-changed"
    TEMPERATURE = "temperature"
    IDLE_DRIFT = "idle-drift"
    BACKGROUND_LOAD = "background-load"
    INTERRUPTED = "interrupted"
    # failed
    PARITY = "parity"
    EXPORT = "export"
    LOAD = "load"
    CRASH = "crash"
    HANG = "hang"
    OUT_OF_MEMORY = "out-of-memory"
    TIMEOUT = "timeout"
    LINK = "link"
    POWER_LOSS = "power-loss"
    # skipped
    UNSUPPORTED = "unsupported"
    # unmeasured
    NO_SENSOR = "no-sensor"
    DECLINED = "declined"


class Source(StrEnum):
    """Where an energy figure comes from. Estimates are never compared with the others."""

    MEASURED = "measured"
    COUNTER = "counter"
    ESTIMATED = "estimated"


class Verdict(Record):
    """Status of one quantity with its reasons; ``detail`` says it in words."""

    status: Status
    reasons: tuple[Reason, ...] = ()
    detail: str = ""


class Case(Record):
    """One cell of the matrix: what is measured, where and how it is run.

    ``weights`` is the weight mode (``load``, ``runtime``, ``factored``), ``None`` for a network
    without templates. ``threads`` is the number of CPU threads that the runtime may use.
    ``power_mode`` is the board's power mode that was asked for, ``None`` to leave it as it is.
    """

    device: str
    model: str
    scheme: str = "dense"
    weights: str | None = None
    runtime: str = "onnxruntime"
    precision: str = "fp32"
    batch: int = 1
    threads: int = 1
    power_mode: str | None = None

    @property
    def key(self) -> str:
        """Readable and unique within a run and device: ``model/scheme/weights/runtime/...``."""
        scheme = self.scheme if self.weights is None else f"{self.scheme}/{self.weights}"
        how = f"{self.runtime}/{self.precision}/b{self.batch}/t{self.threads}"
        key = f"{self.model}/{scheme}/{how}"
        return key if self.power_mode is None else f"{key}/{self.power_mode}"

    @property
    def label(self) -> str:
        """Short text for tables and charts (without what is the same for most cases)."""
        text = f"{self.model} {self.scheme}"
        if self.weights is not None:
            text += f" {self.weights}"
        if self.batch != 1:
            text += f" b{self.batch}"
        return text if self.power_mode is None else f"{text} @{self.power_mode}"


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
    ``sustain_s``: instead of rounds, load one case after the other for so long and record latency,
    power, clocks and temperature over time. ``checkpoint_every_s``: the longest the host is left
    without news.
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
    sustain_s: float | None = None
    checkpoint_every_s: float = 600.0


class BoardState(Record):
    """What is asked of a board before it measures; ``None`` leaves that as it is.

    ``clocks``: ``"max"`` pins them (jetson_clocks, else the cpufreq limits).
    """

    power_mode: str | None = None
    clocks: str | None = None
    governor: str | None = None


class Interval(Record):
    """A two-sided 95 % interval, in the unit of the figure it belongs to."""

    low: float
    high: float


class LatencyStats(Record):
    """Seconds per run of the network (one run handles ``Case.batch`` inputs).

    ``p50_low_s``/``p50_high_s``: 95 % interval of the median from the rounds, ``None`` when
    there are too few; ``p50_method`` says what its batches are (``rounds``, or ``loads`` where the
    rounds are spread over at least three fresh loads). ``p90_ci`` ... ``p99_ci``: 95 % intervals
    (seconds) of the percentiles, by order statistics where samples are independent enough, else by
    a block bootstrap over rounds; ``tail_method`` says which (``order-statistic`` or
    ``block-bootstrap``). A percentile and its interval are ``None`` when there are too few
    *effective* samples for it; the interval also with too few rounds for a bootstrap.
    ``autocorrelation``: lag-1 autocorrelation within rounds. ``effective_samples``: number of
    independent samples that would tell as much. ``queue_mean_s``: mean waiting time (scenario
    ``server``). ``copy_p50_s``/``compute_p50_s``: where the runtime tells them apart.
    """

    samples: int
    rounds: int
    p50_s: float
    p50_low_s: float | None
    p50_high_s: float | None
    p90_s: float | None
    p95_s: float | None
    p99_s: float | None
    mean_s: float
    min_s: float
    mad_s: float
    throughput_per_s: float
    p90_ci: Interval | None = None
    p95_ci: Interval | None = None
    p99_ci: Interval | None = None
    p50_method: str | None = None
    tail_method: str | None = None
    autocorrelation: float | None = None
    effective_samples: float | None = None
    queue_mean_s: float | None = None
    copy_p50_s: float | None = None
    compute_p50_s: float | None = None


class EnergyStats(Record):
    """Joules per inference of one input, with where they come from and what they cover.

    ``gross`` is everything in the scope during the window; ``net`` is gross minus the idle line.
    ``uncertainty_j`` is the expanded (95 %) uncertainty of the gross energy without the sensor's
    gain error, which is ``gain_error`` (relative) and the same for all cases on a board.
    ``net_uncertainty_j`` is that of the net energy, with the drift of the idle line.
    """

    gross_j: float
    net_j: float | None
    uncertainty_j: float | None
    net_uncertainty_j: float | None = None
    uncertainty_parts_j: dict[str, float]
    uncorrected_j: float
    power_w: float
    idle_w: float | None
    source: Source
    scope: str
    sensor: str
    note: str = ""
    lag_s: float | None
    gain_error: float | None
    rounds: int
    window_s: float
    lag_from: str | None = None
    """Where the time constant comes from: ``step`` (fitted step response), ``settings`` (what the
    sensor's files say), ``none`` (an unfiltered source); ``None``: unknown, nothing corrected."""
    lag_uncertainty_s: float | None = None
    refresh_s: float | None = None
    """Mean time between changes of the reading as seen: the sensor's real refresh."""
    read_s: float | None = None
    """Median time that one reading took."""


class MemoryStats(Record):
    """Resident memory of the worker process in the solo pass.

    Rises count from the moment when the runtime is imported and nothing is loaded.
    """

    imported_bytes: int
    load_rise_bytes: int
    steady_rise_bytes: int
    peak_bytes: int


class LoadStats(Record):
    """Time to load the artifact and the time of the first inference (solo pass)."""

    load_s: float
    first_s: float


class Parity(Record):
    """Outputs on the board against the reference outputs made at export."""

    passed: bool
    max_abs_error: float | None
    max_rel_error: float | None
    cosine: float | None
    top1_agreement: float | None
    detail: str = ""


class ArtifactFacts(Record):
    """The exported files of a case: what lies on the board."""

    graph_sha256: str
    weights_sha256: str | None
    file_bytes: int
    opset: int
    ir_version: int
    parameters: int | None = None
    macs: int | None = None


class SustainPoint(Record):
    """One stretch of a sustained load: means over ``duration_s`` from ``at_s`` on."""

    at_s: float
    duration_s: float
    p50_s: float
    power_w: float | None
    temperature_c: float | None
    frequency_khz: float | None


class SustainStats(Record):
    """Behaviour under sustained load: the curve, and the steady value it ends in.

    ``steady_from_s`` is ``None`` when latency was still changing at the end.
    """

    points: tuple[SustainPoint, ...]
    first_p50_s: float
    steady_p50_s: float | None
    steady_from_s: float | None
    steady_power_w: float | None


class RoundFigure(Record):
    """What one round gave: cases measured together are compared round by round.

    ``kind`` is ``latency`` or ``energy``. ``gross_j``: joules per inference of one input.
    """

    kind: str
    index: int
    load: int
    p50_s: float
    gross_j: float | None = None


class Trial(Record):
    """One case measured once. Quantities that have no number are ``None`` with a status."""

    schema_version: int = SCHEMA_VERSION
    trial_id: str
    run_id: str
    case: Case
    latency_status: Verdict
    energy_status: Verdict
    memory_status: Verdict
    latency: LatencyStats | None = None
    energy: EnergyStats | None = None
    memory: MemoryStats | None = None
    load: LoadStats | None = None
    parity: Parity | None = None
    artifact: ArtifactFacts | None = None
    sustain: SustainStats | None = None
    rounds: tuple[RoundFigure, ...] = ()
    facts: dict[str, Any] = {}
    """Free facts from the board: runtime version, warm-up, health before and after."""

    @property
    def failed(self) -> bool:
        """Whether the case as a whole failed (not merely noisy or unmeasured)."""
        verdicts = (self.latency_status, self.energy_status, self.memory_status)
        return any(v.status is Status.FAILED for v in verdicts)


class Manifest(Record):
    """What a run is, written before any hardware is touched and amended with probe facts."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    started_at: str
    command: tuple[str, ...]
    git_revision: str | None
    versions: dict[str, str]
    procedure: Procedure
    devices: dict[str, dict[str, Any]]
    """Configuration of each device as used (no secrets)."""
    cases: tuple[Case, ...]
    probes: dict[str, dict[str, Any]] = {}
    device_errors: dict[str, str] = {}
    finished_at: str | None = None
    interrupted: bool = False


class PowerSource(Record):
    """The sensor chosen for a device and how its channels make up the total.

    ``total``: names of the channels whose sum is the figure; ``lag_s``: time constant of the
    sensor's low-pass (0: unfiltered, ``None``: unknown); ``resolution_w``: one step of the sum.
    """

    sensor: str
    source: Source
    scope: str
    total: tuple[str, ...]
    channels: tuple[str, ...]
    unit: str
    lag_s: float | None
    resolution_w: float | None
    gain_error: float | None
    note: str = ""
    options: dict[str, Any] = {}


class JobFacts(Record):
    """What it takes to turn a device's journal into trials; stored before the job starts.

    ``artifacts`` has the cases of the job by their keys. ``without_power`` is the verdict on
    energy when ``power`` is ``None``.
    """

    schema_version: int = SCHEMA_VERSION
    device: str
    job_id: str
    power: PowerSource | None
    without_power: Verdict
    artifacts: dict[str, ArtifactFacts]
    state: BoardState = BoardState()
