"""Power over time whose energy is known exactly, also as a slow sensor shows it.

A waveform is a chain of straight pieces, so its energy is a sum of trapezoids and its response
through a first-order low-pass y + τ·y' = P has a closed form on every piece. Each draw of a
waveform begins at time 0 with the load; before that the board idles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IDLE_W = 4.0
BUSY_W = 8.0
NOISE_STEP_S = 0.002

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Waveform:
    """Piece i runs from ``edges_s[i]`` to ``edges_s[i + 1]``, from ``first_w[i]`` to ``last_w[i]``.

    ``edges_s`` has shape (pieces + 1,), the powers (pieces,). Before the first edge power has
    been ``before_w`` for ever.
    """

    edges_s: Array
    first_w: Array
    last_w: Array
    before_w: float

    def energy_j(self, start_s: float, stop_s: float) -> float:
        """Return the exact energy between two times."""
        start_j, stop_j = self.until_j(np.array([start_s, stop_s]))
        return float(stop_j - start_j)

    def until_j(self, t_s: Array) -> Array:
        """Return the energy since the first edge; negative before it."""
        piece_j = np.diff(self.edges_s) * (self.first_w + self.last_w) / 2
        whole_j = np.concatenate(([0.0], np.cumsum(piece_j)))
        i, passed_s = self._place(t_s)
        inside_j = whole_j[i] + passed_s * (self.first_w[i] + self._slopes()[i] * passed_s / 2)
        before_s = t_s - self.edges_s[0]
        return np.where(before_s < 0, before_s * self.before_w, inside_j)

    def shown_w(self, t_s: Array, lag_s: float) -> Array:
        """Return what a sensor with time constant ``lag_s`` shows at times ``t_s``.

        0 stands for an unfiltered one. Times before the first edge show the idle power.
        """
        i, passed_s = self._place(t_s)
        slope = self._slopes()[i]
        power_w = self.first_w[i] + slope * passed_s
        if lag_s > 0:
            gap_w = (self._filtered_at_edges(lag_s) - self.first_w)[i] + slope * lag_s
            power_w = power_w - slope * lag_s + gap_w * np.exp(-passed_s / lag_s)
        return np.where(t_s < self.edges_s[0], self.before_w, power_w)

    def _slopes(self) -> Array:
        return (self.last_w - self.first_w) / np.diff(self.edges_s)

    def _place(self, t_s: Array) -> tuple[NDArray[np.intp], Array]:
        """Return the piece that each time falls into, and the time since that piece began."""
        last = self.first_w.size - 1
        i = np.clip(np.searchsorted(self.edges_s, t_s, side="right") - 1, 0, last)
        return i, t_s - self.edges_s[i]

    def _filtered_at_edges(self, lag_s: float) -> Array:
        """Return the low-pass's output where each piece begins."""
        lengths_s = np.diff(self.edges_s)
        decay = np.exp(-lengths_s / lag_s)
        slope = self._slopes()
        # y at the end of a piece = settled + (y at its beginning - start) · decay, term by term.
        ends_w = self.last_w - slope * lag_s + (slope * lag_s - self.first_w) * decay
        shown_w = np.empty(self.first_w.size)
        y_w = self.before_w
        for i in range(shown_w.size):
            shown_w[i] = y_w
            y_w = ends_w[i] + y_w * decay[i]
        return shown_w


Draw = Callable[[np.random.Generator, float], Waveform]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of waveform: ``draw(random, length_s)`` makes one, ``latency_s`` is the length of the
    inferences that are said to run beside it."""

    name: str
    draw: Draw
    latency_s: float = 0.0113


def _levels(edges_s: Array, power_w: Array, before_w: float = IDLE_W) -> Waveform:
    return Waveform(edges_s, power_w, power_w, before_w)


def constant(random: np.random.Generator, length_s: float) -> Waveform:
    """The same power before and during the load."""
    return _levels(np.array([0.0, length_s]), np.array([BUSY_W]), before_w=BUSY_W)


def idle(random: np.random.Generator, length_s: float) -> Waveform:
    """A board without load."""
    return _levels(np.array([0.0, length_s]), np.array([IDLE_W]))


def step(random: np.random.Generator, length_s: float) -> Waveform:
    """Idle, then the load sets in at once."""
    return _levels(np.array([0.0, length_s]), np.array([BUSY_W]))


def ramp(random: np.random.Generator, length_s: float) -> Waveform:
    """Rises all along, as leakage does in a board that heats up."""
    first_w = BUSY_W - random.uniform(2.0, 3.0)
    edges_s = np.array([0.0, length_s])
    return Waveform(edges_s, np.array([first_w]), np.array([BUSY_W + 1.0]), IDLE_W)


def square(frequency_hz: float, *, locked: bool = False) -> Draw:
    """Busy and idle by turns, from a random phase on.

    ``locked``: every period is an inference, so the load begins with a busy half.
    """

    def draw(random: np.random.Generator, length_s: float) -> Waveform:
        half_s = 0.5 / frequency_hz
        inner_s = np.arange(half_s * (1 if locked else random.uniform(0.01, 1)), length_s, half_s)
        edges_s = np.concatenate(([0.0], inner_s, [length_s]))
        busy = (np.arange(inner_s.size + 1) + (0 if locked else random.integers(2))) % 2 == 0
        return _levels(edges_s, np.where(busy, BUSY_W, IDLE_W))

    return draw


def bursts(random: np.random.Generator, length_s: float) -> Waveform:
    """Short bursts of 5 to 40 ms at random times, about five a second."""
    count = max(1, round(5 * length_s))
    starts_s = np.sort(random.uniform(0.0, length_s, count))
    stops_s = np.minimum(starts_s + random.uniform(0.005, 0.040, count), length_s)
    stops_s[:-1] = np.minimum(stops_s[:-1], starts_s[1:])
    edges_s = np.unique(np.concatenate(([0.0], starts_s, stops_s, [length_s])))
    middle_s = (edges_s[:-1] + edges_s[1:]) / 2
    burst = np.searchsorted(starts_s, middle_s, side="right") - 1
    busy = (burst >= 0) & (middle_s < stops_s[burst])
    return _levels(edges_s, np.where(busy, BUSY_W + 2.0, IDLE_W))


def noise(random: np.random.Generator, length_s: float) -> Waveform:
    """A new power every 2 ms."""
    edges_s = np.arange(0.0, length_s + NOISE_STEP_S, NOISE_STEP_S)
    return _levels(edges_s, np.maximum(random.normal(6.0, 1.0, edges_s.size - 1), 0.5))


KINDS: tuple[Kind, ...] = (
    Kind("constant", constant),
    Kind("step at load onset", step),
    Kind("ramp", ramp),
    Kind("square 0.5 Hz", square(0.5)),
    Kind("square 2 Hz", square(2.0)),
    Kind("square 10 Hz", square(10.0, locked=True), latency_s=0.100),
    Kind("square 50 Hz", square(50.0, locked=True), latency_s=0.020),
    Kind("square 200 Hz", square(200.0, locked=True), latency_s=0.005),
    Kind("square 333 Hz", square(1 / 0.003, locked=True), latency_s=0.003),
    Kind("bursts", bursts),
    Kind("noise", noise),
)
