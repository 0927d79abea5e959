"""A meter for tests that knows when a board on this machine was under load: from its journal.

Usage: load_meter.py BOARD_FOLDER PERIOD_S IDLE_W BUSY_W CLOCK_OFFSET_S [END]

Prints ``unix_time watts`` lines, each the mean over the period before it: BUSY_W while load markers
and rounds ran, else IDLE_W, whatever else the machine did. A line comes when the journal tells what
it has to hold, so late; its time is right by a clock that is wrong by CLOCK_OFFSET_S. After END
readings (if given) it is unplugged: it says so on stderr and ends.
"""

import sys
import time
from pathlib import Path

import numpy as np

from bench.agent import wire
from bench.analysis.journal import recordings
from bench.analysis.times import load_end_ns

LOOK_S = 0.05


def load(journal):
    """``(edges, end)`` in monotonic ns: when load set in and ended in turn, and until when that is
    known (``None``: to the present)."""
    records, problems = wire.decode_records(journal)
    keys = {record["case"] for record in records if "case" in record}
    found = list(recordings(records, problems, sorted(keys)).values())
    markers = found[0].markers if found else ()
    rounds = [item for each in found for item in each.rounds]
    edges = [edge for marker in markers for edge in marker.edges_ns.tolist()]
    edges += [edge for item in rounds for edge in (item.start_ns, load_end_ns(item))]
    if any(record["kind"] == "end" for record in records):
        return sorted(edges), None
    idle = [line.window_ns[1] for each in found for line in each.idle]
    return sorted(edges), max(edges + idle, default=0)


def main():
    period_s, idle_w, busy_w, offset_s = map(float, sys.argv[2:6])
    left = int(sys.argv[6]) if len(sys.argv) > 6 else -1
    period_ns = round(period_s * 1e9)
    now_ns = time.monotonic_ns()
    seen, edges, known_ns = b"", [], None
    while left != 0:
        journals = sorted(Path(sys.argv[1]).glob(f"jobs/*/{wire.JOURNAL_FILE}"))
        journal = journals[-1].read_bytes() if journals else b""
        if journal != seen:
            seen = journal
            edges, known_ns = load(journal)
        until_ns = time.monotonic_ns() if known_ns is None else known_ns
        edges_ns = np.array([0, *edges, 1 << 60])
        loaded_ns = np.cumsum(np.diff(edges_ns) * (np.arange(edges_ns.size - 1) % 2))
        so_far_ns = np.concatenate(([0], loaded_ns))
        while left != 0 and now_ns + period_ns <= until_ns:
            low, high = np.interp([now_ns, now_ns + period_ns], edges_ns, so_far_ns)
            now_ns += period_ns
            power_w = idle_w + (busy_w - idle_w) * (high - low) / period_ns
            print(f"{now_ns * 1e-9 + offset_s:.6f} {power_w:.6f}", flush=True)
            left -= 1
        time.sleep(LOOK_S)
    sys.stderr.write("usb device disconnected\n")
    sys.exit(3)


main()
