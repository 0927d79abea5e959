"""The board's power mode, clocks and governor: set for a job, put back after it.

What the board was like is written to ``state.json`` in the board folder before anything is
changed, and removed when that is verified to be so again: by the job at its end, else (it was
killed, the board lost power) by whoever talks to the board next. All of this needs the lock.
"""

import json
import os
import time

from bench.agent import clocks, gpu_clocks, health, identity, power_mode, privilege
from bench.agent.clock import now_ns
from bench.agent.privilege import StateProblem

FILE = "state.json"
CLOCKS_FILE = "clocks.conf"
NOTHING = {"restored": None, "problem": None}


def establish(job, work_dir):
    """Bring the board into the state that a job asks for, and note what it was like.

    Raises:
        StateProblem: that is not possible or not permitted (nothing was changed), or it did not
            come about (what was changed has been put back), or an earlier job's change cannot be
            put back.
    """
    problem = restore(work_dir)["problem"]
    if problem is not None:
        raise StateProblem(problem)
    asked = _asked(job)
    if not any(asked.values()):
        return
    root = job["root"]
    number = check(root, asked)
    _write_note(work_dir, _found(job, work_dir))
    try:
        _set(root, asked, number)
        deviation = deviations(root, asked)
        if deviation is not None:
            raise StateProblem("the board did not take the state asked for: " + deviation)
    except StateProblem as failed:
        problem = restore(work_dir)["problem"]
        raise StateProblem(failed.text if problem is None else failed.text + "; " + problem)


def prepare(job, work_dir, record):
    """Journal what the board was like and, where something was asked for, what it is like now.

    ``record(kind, **fields)`` appends to the journal.
    """
    note = _read_note(work_dir)
    if note is None:
        record("state", where="before", **describe(job["root"]))
        return
    record("state", where="before", **note["described"])
    record("state", where="set", **describe(job["root"]))


def finish(job, work_dir, record):
    """Journal what the board is like after the measurement and put back what it was like."""
    root = job["root"]
    try:
        record("state", where="after", **describe(root, deviations(root, _asked(job))))
    finally:
        if is_left_behind(work_dir):
            problem = restore(work_dir)["problem"]
            record("state", where="restored", **describe(root, problem))


def is_left_behind(work_dir):
    """Whether something has to be put back (by the job that runs, if one does)."""
    return os.path.exists(os.path.join(work_dir, FILE))


def restore(work_dir):
    """Put back what ``state.json`` tells of, if there is one; the ``restore`` answer of wire.py.

    The file is removed only after everything reads as it did before.
    """
    try:
        note = _read_note(work_dir)
        if note is None:
            return dict(NOTHING)
        _put_back(note)
    except StateProblem as failed:
        path = os.path.join(work_dir, FILE)
        text = "the board's state from before a job is not restored (%s has it): %s"
        return {"restored": None, "problem": text % (path, failed.text)}
    for name in (FILE, CLOCKS_FILE):
        path = os.path.join(work_dir, name)
        if os.path.exists(path):
            os.remove(path)
    _fsync_folder(work_dir)
    return {"restored": dict(describe(note["root"]), job_id=note["job_id"]), "problem": None}


def describe(root, problem=None):
    """The fields of a ``state`` record except ``where``."""
    lowest, highest = health.lowest_khz(root), health.highest_khz(root)
    return {
        "t_ns": now_ns(),
        "power_mode": power_mode.name(root, power_mode.current(root)),
        "clocks": "max" if lowest and lowest == highest else None,
        "governor": health.governors(root),
        "frequency_min_khz": lowest,
        "frequency_max_khz": highest,
        "problem": problem,
    }


def deviations(root, asked):
    """How the board differs from the state asked for, in one line, or ``None``."""
    found = []
    if asked["power_mode"] is not None:
        number = power_mode.current(root)
        try:
            if number != power_mode.find(root, asked["power_mode"]):
                found.append("the power mode is %s" % power_mode.name(root, number))
        except StateProblem as gone:
            found.append(gone.text)
    if asked["clocks"] is not None:
        found += clocks.unpinned(root)
        if privilege.find_command(root, "jetson_clocks") is not None:
            found += gpu_clocks.unpinned(root)
    if asked["governor"] is not None:
        found += clocks.other_governors(root, asked["governor"])
    return "; ".join(found) or None


