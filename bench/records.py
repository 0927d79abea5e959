"""What is stored: frozen pydantic models that cross a file boundary.

They go into ``manifest.json`` and ``trials.jsonl``, refuse unknown keys and carry a schema
version. What is only passed on, raw arrays included, is in :mod:`bench.recordings`.

Units stand in the names: ``_s`` seconds, ``_ns`` nanoseconds on the board's CLOCK_MONOTONIC,
``_w`` watts, ``_j`` joules, ``_bytes``. A quantity that was not measured is ``None``, never 0.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from bench.bounded import Count, Figure, NotNegative, Positive
from bench.facts import ProbeFacts, TrialFacts
from bench.figures import (
    AccuracyStats,
    AlignmentStats,
    ArtifactFacts,
    EnergyStats,
    LabelledFacts,
    LatencyStats,
    LoadStats,
    MemoryStats,
    Parity,
    PowerCalibration,
    RoundFigure,
    SensorCalibration,
    SustainStats,
)
from bench.manifest_parts import Incident, PlanFacts, PluginFacts, Pool, Resumption
from bench.status import Reason, Record, Source, Status, Verdict

SCHEMA_VERSION = 1


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
    batch: Annotated[int, Field(ge=1)] = 1
    threads: Annotated[int, Field(ge=1)] = 1
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


class MeterFacts(Record):
    """The external meter of a device, as devices.yaml has it; ``period_s``: between two readings,
    as seen before the job."""

    kind: str
    scope: str
    reading: Literal["auto", "mean", "instant"] = "auto"
    period_s: Positive
    gain_error: NotNegative | None = None


class Metered(Record):
    """What an external meter says of a case, kept apart from the board's own sensor."""

    status: Verdict
    energy: EnergyStats | None = None
    alignment: AlignmentStats | None = None
    rounds_j: dict[int, Figure] = Field(default_factory=dict)
    """Joules per inference of one input by the index of the round."""
    calibration: SensorCalibration | None = None
    """The board's sensor against the meter, over all windows of the job."""


class Trial(Record):
    """One case measured once. Quantities that have no number are ``None`` with a status."""

    schema_version: int = SCHEMA_VERSION
    trial_id: str
    run_id: str
    case: Case
    attempt: Count = 0
    """0 in the run itself, then one more for each time that it was resumed; the highest counts."""
    latency_status: Verdict
    energy_status: Verdict
    memory_status: Verdict
    latency: LatencyStats | None = None
    energy: EnergyStats | None = None
    memory: MemoryStats | None = None
    load: LoadStats | None = None
    parity: Parity | None = None
    accuracy: AccuracyStats | None = None
    artifact: ArtifactFacts | None = None
    sustain: SustainStats | None = None
    rounds: tuple[RoundFigure, ...] = ()
    meter: Metered | None = None
    """``None`` where no external meter was attached."""
    facts: TrialFacts = Field(default_factory=TrialFacts)
    """What else the board told: runtime version, warm-up, health before and after."""

    @property
    def failed(self) -> bool:
        """Whether the case as a whole failed (not merely noisy or unmeasured)."""
        return any(verdict.status is Status.FAILED for verdict in self.verdicts)

    @property
    def interrupted(self) -> bool:
        """Whether the job of this trial ended before the case had all its rounds."""
        return any(Reason.INTERRUPTED in verdict.reasons for verdict in self.verdicts)

    @property
    def verdicts(self) -> tuple[Verdict, Verdict, Verdict]:
        """Those of latency, energy and memory; an external meter has its own."""
        return (self.latency_status, self.energy_status, self.memory_status)


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
    pools: tuple[Pool, ...] = ()
    """Empty unless cases were shared out (``--spread``)."""
    incidents: tuple[Incident, ...] = ()
    plan: PlanFacts = PlanFacts()
    plugins: tuple[PluginFacts, ...] = ()
    resumptions: tuple[Resumption, ...] = ()
    probes: dict[str, ProbeFacts] = Field(default_factory=dict)
    """By device; they lie in files of their own (:mod:`bench.store.probes`)."""
    device_errors: dict[str, str] = Field(default_factory=dict)
    finished_at: str | None = None
    interrupted: bool = False


class PowerSource(Record):
    """The sensor chosen for a device and how its channels make up the total.

    ``total``: names of the channels whose sum is the figure; ``lag_s``: time constant of the
    sensor's low-pass (0: unfiltered, ``None``: unknown); ``resolution_w``: one step of the sum.
    ``refresh_s``: how often the value is renewed, ``period_s``: reading more often is of no use;
    ``None`` where nothing tells. ``why`` says in words why it is this one. ``calibration`` corrects
    what is computed from its readings, which stay as they came.
    """

    sensor: str
    source: Source
    scope: str
    total: tuple[str, ...]
    channels: tuple[str, ...]
    unit: Literal["W", "J"]
    lag_s: NotNegative | None
    resolution_w: NotNegative | None
    gain_error: NotNegative | None
    note: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    refresh_s: NotNegative | None = None
    period_s: NotNegative | None = None
    why: str = ""
    calibration: PowerCalibration | None = None


class JobEnd(Record):
    """How a job ended of which the board has nothing more that is not here.

    ``finished``: by itself, or since it was asked to. ``dead``: its processes died, and what its
    journal had is here. ``lost``: the board has nothing of it. ``rebooted``: the board was switched
    off or restarted under it. ``text`` says it in words, for whoever reads the results.
    """

    state: Literal["finished", "dead", "lost"]
    rebooted: bool = False
    text: str = ""


class JobFacts(Record):
    """What it takes to turn a device's journal into trials; stored before the job starts.

    ``artifacts`` has the cases of the job by their keys. ``without_power`` is the verdict on
    energy when ``power`` is ``None``. ``attempt``: as in :class:`Trial`. ``end``: how the job
    ended, once everything of it is here and the board knows that.
    """

    schema_version: int = SCHEMA_VERSION
    device: str
    job_id: str
    power: PowerSource | None
    without_power: Verdict
    artifacts: dict[str, ArtifactFacts]
    state: BoardState = BoardState()
    attempt: Count = 0
    end: JobEnd | None = None
    emulated: bool = False
    """Whether the board is no hardware: its latencies are then never valid."""
    meter: MeterFacts | None = None
    place: str | None = None
    """The labgrid place that the device stood for, if it is one."""
    labelled: dict[str, LabelledFacts] = Field(default_factory=dict)
    """Labelled sets that accuracy is counted on, by the cases of the job that have one."""
