#!/usr/bin/python3
"""Plays a waveform into the registers of the virtual sensor and writes down what was true when.

It starts once the host says so (file START) and plays what WAVEFORM says; a new waveform may be put
there at any time. PLAYING tells which one is played. The truth stands in
``/var/log/virtual-board/truth-<boot id>.csv``: lines ``seconds,true_w,shown_w`` on CLOCK_MONOTONIC,
each valid until the next. ``true_w`` is the power that the board draws, by definition; ``shown_w``
is what the registers of the total rail say: the same through the low-pass, in steps of the sensor.
"""

from __future__ import annotations

import fcntl
import math
import os
import random
import time
from pathlib import Path
from typing import TextIO

import waveforms
from chip import Chip
from workers import Workers

WAVEFORM = Path("/etc/virtual-board/waveform")
START = Path("/run/virtual-board/start")
PLAYING = Path("/run/virtual-board/playing")
LOGS = Path("/var/log/virtual-board")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
DEFAULT = "load:4:10"

PERIOD_S = 0.02
NOISE_W = 0.015
"""Standard deviation of the noise that every power has, as any supply's has. Part of the truth."""

TOTAL = 0
SHARES = (1.0, 0.45, 0.25)
"""What the rails show of the power: the input rail all of it, the two that it feeds their parts."""

FLUSH_S = 1.0
LOOK_S = 0.1
NICENESS = -15
RESEED = 0x5207
"""RNDRESEEDCRNG, linux/random.h."""


def main() -> None:
    """Play until killed."""
    chip = Chip()
    workers = Workers()
    while not START.exists():
        time.sleep(0.05)
    become_unique()
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    boot_id = BOOT_ID.read_text(encoding="ascii").strip()
    with (LOGS / f"truth-{boot_id}.csv").open("a", encoding="ascii") as log:
        Injector(chip, workers, log).play()


def become_unique() -> None:
    """Stir what the host drew at random into the kernel's random numbers, and start them anew.

    Boards that woke up from one snapshot would else draw the same ones, boot ids for example.
    """
    with Path("/dev/urandom").open("wb", buffering=0) as pool:
        pool.write(START.read_bytes())
        fcntl.ioctl(pool, RESEED)


class Injector:
    """One tick after the other; what a tick finds of the load holds until the next."""

    def __init__(self, chip: Chip, workers: Workers, log: TextIO) -> None:
        """Args: ``log`` takes the truth."""
        self._chip = chip
        self._workers = workers
        self._log = log
        self._noise = random.Random()
        self._changed_ns: int | None = None
        self._begin(DEFAULT)
        self._true_w = self._filtered_w = self._waveform.power_w(0.0, 0.0)

    def play(self) -> None:
        """Play for ever."""
        last_s = flushed_s = looked_s = time.monotonic()
        while True:
            time.sleep(max(0.0, last_s + PERIOD_S - time.monotonic()))
            now_s = time.monotonic()
            self._tick(now_s, now_s - last_s)
            last_s = now_s
            if now_s - looked_s >= LOOK_S:
                looked_s = now_s
                self._look()
            if now_s - flushed_s >= FLUSH_S:
                flushed_s = now_s
                self._log.flush()

    def _tick(self, now_s: float, since_s: float) -> None:
        # What the sensor has been filtering is what was true up to now.
        shown_w = filtered(self._filtered_w, self._true_w, since_s, self._waveform.tau_s)
        use = 0.0
        if self._waveform.follows_load:
            use = min(1.0, self._workers.cpu_s() / since_s)
        noise_w = self._noise.gauss(0.0, NOISE_W)
        self._true_w = max(0.0, self._waveform.power_w(now_s - self._began_s, use) + noise_w)
        # Without a low-pass a power shows at once, not from the next tick on.
        self._filtered_w = shown_w if self._waveform.tau_s > 0 else self._true_w
        written_w = [
            self._chip.show(channel, share * self._filtered_w)
            for channel, share in enumerate(SHARES)
        ]
        self._log.write(f"{now_s:.6f},{self._true_w:.4f},{written_w[TOTAL]:.4f}\n")

    def _look(self) -> None:
        """Begin a new waveform if there is one; a wrong one changes nothing."""
        try:
            changed_ns = WAVEFORM.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if changed_ns == self._changed_ns:
            return
        self._changed_ns = changed_ns
        try:
            self._begin(WAVEFORM.read_text(encoding="utf-8").strip())
        except (OSError, ValueError) as error:
            say(f"refused: {error}")

    def _begin(self, text: str) -> None:
        self._waveform = waveforms.parse(text)
        self._began_s = time.monotonic()
        self._chip.set_filter(self._waveform.tau_s)
        self._log.write(f"# {self._began_s:.6f} {text}\n")
        say(text)


def filtered(shown_w: float, true_w: float, seconds: float, tau_s: float) -> float:
    """What a first-order low-pass shows ``seconds`` after it showed ``shown_w``."""
    if tau_s == 0:
        return true_w
    return true_w + (shown_w - true_w) * math.exp(-seconds / tau_s)


def say(text: str) -> None:
    """Tell the host what is played."""
    new = PLAYING.with_suffix(".new")
    new.write_text(f"{text}\n", encoding="utf-8")
    new.rename(PLAYING)


if __name__ == "__main__":
    main()
