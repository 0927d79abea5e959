"""Where an external meter's readings lie on the board's clock, from load markers.

Board and meter share no clock. The board plays two groups of load markers
(:mod:`bench.analysis.marker_pattern`) and journals when load really set in and ended. A group is
found in the meter's readings by correlation over the whole recording; then power is fitted as
``a + c·t + b·s(t)``, s being the share of a reading's time that was under load, for many offsets.
The likelihood of the offsets (noise of unknown size, Student's form) has a mean and a 95 %
interval: the offset and its uncertainty. The offsets of the two groups make a straight line between
the two clocks, and its slope is their drift.

A reading is either the mean over the time since the one before (``mean``) or the power at one
moment (``instant``). Both are fitted and the likelier is taken, unless it is declared. Either way
the time that is found is that of the reading's middle, whatever time the meter itself writes beside
a reading, and a delay of its own (a filter) is part of the offset.

A job that ended before the closing markers has the opening ones alone. They tell the offset; the
drift is then not known and taken to lie within :data:`UNKNOWN_DRIFT`, so that times become less
certain the later they are, and a clock that was set meanwhile does not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.analysis.marker_fit import FINEST_S, Place, fit_place
from bench.analysis.marker_search import (
    Floats,
    Misaligned,
    Pattern,
    candidates,
    has_gap,
    middle_ns,
    pattern_of,
    require_whole,
)
from bench.records.recordings import Marker, MeterReadings

MAX_DRIFT = 200e-6
"""Two quartz clocks differ by at most some 100 ppm; more than this is a clock that was set."""

UNKNOWN_DRIFT = 100e-6
"""Half-width of the drift where nothing tells it."""

CLEARLY = 9.0
"""How far (in logarithms of the likelihood) any other place must be behind: a factor of 8000."""

MIN_READINGS = 12
"""Fewest readings of a group."""

_WHERE = ("before", "after")


@dataclass(frozen=True, slots=True)
class Alignment:
    """The meter's clock shows ``meter_ns`` when the board's shows ``board_ns`` (two moments each).

    ``uncertainty_s``: 95 % half-width of a time between them. ``drift_ppm``: how much faster the
    meter's clock runs, with its 95 % half-width. ``reading``: ``mean`` or ``instant``.
    ``rise_w``: by how much the load of the markers raised the power. ``is_closed``: whether both
    groups were found; by the opening one alone ``uncertainty_s`` is that of the last reading.
    """

    meter_ns: tuple[int, int]
    board_ns: tuple[int, int]
    uncertainty_s: float
    drift_ppm: float
    drift_uncertainty_ppm: float
    reading: str
    period_s: float
    rise_w: float
    is_closed: bool = True

    def on_board(self, t_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return times of the meter's clock as times of the board's."""
        first, last = self.board_ns
        rate = (last - first) / (self.meter_ns[1] - self.meter_ns[0])
        moved_ns = np.rint((t_ns - self.meter_ns[0]) * (rate - 1)).astype(np.int64)
        on_board: NDArray[np.int64] = t_ns + (first - self.meter_ns[0]) + moved_ns
        return on_board


def align(readings: MeterReadings, markers: Sequence[Marker], reading: str = "auto") -> Alignment:
    """Return how the meter's clock goes with the board's.

    Args:
        readings: on the meter's own clock; a failed one is NaN.
        markers: what the board journaled of the groups ``before`` and ``after`` the rounds.
        reading: ``mean``, ``instant``, or ``auto`` to let the fit tell.

    Raises:
        Misaligned: the opening group was not played, one that was played is not found, or the two
            contradict each other.
    """
    groups = _groups(markers)
    good = np.isfinite(readings.power_w)
    if good.sum() < len(groups) * MIN_READINGS:
        raise Misaligned(f"the meter gave {int(good.sum())} readings, too few to find the markers")
    zero_ns = int(readings.t_ns[0])
    t_s = np.asarray((readings.t_ns[good] - zero_ns) * 1e-9, dtype=np.float64)
    power_w = readings.power_w[good]
    period_s = float(np.median(np.diff(t_s)))
    if period_s <= 0:
        raise Misaligned("the meter's clock stands still")
    apart_s = (middle_ns(groups[-1]) - middle_ns(groups[0])) * 1e-9
    if t_s[-1] - t_s[0] < apart_s:
        raise Misaligned(
            f"the meter's readings cover {t_s[-1] - t_s[0]:.1f} s, less than the {apart_s:.1f} s "
            "between the two groups of load markers"
        )
    chosen, places = _fitted(t_s, power_w, groups, period_s, reading)
    if len(groups) == 1:
        # Two moments a second apart, by both clocks alike.
        places, apart_s = [places[0], replace(places[0], at_s=places[0].at_s + 1)], 1.0
        uncertainty_s = places[0].uncertainty_s + UNKNOWN_DRIFT * float(t_s[-1] - places[0].at_s)
        drift, drift_uncertainty = 0.0, UNKNOWN_DRIFT
    else:
        uncertainty_s = max(place.uncertainty_s for place in places)
        drift, drift_uncertainty = _drift(places, apart_s)
    board_ns = middle_ns(groups[0])
    return Alignment(
        meter_ns=(zero_ns + round(places[0].at_s * 1e9), zero_ns + round(places[1].at_s * 1e9)),
        board_ns=(board_ns, board_ns + round(apart_s * 1e9)),
        uncertainty_s=uncertainty_s,
        drift_ppm=drift * 1e6,
        drift_uncertainty_ppm=drift_uncertainty * 1e6,
        reading=chosen,
        period_s=period_s,
        rise_w=float(np.mean([place.rise_w for place in places])),
        is_closed=len(groups) == 2,
    )


