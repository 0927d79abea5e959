#!/usr/bin/python3
"""Plays a waveform into the registers of the virtual sensor and writes down what was true when.

It starts once the host says so (file START) and plays what WAVEFORM says; a new waveform may be put
there at any time. PLAYING tells which one is played. The truth stands in
``/var/log/virtual-board/truth-<boot id>.csv``: lines ``seconds,true_w,shown_w`` on CLOCK_MONOTONIC,
each valid until the next. ``true_w`` is the power that the board draws, by definition; ``shown_w``
is what the registers of the total rail say: the same through the low-pass, in steps of the sensor.
"""

import fcntl
import math
import os
import random
import time

import waveforms
from chip import Chip
from workers import Workers

FOLDER = "/etc/virtual-board"
WAVEFORM = os.path.join(FOLDER, "waveform")
START = "/run/virtual-board/start"
PLAYING = "/run/virtual-board/playing"
LOG = "/var/log/virtual-board/truth-%s.csv"
DEFAULT = "load:4:10"

PERIOD_S = 0.02
NOISE_W = 0.015
"""Standard deviation of the noise that every power has, as any supply does. It is part of the
truth."""

TOTAL = 0
SHARES = (1.0, 0.45, 0.25)
"""What each rail shows of the power: the input rail all of it, the two it feeds their parts."""

FLUSH_S = 0.5
LOOK_S = 0.1
RESEED = 0x5207
"""RNDRESEEDCRNG, linux/random.h."""


def main():
    """Play until killed."""
    chip = Chip()
    workers = Workers()
    while not os.path.exists(START):
        time.sleep(0.05)
    become_unique()
    os.setpriority(os.PRIO_PROCESS, 0, -15)
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        path = LOG % stream.read().strip()
    with open(path, "a", encoding="ascii") as log:
        Injector(chip, workers, log).play()


def become_unique():
    """Stir what the host drew at random into the kernel's random numbers, and start them anew:
    boards that woke up from one snapshot would draw the same ones, boot ids for example."""
    with open(START, "rb") as seed, open("/dev/urandom", "wb", 0) as pool:
        pool.write(seed.read())
        fcntl.ioctl(pool, RESEED)


class Injector:
    """One tick after the other; what a tick finds of the load holds until the next."""

    def __init__(self, chip, workers, log):
        self._chip = chip
        self._workers = workers
        self._log = log
        self._noise = random.Random()
        self._text = None
        self._filtered_w = None
        self._changed_s = None

    def play(self):
        """Play for ever."""
        last_s = flushed_s = looked_s = time.monotonic()
        self._take_up(looked_s)
        while True:
            wait_s = last_s + PERIOD_S - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)
            now_s = time.monotonic()
            self._tick(now_s, now_s - last_s)
            last_s = now_s
            if now_s - looked_s >= LOOK_S:
                looked_s = now_s
                self._take_up(now_s)
            if now_s - flushed_s >= FLUSH_S:
                flushed_s = now_s
                self._log.flush()

    def _tick(self, now_s, since_s):
        use = 0.0
        if self._waveform.follows_load:
            use = min(1.0, self._workers.cpu_s() / since_s)
        # The sensor has been filtering what was true up to now.
        if self._filtered_w is None or self._waveform.tau_s == 0:
            shown_w = None
        else:
            decay = math.exp(-since_s / self._waveform.tau_s)
            shown_w = self._true_w + (self._filtered_w - self._true_w) * decay
        noise_w = self._noise.gauss(0.0, NOISE_W)
        self._true_w = max(0.0, self._waveform.power_w(now_s - self._began_s, use) + noise_w)
        self._filtered_w = self._true_w if shown_w is None else shown_w
        written_w = [
            self._chip.show(channel, share * self._filtered_w)
            for channel, share in enumerate(SHARES)
        ]
        self._log.write("%.6f,%.4f,%.4f\n" % (now_s, self._true_w, written_w[TOTAL]))

    def _take_up(self, now_s):
        """Begin a new waveform if there is one; one that is wrong changes nothing."""
        try:
            modified_s = os.stat(WAVEFORM).st_mtime_ns
            if modified_s == self._changed_s:
                return
            with open(WAVEFORM, encoding="utf-8") as stream:
                text = stream.read().strip()
        except FileNotFoundError:
            modified_s, text = None, DEFAULT
            if self._text is not None:
                return
        self._changed_s, self._text = modified_s, text
        try:
            self._waveform = waveforms.parse(text)
        except (OSError, ValueError) as error:
            self._say("refused: %s" % error)
            self._waveform = waveforms.parse(DEFAULT)
            return
        self._began_s = now_s
        self._chip.set_filter(self._waveform.tau_s)
        self._log.write("# %.6f %s\n" % (now_s, text))
        self._say(text)

    def _say(self, text):
        with open(PLAYING + ".new", "w", encoding="utf-8") as stream:
            stream.write(text + "\n")
        os.rename(PLAYING + ".new", PLAYING)


if __name__ == "__main__":
    main()
