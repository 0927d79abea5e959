"""A recorded or scripted power trace, played on the monotonic clock from the opening on.

``options``: ``path`` (CSV with the header ``t_s,NAME[,NAME...]``, or JSON
``{"t_s": [...], "NAME": [...]}``; watts; times rise from 0) and ``loop`` (start again at the
last time instead of holding the last value). A value holds until the next time. An empty CSV
field or a JSON ``null`` is a failed read.
"""

import bisect
import csv
import json
import os
import time

from bench.agent.failure import one_line

LARGEST = 1e15
"""Beyond any watts or seconds, and exact as a float."""


def describe(root, options):
    """The trace named by ``options["path"]``; nothing when none is named."""
    if not options.get("path"):
        return []
    names, problem = [], None
    try:
        names = sorted(_load(options["path"])[1])
    except (OSError, ValueError) as error:
        problem = "cannot replay %s: %s" % (options["path"], one_line(error))
    return [
        {
            "name": "replay",
            # Power of another time is no measurement of this load.
            "source": "estimated",
            "unit": "W",
            "channels": [{"name": name, "resolution_w": None} for name in names],
            "lag_s": 0.0,
            "scope": "replayed trace",
            "samples": None,
            "update_interval_ms": None,
            "problem": problem,
        }
    ]


def open_sensor(root, options, channels):
    """Start playing now."""
    times, columns = _load(options["path"])
    names = list(channels) or sorted(columns)
    missing = [name for name in names if name not in columns]
    if missing:
        raise ValueError("%s has no channel %s" % (options["path"], ", ".join(missing)))
    return Replay(times, names, [columns[name] for name in names], bool(options.get("loop")))


class Replay(object):
    """Watts as the trace has them at the time since the opening."""

    unit = "W"

    def __init__(self, times_s, channels, columns, loops):
        self.channels = channels
        self._times_s = times_s
        self._columns = columns
        self._loops = loops
        self._opened_s = time.monotonic()

    def read(self):
        now_s = time.monotonic() - self._opened_s
        if self._loops and self._times_s[-1] > 0:
            now_s %= self._times_s[-1]
        row = bisect.bisect_right(self._times_s, now_s) - 1
        return [column[row] for column in self._columns]


def _load(path):
    """``(times, {name: values})`` of a trace file; raises ValueError saying what is wrong."""
    if not os.path.isfile(path):
        raise ValueError("no such file")
    with open(path, newline="", encoding="utf-8") as stream:
        text = stream.read()
    if text.lstrip().startswith("{"):
        try:
            columns = json.loads(text)
        except RecursionError:
            raise ValueError("its JSON is nested too deeply")
    else:
        try:
            rows = [row for row in csv.reader(text.splitlines()) if row]
        except csv.Error as error:
            raise ValueError("it is no CSV: %s" % error)
        if any(len(row) != len(rows[0]) for row in rows):
            raise ValueError("its lines differ in the number of fields")
        names = [name.strip() for name in (rows[0] if rows else [])]
        if len(set(names)) < len(names):
            raise ValueError("two of its columns have the same name")
        columns = {
            name: [float(row[i]) if row[i].strip() else None for row in rows[1:]]
            for i, name in enumerate(names)
        }
    if any(not isinstance(values, list) for values in columns.values()):
        raise ValueError("each column must be a list of numbers")
    for value in (value for values in columns.values() for value in values):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is not None and not (number and 0 <= value <= LARGEST):
            raise ValueError("%.40r is no number of watts or seconds" % (value,))
    times = columns.pop("t_s", None)
    if not times or None in times or times[0] != 0 or any(b <= a for a, b in zip(times, times[1:])):
        raise ValueError("needs a column t_s that starts at 0 and rises")
    if not columns or any(len(values) != len(times) for values in columns.values()):
        raise ValueError("needs at least one channel, each as long as t_s")
    return times, columns
