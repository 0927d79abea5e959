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
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import correlate

from bench.recordings import Marker, MeterReadings

MAX_DRIFT = 200e-6
"""Two quartz clocks differ by at most some 100 ppm; more than this is a clock that was set."""

MIN_CORRELATION = 0.5
"""Below this a pattern is not there: rounds of load were seen to resemble one by up to 0.4."""

CANDIDATES = 4
"""Places that correlate best and are looked at closely; a slow meter needs that."""

CLEARLY = 9.0
"""How far (in logarithms of the likelihood) any other place must be behind: a factor of 8000."""

GAP_PERIODS = 3.0
"""Readings of a group further apart than this have a gap over the marker."""

MOST_STEPS = 40_000_000
"""More steps of the search are a clock that jumped, not a job: nine days of a fast meter."""

MIN_READINGS = 12
"""Fewest readings of a group."""

_FINEST_S = 2e-3
"""Readings that come faster are averaged over this before the fit; a fifth of what is promised."""

_STEPS = 240
"""Offsets at which the likelihood is computed, before it is looked at more closely."""

_LEAST_S = 1e-4
_LEAST_PERIODS = 0.005
"""No offset is claimed to be known better: neither edges nor readings are dated better."""

Floats = NDArray[np.float64]


class Misaligned(ValueError):
    """Why the readings have no place on the board's clock, in words."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """The meter's clock shows ``meter_ns`` when the board's shows ``board_ns`` (two moments each).

    ``uncertainty_s``: 95 % half-width of a time between them. ``drift_ppm``: how much faster the
    meter's clock runs, with its 95 % half-width. ``reading``: ``mean`` or ``instant``.
    ``rise_w``: by how much the load of the markers raised the power.
    """

    meter_ns: tuple[int, int]
    board_ns: tuple[int, int]
    uncertainty_s: float
    drift_ppm: float
    drift_uncertainty_ppm: float
    reading: str
    period_s: float
    rise_w: float

    def on_board(self, t_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return times of the meter's clock as times of the board's."""
        first, last = self.board_ns
        rate = (last - first) / (self.meter_ns[1] - self.meter_ns[0])
        moved_ns = np.rint((t_ns - self.meter_ns[0]) * (rate - 1)).astype(np.int64)
        on_board: NDArray[np.int64] = t_ns + (first - self.meter_ns[0]) + moved_ns
        return on_board


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A group of markers in seconds from its middle."""

    edges_s: Floats
    start_s: float
    stop_s: float
    where: str

    @property
    def shortest_s(self) -> float:
        return float(np.diff(self.edges_s).min())

    def share(self, t_s: Floats, width_s: float) -> Floats:
        """Return the share of ``width_s`` around each time that is under load (0: one moment)."""
        if width_s <= 0:
            return np.asarray(np.searchsorted(self.edges_s, t_s) % 2, dtype=np.float64)
        loaded_s = np.cumsum(np.diff(self.edges_s) * (np.arange(self.edges_s.size - 1) % 2 == 0))
        so_far_s = np.concatenate(([0.0], loaded_s))
        high, low = (
            np.interp(t_s + side * width_s / 2, self.edges_s, so_far_s) for side in (1, -1)
        )
        return np.asarray((high - low) / width_s, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Place:
    """A group found: the meter's time (seconds) of its middle, with its 95 % half-width."""

    at_s: float
    uncertainty_s: float
    rise_w: float
    log_likelihood: float
    """That of normal noise of the size that is left, up to what all places have in common."""


