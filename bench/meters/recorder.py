"""Records a meter into a file while a board measures; every reading is on its way to the disk when
the next ones are asked for.

The file is CSV, ``t_ns,power_w,arrived_ns`` (no power: a failed read); beside it lies a log of what
happened to the meter, one JSON object a line: ``{"arrived_ns", "text", "lost": bool}``.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median

from bench.errors import SensorError
from bench.meters.meter import Meter, MeterModule, MeterOptions, Reading

HEADER = b"t_ns,power_w,arrived_ns\n"
START_S = 25.0
"""How long a meter may take to give its first readings."""
LOOK_S = 1.0
"""It is watched for so long before a board is told to begin, to learn its period."""
STOP_S = 15.0
"""How long a meter may take to let go of its device."""
FIRST_READINGS = 4
SILENT_S = 5.0
SILENT_PERIODS = 10.0
SYNC_S = 1.0
_WAIT_S = 0.2


class Recorder:
    """Records from :meth:`start` to :meth:`stop`; ``told`` hears, from a thread of the recorder's,
    in one line, what happens to the meter meanwhile."""

    def __init__(self, path: Path, log: Path, told: Callable[[str], None]) -> None:
        self._path, self._log, self._told = path, log, told
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._started = threading.Condition()
        self._times_ns: list[int] = []
        self._lost = ""
        self._begun = False

    def start(self, module: MeterModule, options: MeterOptions) -> float:
        """Open the meter and record; return the seconds between two readings.

        Raises:
            SensorError: it is not there, gives no readings, or they cannot be stored.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
            self._file.write(HEADER)
        except OSError as error:
            raise SensorError(f"cannot write {self._path}: {error.strerror}") from error
        # One thread opens, reads and closes it: not all drivers take several, and one that hangs
        # must not hang the run.
        self._thread = threading.Thread(
            target=self._record, args=(module, options), name="meter", daemon=True
        )
        self._thread.start()
        began_s = time.monotonic()
        with self._started:
            while not self._lost and not self._knows_period(time.monotonic() - began_s):
                left_s = began_s + START_S - time.monotonic()
                if left_s <= 0:
                    break
                self._started.wait(min(left_s, LOOK_S))
            steps_ns = [later - earlier for earlier, later in pairwise(self._times_ns)]
            problem = self._lost or _no_period(steps_ns)
            self._begun = not problem
        if problem:
            self.stop()
            raise SensorError(problem)
        return median(steps_ns) * 1e-9

    def stop(self) -> None:
        """End the recording; what was read by now is on the disk."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(STOP_S)
            if self._thread.is_alive():
                self._say(f"it does not end within {STOP_S:g} s and is left alone")

    def _knows_period(self, passed_s: float) -> bool:
        return passed_s >= LOOK_S and len(self._times_ns) >= FIRST_READINGS

    def _record(self, module: MeterModule, options: MeterOptions) -> None:
        meter: Meter | None = None
        try:
            meter = module.open_meter(options, self._log.with_suffix(".stderr"), self._say)
            self._take_all(meter)
        except SensorError as error:
            self._lose(str(error))
        except Exception as error:  # a driver's; it must not end without a word
            self._lose(f"{type(error).__name__}: {error}")
        finally:
            self._file.close()
            if meter is not None:
                self._close(meter)

    def _close(self, meter: Meter) -> None:
        try:
            meter.close()
        except Exception as error:  # a driver's
            if not self._lost:  # else that is said already, and explains this
                self._say(f"it could not be closed: {error or type(error).__name__}")

    def _take_all(self, meter: Meter) -> None:
        last_s = synced_s = time.monotonic()
        silent = False
        while not self._stop.is_set():
            readings = meter.read(_WAIT_S)
            now_s = time.monotonic()
            if readings:
                with _storing():
                    self._file.write(b"".join(map(_line, readings)))
                last_s, silent = now_s, False
                self._learn(readings)
            elif not silent and now_s - last_s > self._longest_silence_s():
                silent = True
                self._say(f"no reading for {now_s - last_s:.0f} s: a gap")
            if now_s - synced_s > SYNC_S:
                with _storing():
                    os.fsync(self._file.fileno())
                synced_s = now_s
        with _storing():
            os.fsync(self._file.fileno())

    def _learn(self, readings: Sequence[Reading]) -> None:
        with self._started:
            if len(self._times_ns) < 1000:
                self._times_ns += [reading.t_ns for reading in readings]
                self._started.notify()

    def _longest_silence_s(self) -> float:
        if len(self._times_ns) < 2:
            return math.inf
        spread_ns = self._times_ns[-1] - self._times_ns[0]
        return max(SILENT_S, SILENT_PERIODS * spread_ns * 1e-9 / (len(self._times_ns) - 1))

    def _lose(self, why: str) -> None:
        with self._started:
            self._lost = why
            # Before that, whoever waits for the start says why there is none.
            begun = self._begun
            self._started.notify()
        self._say(why, lost=True, aloud=begun)

    def _say(self, text: str, *, lost: bool = False, aloud: bool = True) -> None:
        line = {"arrived_ns": time.monotonic_ns(), "text": text, "lost": lost}
        try:
            with self._log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        except OSError:
            pass  # a full disk: it is said below
        if aloud:
            self._told(f"the meter was lost: {text}" if lost else f"the meter: {text}")


@contextmanager
def _storing() -> Iterator[None]:
    """Say that it is the disk, and not the meter, that something is wrong with."""
    try:
        yield
    except OSError as error:
        raise SensorError(f"its readings cannot be stored: {error.strerror}") from error


def _no_period(steps_ns: Sequence[int]) -> str:
    """Return why the times between readings give no period, empty if they do."""
    if not steps_ns:
        return f"no two readings of the meter within {START_S:g} s"
    if median(steps_ns) <= 0:
        return (
            "the times of the meter's readings do not advance: each must be later than the one "
            "before, by the meter's own clock"
        )
    return ""


def _line(reading: Reading) -> bytes:
    power = "" if math.isnan(reading.power_w) else repr(reading.power_w)
    return f"{reading.t_ns},{power},{reading.arrived_ns}\n".encode()
