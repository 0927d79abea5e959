"""The figures of a trial, as they are stored.

Units stand in the names: ``_s`` seconds, ``_w`` watts, ``_j`` joules, ``_bytes``. What was not
measured is ``None``, never 0. Bounds and order of figures are checked, since a stored trial may
come from anybody.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Self, TypeVar

from pydantic import Field, model_validator

from bench.bounded import Bound, Count, Figure, NotNegative, Positive, Share, Whole
from bench.status import Record, Source

if TYPE_CHECKING:  # numpy takes a tenth of a second, and devices.yaml needs these shapes
    import numpy as np
    from numpy.typing import NDArray

    Watts = TypeVar("Watts", float, NDArray[np.float64])
_Word = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Interval(Record):
    """A two-sided 95 % interval, in the unit of the figure it belongs to."""

    low: Bound
    high: Bound


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
    ``server``). ``copy_p50_s``/``compute_p50_s``: medians of the copies to the GPU and back, and of
    the computation, where the runtime tells them apart (they need not add up to ``p50_s``).
    """

    samples: Count
    rounds: Count
    p50_s: Positive
    p50_low_s: Bound | None
    p50_high_s: Bound | None
    p90_s: Positive | None
    p95_s: Positive | None
    p99_s: Positive | None
    mean_s: Positive
    min_s: Positive
    mad_s: NotNegative
    throughput_per_s: NotNegative
    p90_ci: Interval | None = None
    p95_ci: Interval | None = None
    p99_ci: Interval | None = None
    p50_method: str | None = None
    tail_method: str | None = None
    autocorrelation: Figure | None = None
    effective_samples: NotNegative | None = None
    queue_mean_s: NotNegative | None = None
    copy_p50_s: NotNegative | None = None
    compute_p50_s: NotNegative | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        """Charts draw intervals from their figure, and tails beyond the median."""
        low_s, high_s = self.p50_low_s, self.p50_high_s
        if (low_s is None) != (high_s is None):
            raise ValueError("the interval of the median has one end")
        if low_s is not None and high_s is not None and not low_s <= self.p50_s <= high_s:
            raise ValueError("the median lies outside of its interval")
        if self.p90_s is not None and self.p90_s < self.p50_s:
            raise ValueError("p90 lies below the median")
        tails = ((self.p90_s, self.p90_ci), (self.p95_s, self.p95_ci), (self.p99_s, self.p99_ci))
        if any(value_s is None and interval is not None for value_s, interval in tails):
            raise ValueError("a percentile is missing, but not its interval")
        return self


class PowerCalibration(Record):
    """What corrects a board's sensor: reading = ``offset_w`` + ``gain`` · power, by a meter.

    It holds for the ``total`` channels of ``sensor`` and was made in ``run`` between ``low_w`` and
    ``high_w``. The half-widths are those of 95 % intervals. Offset and gain err together: the
    height of the line errs independently of its gain at ``middle_w`` (``None``: not known, and
    taken for 0 W, which makes the error of a power too large rather than too small).
    ``meter_gain_error`` is the meter's own, relative, ``None`` where it is not stated.
    """

    gain: Positive
    offset_w: Figure
    gain_half_width: NotNegative
    offset_half_width_w: NotNegative
    middle_w: Figure | None = None
    low_w: Figure
    high_w: Figure
    sensor: _Word
    total: Annotated[tuple[_Word, ...], Field(min_length=1)]
    meter: _Word
    meter_gain_error: NotNegative | None = None
    run: _Word

    def power_w(self, reading_w: Watts) -> Watts:
        """Return the power that a reading stands for."""
        return (reading_w - self.offset_w) / self.gain

    def error_at(self, power_w: float) -> float:
        """Return the relative 95 % half-width of a power above 0 W, the meter's own error included
        where that is known."""
        middle_w = self.middle_w or 0.0
        height_w2 = self.offset_half_width_w**2 - (middle_w * self.gain_half_width) ** 2
        half_w = math.hypot(
            math.sqrt(max(height_w2, 0.0)), (power_w - middle_w) * self.gain_half_width
        )
        return math.hypot(half_w / self.gain / power_w, self.meter_gain_error or 0.0)

    @property
    def words(self) -> str:
        """By what and when it was made."""
        return f"calibrated against {self.meter} in {self.run}"


class EnergyStats(Record):
    """Joules per inference of one input, with where they come from and what they cover.

    ``gross`` is everything in the scope during the window; ``net`` is gross minus the idle line.
    ``uncertainty_j`` is the expanded (95 %) uncertainty of the gross energy without the sensor's
    gain error, which is ``gain_error`` (relative) and the same for all cases on a board.
    ``net_uncertainty_j`` is that of the net energy, with the drift of the idle line.
    ``calibration`` has corrected all figures; then ``gain_error`` is its own, at this mean power.
    """

    gross_j: Positive
    net_j: Figure | None
    uncertainty_j: NotNegative | None
    net_uncertainty_j: NotNegative | None = None
    uncertainty_parts_j: dict[str, NotNegative]
    uncorrected_j: Figure
    """Gross energy without the lag correction."""
    power_w: Figure
    idle_w: Figure | None
    source: Source
    scope: str
    sensor: str
    note: str = ""
    lag_s: NotNegative | None
    gain_error: NotNegative | None
    rounds: Count
    window_s: NotNegative
    lag_from: str | None = None
    """Where the time constant comes from: ``step`` (fitted step response), ``settings`` (what the
    sensor's files say), ``none`` (an unfiltered source); ``None``: unknown, nothing corrected."""
    lag_uncertainty_s: NotNegative | None = None
    refresh_s: NotNegative | None = None
    """Mean time between changes of the reading as seen: the sensor's real refresh."""
    read_s: NotNegative | None = None
    """Median time that one reading took."""
    calibration: PowerCalibration | None = None