def align(readings: MeterReadings, markers: Sequence[Marker], reading: str = "auto") -> Alignment:
    """Return how the meter's clock goes with the board's.

    Args:
        readings: on the meter's own clock; a failed one is NaN.
        markers: what the board journaled of the groups ``before`` and ``after`` the rounds.
        reading: ``mean``, ``instant``, or ``auto`` to let the fit tell.

    Raises:
        Misaligned: a group was not played or cannot be found, or the two contradict each other.
    """
    groups = before, after = [_group(markers, where) for where in _WHERE]
    good = np.isfinite(readings.power_w)
    if good.sum() < 2 * MIN_READINGS:
        raise Misaligned(f"the meter gave {int(good.sum())} readings, too few to find the markers")
    zero_ns = int(readings.t_ns[0])
    t_s = np.asarray((readings.t_ns[good] - zero_ns) * 1e-9, dtype=np.float64)
    power_w = readings.power_w[good]
    period_s = float(np.median(np.diff(t_s)))
    if period_s <= 0:
        raise Misaligned("the meter's clock stands still")
    apart_s = (_middle_ns(after) - _middle_ns(before)) * 1e-9
    if t_s[-1] - t_s[0] < apart_s:
        raise Misaligned(
            f"the meter's readings cover {t_s[-1] - t_s[0]:.1f} s, less than the {apart_s:.1f} s "
            "between the two groups of load markers"
        )
    kinds = ("mean", "instant") if reading == "auto" else (reading,)
    if period_s < _FINEST_S:
        # Faster than anybody asks for: both kinds are means over _FINEST_S by then.
        kinds = kinds[:1]
    fits = {
        kind: [_places(t_s, power_w, _pattern(marker), period_s, kind) for marker in groups]
        for kind in kinds
    }
    chosen = max(kinds, key=lambda kind: sum(found[0].log_likelihood for found in fits[kind]))
    places = [_only(found, where) for found, where in zip(fits[chosen], _WHERE, strict=True)]
    error_s = float(np.hypot(places[0].uncertainty_s, places[1].uncertainty_s))
    drift = (places[1].at_s - places[0].at_s) / apart_s - 1
    if abs(drift) > MAX_DRIFT + 2 * error_s / apart_s:
        raise Misaligned(
            f"the two groups of load markers contradict each other: {apart_s:.3f} s apart by the "
            f"board's clock, {places[1].at_s - places[0].at_s:.3f} s by the meter's; was a clock "
            "set meanwhile?"
        )
    return Alignment(
        meter_ns=(zero_ns + round(places[0].at_s * 1e9), zero_ns + round(places[1].at_s * 1e9)),
        board_ns=(_middle_ns(before), _middle_ns(after)),
        uncertainty_s=max(place.uncertainty_s for place in places),
        drift_ppm=drift * 1e6,
        drift_uncertainty_ppm=error_s / apart_s * 1e6,
        reading=chosen,
        period_s=period_s,
        rise_w=float(np.mean([place.rise_w for place in places])),
    )


_WHERE = ("before", "after")


def _group(markers: Sequence[Marker], where: str) -> Marker:
    for marker in markers:
        if marker.where == where:
            return marker
    raise Misaligned(f"the load markers {where} the rounds were not played")


def _middle_ns(marker: Marker) -> int:
    return (int(marker.edges_ns[0]) + int(marker.edges_ns[-1])) // 2


def _pattern(marker: Marker) -> _Pattern:
    middle_ns = _middle_ns(marker)
    start_ns, stop_ns = marker.window_ns
    return _Pattern(
        np.asarray((marker.edges_ns - middle_ns) * 1e-9, dtype=np.float64),
        (start_ns - middle_ns) * 1e-9,
        (stop_ns - middle_ns) * 1e-9,
        marker.where,
    )


def _candidates(t_s: Floats, power_w: Floats, pattern: _Pattern, period_s: float) -> list[float]:
    """Return about where the middle of a group may lie, by correlation over the recording."""
    grid_s = max(period_s, pattern.shortest_s / 6)
    phases = max(1, int(np.ceil(4 * grid_s / pattern.shortest_s)))
    wanted = pattern.share(np.arange(pattern.start_s, pattern.stop_s, grid_s), grid_s)
    if t_s[-1] > MOST_STEPS * grid_s:
        raise Misaligned(
            f"the meter's readings span {t_s[-1] / 86400:.1f} days by its clock: was it set "
            "meanwhile?"
        )
    scores: list[Floats] = [np.empty(0)]
    places_s: list[Floats] = [np.empty(0)]
    for phase in range(phases):
        begin_s = grid_s * phase / phases
        y_w = _on_grid(t_s, power_w, begin_s, grid_s)
        if y_w.size >= wanted.size:
            scores.append(_correlation(y_w, wanted))
            steps = np.arange(scores[-1].size, dtype=np.float64)
            places_s.append(
                np.asarray(begin_s - pattern.start_s + grid_s * steps, dtype=np.float64)
            )
    score, at_s = np.concatenate(scores), np.concatenate(places_s)
    if score.size == 0:
        raise Misaligned("the recording of the meter is shorter than a group of load markers")
    best = float(score.max())
    if best < MIN_CORRELATION:
        spread = "" if np.ptp(power_w) > 0 else ": its readings are all the same"
        raise Misaligned(
            f"the load markers {pattern.where} the rounds cannot be found in the meter's readings "
            f"(correlation {max(best, 0.0):.2f}, wanted {MIN_CORRELATION}){spread}"
        )
    found: list[float] = []
    apart_s = 2 * float(np.diff(pattern.edges_s).max())
    while len(found) < CANDIDATES and score.max() >= max(MIN_CORRELATION, 0.7 * best):
        found.append(float(at_s[int(np.argmax(score))]))
        score = np.where(np.abs(at_s - found[-1]) < apart_s, 0.0, score)
    return found


