"""The figures of a trial that are about time and memory.

Bounds and order of figures are checked, since a stored trial may come from anybody.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from bench.records.base import Record
from bench.records.bounded import Bound, Count, Figure, NotNegative, Positive, Whole


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