class AlignmentStats(Record):
    """How an external meter's clock was found to go with the board's, by load markers.

    ``uncertainty_s``: 95 % half-width of a reading's time. ``drift_ppm``: how much faster the
    meter's clock runs, with its 95 % half-width. ``reading``: ``mean`` over the meter's period, or
    the power of one ``instant``. ``rise_w``: what the markers' load added. ``is_closed``: whether
    markers after the rounds confirm those before; without them the drift is an assumption.
    """

    uncertainty_s: NotNegative
    drift_ppm: Figure
    drift_uncertainty_ppm: NotNegative
    reading: str
    period_s: Positive
    rise_w: Figure
    is_closed: bool = True


class SensorCalibration(Record):
    """A board's sensor against an external meter: sensor = offset + gain · meter.

    Over ``windows`` whose mean powers span ``low_w`` to ``high_w`` by the meter; ``_low`` and
    ``_high``: 95 % intervals; ``scatter_w``: standard deviation about the line, by the sensor;
    ``middle_w``: as in :class:`PowerCalibration`.
    """

    sensor: str
    sensor_scope: str
    meter: str
    meter_scope: str
    gain: Figure
    gain_low: Figure
    gain_high: Figure
    offset_w: Figure
    offset_low_w: Figure
    offset_high_w: Figure
    windows: Count
    low_w: Figure
    high_w: Figure
    scatter_w: NotNegative
    middle_w: Figure | None = None


class MemoryStats(Record):
    """Resident memory of the worker process, ``imported`` and ``load_rise`` in the solo pass.

    Rises count from the moment when the runtime is imported and nothing is loaded.
    """

    imported_bytes: Whole
    load_rise_bytes: Whole
    steady_rise_bytes: Whole
    """Mean over the passes."""
    peak_bytes: Whole
    """Highest resident memory of a process until then, mean over the passes."""
    passes: Count = 1
    """Processes that loaded the model: the solo pass and each fresh load of the rounds."""
    steady_rise_half_width_bytes: NotNegative | None = None
    """95 % half-width of the mean, from three passes on."""
    peak_half_width_bytes: NotNegative | None = None
    """As ``steady_rise_half_width_bytes``."""
    gpu_rise_bytes: Whole | None = None
    """Rise of all memory in use on the GPU by the load of the solo pass, where that is known."""


class LoadStats(Record):
    """Time to load the artifact and the time of the first inference (solo pass)."""

    load_s: NotNegative
    first_s: NotNegative


class Parity(Record):
    """Outputs on the board against the reference outputs made at export."""

    passed: bool
    max_abs_error: Figure | None
    max_rel_error: Figure | None
    cosine: Figure | None
    top1_agreement: Figure | None
    detail: str = ""


class LabelledFacts(Record):
    """A labelled set that accuracy is counted on. ``sha256``: of its images, labels and scaling."""

    name: str
    images: Count
    classes: Count
    sha256: str


class AccuracyStats(Record):
    """Shares (0..1) of a labelled set that the deployed artifact classified right on the board.

    ``top1_low`` and ``top1_high``: 95 % interval for so many images. ``top5`` is ``None`` with five
    classes or fewer. ``problem``: why there is no figure, in one line.
    """

    dataset: LabelledFacts
    top1: Share | None = None
    top1_low: Share | None = None
    top1_high: Share | None = None
    top5: Share | None = None
    problem: str = ""


class TrainingFacts(Record):
    """The ``bench train`` that deployed weights come from, as its result says.

    ``test_top1``: share (0..1) of its ``test_images`` of the data set ``data``. ``None``: not told.
    """

    seed: Count
    data: str | None = None
    epochs: Count | None = None
    test_images: Count | None = None
    test_top1: Share | None = None


class ArtifactFacts(Record):
    """The exported files of a case: what lies on the board."""

    graph_sha256: str
    weights_sha256: str | None
    file_bytes: Count
    opset: int
    ir_version: int
    parameters: int | None = None
    macs: int | None = None
    training: TrainingFacts | None = None
    """``None`` where the weights are pseudo-random or of a model of one's own."""
    shares: bool = False
    """Whether it is a torch network of one's own whose layers draw on shared templates."""


class SustainPoint(Record):
    """One stretch of a sustained load: means over ``duration_s`` from ``at_s`` on."""

    at_s: NotNegative
    duration_s: NotNegative
    p50_s: Positive
    power_w: Figure | None
    temperature_c: Figure | None
    frequency_khz: Figure | None


class SustainStats(Record):
    """Behaviour under sustained load: the curve, and the steady value it ends in.

    ``steady_from_s`` is ``None`` when latency was still changing at the end.
    """

    points: Annotated[tuple[SustainPoint, ...], Field(min_length=1)]
    first_p50_s: Positive
    steady_p50_s: Positive | None
    steady_from_s: NotNegative | None
    steady_power_w: Figure | None

    @model_validator(mode="after")
    def _steady_from_some_time(self) -> Self:
        if (self.steady_p50_s is None) != (self.steady_from_s is None):
            raise ValueError("the steady value and the time from which it holds go together")
        return self


class RoundFigure(Record):
    """What one round gave: cases measured together are compared round by round.

    ``kind`` is ``latency`` or ``energy``. ``gross_j``: joules per inference of one input.
    """

    kind: str
    index: Count
    load: Count
    p50_s: Positive
    gross_j: Figure | None = None