def _on_grid(t_s: Floats, power_w: Floats, begin_s: float, grid_s: float) -> Floats:
    """Return power at times ``grid_s`` apart, the first one at ``begin_s``: means over the grid's
    width of faster readings, else interpolated."""
    middles_s = np.arange(begin_s, float(t_s[-1]), grid_s)
    energy_j = np.concatenate(([0.0], np.cumsum(np.diff(t_s) * (power_w[1:] + power_w[:-1]) / 2)))
    if float(np.median(np.diff(t_s))) >= grid_s / 2:
        return np.asarray(np.interp(middles_s, t_s, power_w), dtype=np.float64)
    edges_s = np.concatenate((middles_s - grid_s / 2, middles_s[-1:] + grid_s / 2))
    return np.asarray(np.diff(np.interp(edges_s, t_s, energy_j)) / grid_s, dtype=np.float64)


def _correlation(y: Floats, wanted: Floats) -> Floats:
    """Return the correlation coefficient of ``wanted`` with each stretch of ``y`` of its length."""
    count = wanted.size
    y = y - y.mean()
    centred = wanted - wanted.mean()
    product = correlate(y, centred, mode="valid", method="auto")
    sums, squares = (np.concatenate(([0.0], np.cumsum(values))) for values in (y, y * y))
    total = sums[count:] - sums[:-count]
    spread = squares[count:] - squares[:-count] - total * total / count
    floor = 1e-9 * max(float(y @ y), 1e-30)
    scores = product / np.sqrt(np.maximum(spread, floor) * float(centred @ centred))
    return np.asarray(scores, dtype=np.float64)


def _places(
    t_s: Floats, power_w: Floats, pattern: _Pattern, period_s: float, kind: str
) -> list[_Place]:
    """Return where a group may lie, the likeliest place first.

    Raises:
        Misaligned: nowhere, or where readings are missing.
    """
    candidates_s = _candidates(t_s, power_w, pattern, period_s)
    _require_whole(t_s, pattern, candidates_s[0], period_s)
    places = [
        _place(t_s, power_w, pattern, at_s, period_s, kind)
        for at_s in candidates_s
        if _longest_gap_s(t_s, pattern, at_s) <= _most_s(period_s)
    ]
    return sorted(places, key=lambda place: -place.log_likelihood)


def _only(places: Sequence[_Place], where: str) -> _Place:
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


def _require_whole(t_s: Floats, pattern: _Pattern, at_s: float, period_s: float) -> None:
    longest_s = _longest_gap_s(t_s, pattern, at_s)
    if longest_s > _most_s(period_s):
        raise Misaligned(
            f"the meter has a gap of {longest_s:.2g} s over the load markers {pattern.where} the "
            "rounds"
        )


def _longest_gap_s(t_s: Floats, pattern: _Pattern, at_s: float) -> float:
    """Return the longest time without a reading in a group."""
    start_s, stop_s = at_s + pattern.start_s, at_s + pattern.stop_s
    inside = t_s[(t_s >= start_s) & (t_s <= stop_s)]
    return float(np.diff(np.concatenate(([start_s], inside, [stop_s]))).max())


def _most_s(period_s: float) -> float:
    """Return how far readings of a group may be apart; a USB device often delivers by 10 ms."""
    return max(GAP_PERIODS * period_s, 0.02)


