"""A meter for tests, driven by the real load of a board on this machine.

Usage: load_meter.py BOARD_FOLDER PERIOD_S IDLE_W BUSY_W CLOCK_OFFSET_S [END]

Prints ``unix_time watts`` lines, each the mean over the period before it: BUSY_W while any process
of the agent that makes load there (markers, inferences) is running or would be if the machine were
not shared with others, else IDLE_W. Its clock is wrong by CLOCK_OFFSET_S. After END readings (if
given) it is unplugged: it says so on stderr and ends.
"""

import sys
import time
from pathlib import Path

LOOK_S = 0.004
PROCESSES = Path("/proc")


def is_load(pid, board):
    """None: it may yet become load, as a child of the agent before it runs a program of its own."""
    try:
        words = (PROCESSES / pid / "cmdline").read_text().split("\0")
    except (OSError, ValueError):
        return False
    if not any(word.startswith(board) and word.endswith(".pyz") for word in words):
        return False
    return True if "mark" in words or "work" in words else None


def is_running(pid):
    try:
        return (PROCESSES / pid / "stat").read_text().rpartition(")")[2].split()[0] == "R"
    except (OSError, ValueError, IndexError):
        return False


def main():
    board = sys.argv[1]
    period_s, idle_w, busy_w, offset_s = map(float, sys.argv[2:6])
    left = int(sys.argv[6]) if len(sys.argv) > 6 else -1
    known = {}
    due_s = time.monotonic()
    while left != 0:
        due_s = max(due_s + period_s, time.monotonic())
        looks = busy = 0
        while looks == 0 or time.monotonic() < due_s:
            pids = [path.name for path in PROCESSES.iterdir() if path.name.isdigit()]
            before, known = known, {}
            for pid in pids:
                load = before.get(pid)
                known[pid] = is_load(pid, board) if load is None else load
            busy += any(is_running(pid) for pid in pids if known[pid])
            looks += 1
            time.sleep(LOOK_S)
        power_w = idle_w + (busy_w - idle_w) * busy / looks
        print(f"{time.time() + offset_s:.6f} {power_w:.6f}", flush=True)
        left -= 1
    sys.stderr.write("usb device disconnected\n")
    sys.exit(3)


main()
