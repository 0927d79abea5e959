"""Where the groups of load markers may lie in a meter's readings: correlation over all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.records.recordings import Marker

MIN_CORRELATION = 0.5
"""Below this a pattern is not there: shifted copies and each other they resemble by up to 0.45."""

CANDIDATES = 4
"""Places that correlate best and are looked at closely; a slow meter needs that."""

GAP_PERIODS = 3.0
"""Readings of a group further apart than this have a gap over the marker."""

MOST_STEPS = 40_000_000
"""More steps of the search are a clock that jumped, not a job: nine days of a fast meter."""

Floats = NDArray[np.float64]


class Misaligned(ValueError):
    """Why the readings have no place on the board's clock, in words."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A group of markers in seconds from its middle."""

    edges_s: Floats
    start_s: float
    stop_s: float
    where: str

    @property
    def shortest_s(self) -> float:
        """Return the shortest time between two edges."""
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


def middle_ns(marker: Marker) -> int:
    """Return the moment between the first edge and the last, on the board's clock."""
    return (int(marker.edges_ns[0]) + int(marker.edges_ns[-1])) // 2


def pattern_of(marker: Marker) -> Pattern:
    """Return a group as it was played."""
    at_ns = middle_ns(marker)
    start_ns, stop_ns = marker.window_ns
    return Pattern(
        np.asarray((marker.edges_ns - at_ns) * 1e-9, dtype=np.float64),
        (start_ns - at_ns) * 1e-9,
        (stop_ns - at_ns) * 1e-9,
        marker.where,
    )


def candidates(t_s: Floats, power_w: Floats, pattern: Pattern, period_s: float) -> list[float]:
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


def require_whole(t_s: Floats, pattern: Pattern, at_s: float, period_s: float) -> None:
    """Raise Misaligned, with how long it is, where a group has a gap."""
    longest_s = _longest_gap_s(t_s, pattern, at_s)
    if longest_s > _most_s(period_s):
        raise Misaligned(
            f"the meter has a gap of {longest_s:.2g} s over the load markers {pattern.where} the "
            "rounds"
        )


def has_gap(t_s: Floats, pattern: Pattern, at_s: float, period_s: float) -> bool:
    """Return whether readings of a group are missing."""
    return _longest_gap_s(t_s, pattern, at_s) > _most_s(period_s)


def _longest_gap_s(t_s: Floats, pattern: Pattern, at_s: float) -> float:
    """Return the longest time without a reading in a group."""
    start_s, stop_s = at_s + pattern.start_s, at_s + pattern.stop_s
    inside = t_s[(t_s >= start_s) & (t_s <= stop_s)]
    return float(np.diff(np.concatenate(([start_s], inside, [stop_s]))).max())


def _most_s(period_s: float) -> float:
    """Return how far readings of a group may be apart; a USB device often delivers by 10 ms."""
    return max(GAP_PERIODS * period_s, 0.02)


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
    from scipy.signal import correlate  # late: it takes most of a second, and few runs have a meter

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
