"""What a person wants to know before measuring, beyond the probe: see ``bench doctor``.

The document of ``doctor``::

    {"processes": [{"pid", "name", "cpus"}] (others that use CPU time, busiest first),
     "swap": [{"name", "bytes", "used_bytes"}],
     "headroom_c": {zone: °C to its lowest trip point},
     "state": {"power_mode"|"clocks"|"governor": {"applies": bool, "problem"}},
     "pinned": bool|null, "jetpack": null | {package: version},
     "loads": [{"sensor", "unit": "W", "channels": [{"name", "idle_w", "busy_w"}], "reads",
                "failed_reads", "change_s", "problem"}],
     "idle_s", "busy_s", "wall_s"}

Power is a mean over ``idle_s`` of rest and over ``busy_s`` of load on all CPUs; ``change_s`` is the
median time between two changes of a value. What cannot be told is null.
"""

import json
import os
import time

from bench.agent import (
    board,
    clocks,
    gpu_clocks,
    lease,
    load_check,
    power_mode,
    privilege,
    state,
    surroundings,
)
from bench.agent.privilege import StateProblem

NOTHING_ASKED = {"power_mode": None, "clocks": None, "governor": None}


def doctor(root, options, wanted_lock):
    """The answer to ``doctor``; a board that measures is left alone."""
    work_dir = board.folder()
    held, busy = lease.take(wanted_lock, work_dir, "doctor", board.user_name(os.getuid()))
    if held is None:
        return {"busy": busy}
    try:
        before = surroundings.cpu_s_by_process()
        began = time.monotonic()
        loads = load_check.idle(root, json.loads(options))
        spent_s = time.monotonic() - began
        processes = surroundings.busiest(before, surroundings.cpu_s_by_process(), spent_s)
        return {
            "processes": processes,
            "swap": surroundings.swap(root),
            "headroom_c": surroundings.headroom_c(root),
            "state": settable(root),
            "pinned": _pinned(root),
            "jetpack": surroundings.jetpack(root),
            "loads": load_check.under_load(loads),
            "idle_s": load_check.IDLE_S,
            "busy_s": load_check.BUSY_S,
            "wall_s": time.time(),
        }
    finally:
        held.release()


def settable(root):
    """Which of a job's wishes about the board's state could be met; nothing is changed."""
    has_cpufreq = bool(clocks.snapshot(root))
    governor = next((texts.get(clocks.GOVERNOR) for texts in clocks.snapshot(root).values()), None)
    asked = {
        "power_mode": _mode_name(root),
        "clocks": "max" if has_cpufreq else None,
        "governor": governor,
    }
    return {name: _settable(root, name, value) for name, value in asked.items()}


def _mode_name(root):
    if privilege.find_command(root, "nvpmodel") is None:
        return None
    return power_mode.name(root, power_mode.current(root)) or "unknown"


def _settable(root, name, value):
    if value is None:
        return {"applies": False, "problem": None}
    try:
        state.check(root, dict(NOTHING_ASKED, **{name: value}))
    except StateProblem as problem:
        return {"applies": True, "problem": problem.text}
    return {"applies": True, "problem": None}


def _pinned(root):
    """Whether no clock can change, ``None`` where there are no clocks to be seen."""
    if not clocks.files(clocks.snapshot(root), [clocks.MIN]):
        return None
    return not clocks.unpinned(root) and not gpu_clocks.unpinned(root)