def _asked(job):
    state = job.get("state") or {}
    return {name: state.get(name) for name in ("power_mode", "clocks", "governor")}


def check(root, asked):
    """Raise StateProblem unless all of ``asked`` {power_mode, clocks, governor} can be set and put
    back; the power mode's id. Nothing is changed."""
    number = None
    queries = []
    if asked["power_mode"] is not None:
        number = power_mode.find(root, asked["power_mode"])
        if power_mode.current(root) is None:
            raise StateProblem("the present power mode cannot be told, so it could not be restored")
        queries.append([privilege.find_command(root, "nvpmodel"), "-q"])
    if asked["clocks"] is not None:
        clocks.check_pinning(root)
    if asked["governor"] is not None:
        clocks.check_governor(root, asked["governor"])
    jetson_clocks = privilege.find_command(root, "jetson_clocks")
    if _touches_clocks(asked) and jetson_clocks is not None:
        queries.append([jetson_clocks, "--show"])
    names = _touched(asked)
    privilege.require(root, queries, clocks.files(clocks.snapshot(root), names))
    return number


def _touches_clocks(asked):
    """Whether clock limits may change: a change of the power mode undoes pinned clocks."""
    return asked["power_mode"] is not None or asked["clocks"] is not None


def _touched(asked):
    """Names of the cpufreq files that have to be put back."""
    names = [clocks.GOVERNOR] if asked["governor"] is not None else []
    return names + ([clocks.MIN, clocks.MAX] if _touches_clocks(asked) else [])


def _found(job, work_dir):
    """What is needed to put everything back."""
    root, asked = job["root"], _asked(job)
    path = os.path.join(work_dir, CLOCKS_FILE)
    stored = _touches_clocks(asked) and clocks.store(root, path)
    names = _touched(asked)
    if clocks.is_capped(root):
        # What reads as the upper limit now is not the one that somebody set.
        names = [name for name in names if name != clocks.MAX]
    return {
        "job_id": job["job_id"],
        "wall_s": time.time(),
        "boot_id": identity.boot_id(),
        "root": os.path.abspath(root),
        "power_mode": power_mode.current(root) if asked["power_mode"] is not None else None,
        "policies": clocks.snapshot(root, names),
        "jetson_clocks": path if stored else None,
        "described": describe(root),
    }


def _set(root, asked, number):
    """The power mode first: nvpmodel sets clock limits of its own."""
    if number is not None:
        power_mode.switch(root, number)
    if asked["governor"] is not None:
        clocks.set_governor(root, asked["governor"])
    if asked["clocks"] is not None:
        clocks.pin(root)


def _put_back(note):
    """Undo and verify. After a reboot only the power mode is still as the job set it."""
    root = note["root"]
    if note["power_mode"] is not None:
        power_mode.switch(root, note["power_mode"])
    if note["boot_id"] == identity.boot_id():
        clocks.restore(root, note["policies"], note["jetson_clocks"])
        differences = clocks.differences(root, note["policies"])
        if differences:
            raise StateProblem("; ".join(differences))


def _read_note(work_dir):
    """What ``_write_note`` wrote, ``None`` when there is nothing to put back."""
    path = os.path.join(work_dir, FILE)
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StateProblem(
            "%s cannot be read (%s): check the board's power mode and clocks by hand, then "
            "remove the file" % (path, error)
        )


def _write_note(work_dir, note):
    """On the disk, whole, before this returns: what follows may cut the board's power."""
    path = os.path.join(work_dir, FILE)
    try:
        with open(path + ".new", "w", encoding="utf-8") as stream:
            json.dump(note, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(path + ".new", path)
        _fsync_folder(work_dir)
    except OSError as error:
        raise StateProblem("%s cannot be written (%s)" % (path, error.strerror))


def _fsync_folder(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
