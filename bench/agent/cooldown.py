"""Waits for a board to cool down, so that cases begin from the same temperature."""

import time

from bench.agent import health

POLL_S = 1.0
GUESSED_S_PER_C = 6.0
"""Passive coolers near room temperature; only what is announced depends on it."""


def cool_down(root, procedure, check):
    """Wait until no temperature is above ``cooldown_to_c``; the fields of a ``cooldown`` record.

    Gives up after ``cooldown_max_s``, and at once where no temperature can be read. ``check`` is
    called between the looks and may raise.
    """
    began = time.monotonic()
    wanted_c = procedure["cooldown_to_c"]
    while True:
        now_c = hottest_c(root)
        took_s = time.monotonic() - began
        reached = now_c is not None and now_c <= wanted_c
        if reached or now_c is None or took_s >= procedure["cooldown_max_s"]:
            fields = {"reached": reached, "took_s": took_s}
            return dict(fields, wanted_c=wanted_c, temperature_c=now_c)
        check()
        time.sleep(POLL_S)


def hottest_c(root):
    """The highest temperature of the board in °C, ``None`` when it tells none."""
    return max(health.temperatures_c(root).values(), default=None)


def expected_s(root, procedure):
    """Guess of how long cooling down from the present temperature takes."""
    now_c = hottest_c(root)
    if now_c is None:
        return 0.0
    excess_c = max(0.0, now_c - procedure["cooldown_to_c"])
    return min(procedure["cooldown_max_s"], GUESSED_S_PER_C * excess_c)
