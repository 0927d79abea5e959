"""The figures of a trial, as they are stored.

Units stand in the names: ``_s`` seconds, ``_w`` watts, ``_j`` joules, ``_bytes``. What was not
measured is ``None``, never 0.
"""

from __future__ import annotations

from bench.status import Record, Source


class Interval(Record):
    """A two-sided 95 % interval, in the unit of the figure it belongs to."""

    low: float
    high: float


class LatencyStats(Record):
    """Seconds per run of the network (one run handles ``Case.batch`` inputs).

    ``p50_low_s``/``p50_high_s``: 95 % interval of the median from the rounds, ``None`` when
    there are too few; ``p50_method`` says what its batches are (``rounds``, or ``loads`` where the
    rounds are spread over at least three fresh loads). ``p90_ci`` ... ``p99_ci``: 95 % intervals
    (seconds) of the percentiles; ``tail_method``: by order statistics of single inferences
    (``order-statistic``), at ranks that allow for their correlation (``rounds``), or from the
    percentiles of fresh loads (``loads``). A percentile is ``None`` when there are too few samples
    for it, its interval when too few of them are independent or there are too few rounds.
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
    """Gross energy without the lag correction."""
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
    """Resident memory of the worker process, ``imported`` and ``load_rise`` in the solo pass.

    Rises count from the moment when the runtime is imported and nothing is loaded.
    """

    imported_bytes: int
    load_rise_bytes: int
    steady_rise_bytes: int
    """Mean over the passes."""
    peak_bytes: int
    """Highest resident memory of a process until then, mean over the passes."""
    passes: int = 1
    """Processes that loaded the model: the solo pass and each fresh load of the rounds."""
    steady_rise_half_width_bytes: float | None = None
    """95 % half-width of the mean, from three passes on."""
    peak_half_width_bytes: float | None = None
    """As ``steady_rise_half_width_bytes``."""


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


class LabelledFacts(Record):
    """A labelled set that accuracy is counted on. ``sha256``: of its images, labels and scaling."""

    name: str
    images: int
    classes: int
    sha256: str


class AccuracyStats(Record):
    """Shares (0..1) of a labelled set that the deployed artifact classified right on the board.

    ``top1_low`` and ``top1_high``: 95 % interval for so many images. ``top5`` is ``None`` with five
    classes or fewer. ``problem``: why there is no figure, in one line.
    """

    dataset: LabelledFacts
    top1: float | None = None
    top1_low: float | None = None
    top1_high: float | None = None
    top5: float | None = None
    problem: str = ""


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
