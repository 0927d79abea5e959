"""Power and energy of a case: the board's sensor, an external meter, and how they go together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import Field

from bench.records.base import Record
from bench.records.bounded import Count, Figure, NotNegative, Positive
from bench.records.status import Source, Verdict

if TYPE_CHECKING:  # numpy takes a tenth of a second, and devices.yaml needs these shapes
    import numpy as np
    from numpy.typing import NDArray

    Watts = TypeVar("Watts", float, NDArray[np.float64])
_Word = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


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


class MeterFacts(Record):
    """The external meter of a device, as devices.yaml has it; ``period_s``: between two readings,
    as seen before the job."""

    kind: str
    scope: str
    reading: Literal["auto", "mean", "instant"] = "auto"
    period_s: Positive
    gain_error: NotNegative | None = None


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


class Metered(Record):
    """What an external meter says of a case, kept apart from the board's own sensor."""

    status: Verdict
    energy: EnergyStats | None = None
    alignment: AlignmentStats | None = None
    rounds_j: dict[int, Figure] = Field(default_factory=dict)
    """Joules per inference of one input by the index of the round."""
    calibration: SensorCalibration | None = None
    """The board's sensor against the meter, over all windows of the job."""
