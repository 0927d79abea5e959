"""The board's CLOCK_MONOTONIC in integer nanoseconds (Python 3.6 has no ``*_ns`` clocks)."""

import time


def now_ns():
    """Nanoseconds since an arbitrary moment; the same clock in every process of the board."""
    return to_ns(time.monotonic())


def to_ns(monotonic_s):
    """Nanoseconds of a reading of ``time.monotonic()``."""
    return int(monotonic_s * 1e9)