def _fitted(
    t_s: Floats, power_w: Floats, groups: Sequence[Marker], period_s: float, reading: str
) -> tuple[str, list[Place]]:
    """Return what kind the readings are (the likelier where nobody said) and where each group lies.

    Raises:
        Misaligned: one lies nowhere, or in several places.
    """
    kinds = ("mean", "instant") if reading == "auto" else (reading,)
    if period_s < FINEST_S:
        # Faster than anybody asks for: both kinds are means over FINEST_S by then.
        kinds = kinds[:1]
    fits = {
        kind: [_places(t_s, power_w, pattern_of(marker), period_s, kind) for marker in groups]
        for kind in kinds
    }
    chosen = max(kinds, key=lambda kind: sum(found[0].log_likelihood for found in fits[kind]))
    return chosen, [
        _only(found, marker.where) for found, marker in zip(fits[chosen], groups, strict=True)
    ]


def _drift(places: Sequence[Place], apart_s: float) -> tuple[float, float]:
    """Return by how much faster the meter's clock runs, with its half-width.

    Raises:
        Misaligned: by more than two clocks differ that nobody set.
    """
    error_s = float(np.hypot(places[0].uncertainty_s, places[1].uncertainty_s))
    drift = (places[1].at_s - places[0].at_s) / apart_s - 1
    if abs(drift) > MAX_DRIFT + 2 * error_s / apart_s:
        raise Misaligned(
            f"the two groups of load markers contradict each other: {apart_s:.3f} s apart by the "
            f"board's clock, {places[1].at_s - places[0].at_s:.3f} s by the meter's; was a clock "
            "set meanwhile?"
        )
    return drift, error_s / apart_s


def _groups(markers: Sequence[Marker]) -> list[Marker]:
    """Return the groups that were played, in order; of two of one name the first.

    Raises:
        Misaligned: the opening one was not, or the two are not in this order.
    """
    first = {marker.where: marker for marker in reversed(markers)}
    if _WHERE[0] not in first:
        raise Misaligned(
            "the load markers before the rounds were not played (the job ended before them, or "
            "they failed)"
        )
    found = [first[where] for where in _WHERE if where in first]
    if len(found) == 2 and middle_ns(found[1]) <= middle_ns(found[0]):
        raise Misaligned("the load markers after the rounds do not lie after those before them")
    return found


def _places(
    t_s: Floats, power_w: Floats, pattern: Pattern, period_s: float, kind: str
) -> list[Place]:
    """Return where a group may lie, the likeliest place first.

    Raises:
        Misaligned: nowhere, or where readings are missing.
    """
    candidates_s = candidates(t_s, power_w, pattern, period_s)
    require_whole(t_s, pattern, candidates_s[0], period_s)
    places = [
        fit_place(t_s, power_w, pattern, at_s, period_s, kind)
        for at_s in candidates_s
        if not has_gap(t_s, pattern, at_s, period_s)
    ]
    return sorted(places, key=lambda place: -place.log_likelihood)


def _only(places: Sequence[Place], where: str) -> Place:
    """Return the one place where a group lies.

    Raises:
        Misaligned: there are several, or the power does not rise with the load there.
    """
    if len(places) > 1 and places[1].log_likelihood > places[0].log_likelihood - CLEARLY:
        raise Misaligned(
            f"the load markers {where} the rounds fit the meter's readings in two places"
        )
    if places[0].rise_w <= 0:
        raise Misaligned(f"the load markers {where} the rounds do not raise the meter's power")
    return places[0]
