"""Any program on the board that prints lines ``unix_time watts``: power meters that bench lacks.

``options``: ``argv`` (the program and its arguments) and ``scope`` (what the meter covers). The
times are taken at their word: a reading counts for the moment that its line names, brought onto
the monotonic clock. So a program may print late, but must use this board's clock. Lines of another
shape are passed over; a time that does not rise, a number that no board can draw, and the end of
the program are gaps.
"""

import math
import os
import select
import shlex
import shutil
import subprocess
import time

from bench.agent.child import dies_with
from bench.agent.failure import one_line

CHANNEL = "meter"
FIRST_LINE_S = 10.0
LONGEST_LINE = 4096
LARGEST_W = 1e6
LATEST_S = 60.0
"""A line whose time is further than this from now speaks of another time, or in another unit."""


def describe(root, options):
    """The program's power as one channel; nothing when no program is named."""
    if not options.get("argv"):
        return []
    problem = None
    try:
        open_sensor(root, options, []).close()
    except (OSError, ValueError) as error:
        problem = one_line(error)
    return [
        {
            "name": "command",
            "source": "measured",
            "unit": "W",
            "channels": [{"name": CHANNEL, "resolution_w": None}],
            "lag_s": None,
            "scope": options.get("scope"),
            "samples": None,
            "update_interval_ms": None,
            "note": "power as `%s` tells it; bench knows neither its error nor its filter"
            % _shown(options["argv"]),
            "problem": problem,
        }
    ]


def open_sensor(root, options, channels):
    """Start the program and wait for its first line.

    Raises OSError or ValueError where it cannot be started, or tells no power in time.
    """
    others = [name for name in channels if name != CHANNEL]
    if others:
        raise ValueError("a command has no channel %s" % ", ".join(others))
    argv = options["argv"]
    if shutil.which(argv[0]) is None:
        raise OSError("%s: no such program on the board (power.command.run)" % argv[0])
    meter = Meter(argv)
    try:
        meter.wait_first(FIRST_LINE_S)
    except ValueError:
        meter.close()
        raise
    return meter


class Meter(object):
    """Watts with times of their own: ``take`` has what came since the last call."""

    unit = "W"
    channels = [CHANNEL]

    def __init__(self, argv):
        self._argv = argv
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            preexec_fn=dies_with(os.getpid()),
        )
        self._fd = self._process.stdout.fileno()
        os.set_blocking(self._fd, False)
        os.set_blocking(self._process.stderr.fileno(), False)
        self._rest = b""
        self._ready = []
        self._last_unix_s = -math.inf
        self._has_ended = False
        self._odd = ""
        self._complaint = ""
        self._is_mute = False
        """Whether its stderr was closed."""

    def wait_first(self, limit_s):
        """Raise ValueError unless a reading comes in time; it is kept for ``take``."""
        deadline_s = time.monotonic() + limit_s
        while not self._ready and not self._has_ended:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                break
            streams = [self._fd] if self._is_mute else [self._fd, self._process.stderr.fileno()]
            select.select(streams, [], [], left_s)
            self._receive()
        if not any(values[0] is not None for _, values in self._ready):
            what = "it ended" if self._has_ended else "there was none within %.0f s" % limit_s
            said = self._complaint or self._odd
            odd = " (it said: %s)" % said if said else ""
            raise ValueError(
                "`%s` must print lines of unix time and watts: %s%s"
                % (_shown(self._argv), what, odd)
            )

    def take(self):
        """``[(monotonic seconds, [watts])]`` since the last call, oldest first."""
        self._receive()
        taken, self._ready = self._ready, []
        return taken

    def close(self):
        """End the program."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()

    def _hear_complaints(self):
        """Keep the last line of its stderr; nothing is left to fill up, which would stop it."""
        try:
            text = os.read(self._process.stderr.fileno(), 1 << 20)
        except BlockingIOError:
            return
        self._is_mute = not text
        lines = [line for line in text.decode("utf-8", "replace").split("\n") if line.strip()]
        if lines:
            self._complaint = one_line(lines[-1], 80)

    def _receive(self):
        self._hear_complaints()
        while not self._has_ended:
            try:
                chunk = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                return
            if not chunk:
                self._has_ended = True
                self._hear_complaints()  # its last words may have come meanwhile
                self._ready.append((time.monotonic(), [None]))
                return
            lines = (self._rest + chunk).split(b"\n")
            self._rest = lines.pop()[:LONGEST_LINE]
            offset_s = time.monotonic() - time.time()
            for line in lines:
                self._add(line, offset_s)

    def _add(self, line, offset_s):
        numbers = _numbers(line)
        if numbers is None:
            self._odd = one_line(line.decode("utf-8", "replace"), 80)
            return
        unix_s, watts = numbers
        now_s = time.monotonic()
        if not self._last_unix_s < unix_s or abs(unix_s + offset_s - now_s) > LATEST_S:
            self._odd = one_line(line.decode("utf-8", "replace"), 80)
            return
        self._last_unix_s = unix_s
        good = math.isfinite(watts) and abs(watts) <= LARGEST_W
        self._ready.append((unix_s + offset_s, [watts if good else None]))


def _numbers(line):
    """``(unix time, watts)`` of a line, ``None`` if it is something else."""
    words = line.replace(b",", b" ").split()
    if len(words) != 2:
        return None
    try:
        unix_s, watts = float(words[0]), float(words[1])
    except ValueError:
        return None
    return (unix_s, watts) if math.isfinite(unix_s) else None


def _shown(argv):
    return one_line(" ".join(shlex.quote(word) for word in argv), 120)
