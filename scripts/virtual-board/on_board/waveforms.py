"""The power that a virtual board is made to draw: how it is written down, and what it is when.

    const:W                     always the same
    square:LOW:HIGH:PERIOD      half a period each, LOW first
    file:PATH                   lines ``seconds,watts``; each holds until the next, the last one on
    load:IDLE:BUSY[:TAU]        follows the CPU use of bench's workers from IDLE (none) to BUSY (one
                                CPU or more); the sensor shows it through a low-pass of TAU seconds
                                (0.43 unless given, 0 for none), as a Jetson Orin's does

Standard library only: the board plays them, the host checks them.
"""

import bisect
import csv

DEFAULT_TAU_S = 0.43
MOST_W = 20.0
"""What the sensor's range allows."""


class Waveform:
    """Watts over time; ``tau_s`` is the time constant of the sensor's low-pass, 0 for none.

    ``follows_load``: power depends on the CPU use that is given to ``power_w``.
    """

    def __init__(self, power_w, tau_s=0.0, follows_load=False):
        self.power_w = power_w
        self.tau_s = tau_s
        self.follows_load = follows_load


def parse(text):
    """Return the Waveform that ``text`` describes.

    Raises:
        ValueError: it describes none; the message says why.
    """
    kind, _, rest = text.partition(":")
    if kind == "file":
        return _trace(rest)
    numbers = [_number(word) for word in rest.split(":")]
    if kind == "const" and len(numbers) == 1:
        return _limited([numbers[0]], Waveform(lambda t_s, use: numbers[0]))
    if kind == "square" and len(numbers) == 3:
        low_w, high_w, period_s = numbers
        if period_s <= 0:
            raise ValueError("the period must be above 0 s")
        wave = Waveform(lambda t_s, use: high_w if t_s % period_s >= period_s / 2 else low_w)
        return _limited([low_w, high_w], wave)
    if kind == "load" and len(numbers) in (2, 3):
        idle_w, busy_w, tau_s = (*numbers, DEFAULT_TAU_S)[:3]
        wave = Waveform(lambda t_s, use: idle_w + (busy_w - idle_w) * use, tau_s, True)
        return _limited([idle_w, busy_w, tau_s], wave)
    raise ValueError(
        "no waveform %r; there are const:W, square:LOW:HIGH:PERIOD, load:IDLE:BUSY[:TAU] and "
        "file:PATH" % text
    )


def _trace(path):
    with open(path, newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.reader(stream) if row and not row[0].startswith("#")]
    if not rows or any(len(row) != 2 for row in rows):
        raise ValueError("%s: it takes lines 'seconds,watts'" % path)
    times_s, watts = zip(*[[_number(word) for word in row] for row in rows])
    if times_s[0] != 0 or any(b <= a for a, b in zip(times_s, times_s[1:])):
        raise ValueError("%s: the seconds must start at 0 and rise" % path)
    return _limited(
        watts, Waveform(lambda t_s, use: watts[max(0, bisect.bisect_right(times_s, t_s) - 1)])
    )


def _limited(watts, waveform):
    if not all(0 <= value <= MOST_W for value in watts):
        raise ValueError("powers must lie between 0 and %g W" % MOST_W)
    return waveform


def _number(word):
    try:
        return float(word)
    except ValueError:
        raise ValueError("%r is no number" % word) from None
