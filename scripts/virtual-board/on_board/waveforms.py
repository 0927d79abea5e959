"""The power that a virtual board is made to draw: how it is written down, and what it is when.

    const:W                     always the same
    square:LOW:HIGH:PERIOD      half a period each, LOW first
    file:PATH                   lines ``seconds,watts``; each holds until the next one does
    load:IDLE:BUSY[:TAU]        follows the CPU use of bench's workers from IDLE (none) to BUSY (a
                                whole CPU); the sensor shows it through a low-pass of TAU seconds
                                (0.43 unless given, 0 for none), as a Jetson Orin's does

Standard library only: the board plays them, the host checks them.
"""

from __future__ import annotations

import bisect
import csv
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

DEFAULT_TAU_S = 0.43
MOST_W = 20.0
"""What the sensor's range allows."""


@dataclass(frozen=True)
class Waveform:
    """``power_w``: watts by the seconds since it began and the load (0 to 1).

    ``tau_s``: time constant of the sensor's low-pass, 0 for none. ``follows_load``: whether the
    load makes a difference.
    """

    power_w: Callable[[float, float], float]
    tau_s: float = 0.0
    follows_load: bool = False


def parse(text: str) -> Waveform:
    """Return the waveform that ``text`` describes.

    Raises:
        ValueError: it describes none; the message says why.
        OSError: its file cannot be read.
    """
    kind, _, rest = text.partition(":")
    if kind == "file":
        return _trace(Path(rest))
    numbers = [_number(word) for word in rest.split(":")] if rest else []
    if kind == "const" and len(numbers) == 1:
        return _limited(numbers, Waveform(lambda t_s, use: numbers[0]))
    if kind == "square" and len(numbers) == 3:
        low_w, high_w, period_s = numbers
        if not period_s > 0:
            raise ValueError("the period must be above 0 s")
        wave = Waveform(lambda t_s, use: high_w if t_s % period_s >= period_s / 2 else low_w)
        return _limited([low_w, high_w], wave)
    if kind == "load" and len(numbers) in (2, 3):
        idle_w, busy_w, tau_s = (*numbers, DEFAULT_TAU_S)[:3]
        if not tau_s >= 0:
            raise ValueError("the time constant must not be below 0 s")
        wave = Waveform(lambda t_s, use: idle_w + (busy_w - idle_w) * use, tau_s, True)
        return _limited([idle_w, busy_w], wave)
    raise ValueError(
        f"no waveform {text!r}; there are const:W, square:LOW:HIGH:PERIOD, load:IDLE:BUSY[:TAU] "
        "and file:PATH"
    )


def _trace(path: Path) -> Waveform:
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.reader(stream) if row and not row[0].startswith("#")]
    if not rows or any(len(row) != 2 for row in rows):
        raise ValueError(f"{path}: it takes lines 'seconds,watts'")
    times_s, watts = ([_number(row[column]) for row in rows] for column in (0, 1))
    if times_s[0] != 0 or any(not b > a for a, b in itertools.pairwise(times_s)):
        raise ValueError(f"{path}: the seconds must start at 0 and rise")
    return _limited(
        watts, Waveform(lambda t_s, use: watts[max(0, bisect.bisect_right(times_s, t_s) - 1)])
    )


def _limited(watts: Iterable[float], waveform: Waveform) -> Waveform:
    # Written so that it refuses NaN, too.
    if not all(0 <= value <= MOST_W for value in watts):
        raise ValueError(f"powers must lie between 0 and {MOST_W:g} W")
    return waveform


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"{word!r} is no number") from None