def _place(
    t_s: Floats, power_w: Floats, pattern: _Pattern, coarse_s: float, period_s: float, kind: str
) -> _Place:
    """Return the likeliest offset for ``a + c·t + b·s``, from near a coarse one."""
    inside = (t_s >= coarse_s + pattern.start_s) & (t_s <= coarse_s + pattern.stop_s)
    x_s, y_w = t_s[inside] - coarse_s, power_w[inside]
    width_s = period_s if kind == "mean" else 0.0
    if period_s < _FINEST_S:
        x_s, y_w = _averaged(x_s, y_w, _FINEST_S)
        width_s = _FINEST_S
    reach_s = 1.5 * max(period_s, pattern.shortest_s / 6)
    offsets_s = np.linspace(-reach_s, reach_s, _STEPS)
    for _ in range(3):
        squares, rise_w, scatter = _misfit(x_s, y_w, pattern, offsets_s, width_s)
        weights = _likelihood(squares, rise_w, scatter, y_w.size)
        likely_s = offsets_s[weights > 1e-6 * weights.max()]
        step_s = float(offsets_s[1] - offsets_s[0])
        span_s = float(np.ptp(likely_s))
        if span_s > 40 * step_s:
            break
        # A likelihood that is narrower than the steps is looked at more closely.
        offsets_s = np.linspace(likely_s[0] - 2 * step_s, likely_s[-1] + 2 * step_s, _STEPS)
    best = int(np.argmin(squares))
    share = weights / weights.sum()
    mean_s = float(share @ offsets_s)
    low_s, high_s = np.interp([0.025, 0.975], np.cumsum(share), offsets_s)
    least_s = max(_LEAST_S, _LEAST_PERIODS * period_s)
    half_s = max(mean_s - float(low_s), float(high_s) - mean_s, step_s, least_s)
    residual = squares[best] / max(y_w.size, 1) + (1e-3 * rise_w[best]) ** 2
    return _Place(
        at_s=coarse_s + mean_s,
        uncertainty_s=half_s,
        rise_w=float(rise_w[best]),
        log_likelihood=-0.5 * y_w.size * float(np.log(residual)),
    )


def _misfit(
    x_s: Floats, y_w: Floats, pattern: _Pattern, offsets_s: Floats, width_s: float
) -> tuple[Floats, Floats, float]:
    """Return by offset the sum of squares that is left and the rise; and by what factor fewer
    readings there are than independent ones (at the best offset)."""
    basis, _ = np.linalg.qr(np.column_stack((np.ones_like(x_s), x_s)))
    rest_w = y_w - basis @ (basis.T @ y_w)
    squares, rise_w = np.empty(offsets_s.size), np.empty(offsets_s.size)
    best: tuple[float, Floats] = (np.inf, rest_w)
    for number, offset_s in enumerate(offsets_s):
        share = pattern.share(x_s - offset_s, width_s)
        share = share - basis @ (basis.T @ share)
        size = float(share @ share)
        rise_w[number] = float(share @ rest_w) / size if size > 0 else 0.0
        left_w = rest_w - rise_w[number] * share
        squares[number] = float(left_w @ left_w)
        if squares[number] < best[0]:
            best = squares[number], left_w
    left_w = best[1]
    power = float(left_w @ left_w)
    lag1 = float(left_w[1:] @ left_w[:-1]) / power if power > 0 else 0.0
    lag1 = min(0.95, max(0.0, lag1))
    return squares, rise_w, (1 + lag1) / (1 - lag1)


def _likelihood(squares: Floats, rise_w: Floats, scatter: float, count: int) -> Floats:
    """Return the likelihood of each offset (up to a factor), the noise being unknown.

    ``scatter``: neighbouring residuals are alike, which makes them worth so many times fewer.
    """
    rise = float(rise_w[int(np.argmin(squares))])
    floor = count * (1e-3 * rise) ** 2 + 1e-30
    ratio = (squares + floor) / (float(squares.min()) + floor)
    likelihood: Floats = np.exp(-0.5 * max(count / scatter - 4, 1.0) * np.log(ratio))
    return np.where(rise_w > 0, likelihood, 0.0) if rise > 0 else likelihood


def _averaged(x_s: Floats, y_w: Floats, width_s: float) -> tuple[Floats, Floats]:
    """Return means over stretches of ``width_s``."""
    number = np.floor((x_s - x_s[0]) / width_s).astype(np.int64)
    counts = np.bincount(number)
    filled = counts > 0
    means = [np.bincount(number, values)[filled] / counts[filled] for values in (x_s, y_w)]
    return np.asarray(means[0]), np.asarray(means[1])
