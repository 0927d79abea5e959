"""Finds and removes what the board folder need not keep: see ``clean`` in wire.py."""

import binascii
import fnmatch
import mmap
import os
import shutil

from bench.agent import board, engines, jobs, lease, notes, packages, provision, wire
from bench.agent.child import AGENT_ROOT

ARTIFACTS = "artifacts"
AGENTS = "agent-*.pyz"
REMOVED = "removed-"
LEFTOVERS = ("*.part", "*.new", REMOVED + "*")
"""Uploads and writes that were cut off, and jobs whose removal was. Nothing else is touched that
this program did not make."""


def clean(wanted, apply):
    """The answer to ``clean``; ``apply`` is ``yes`` to remove what it lists."""
    work_dir = board.folder()
    if apply != "yes":
        busy = lease.holder(wanted, work_dir)
        return _survey(work_dir) if busy is None else {"busy": busy}
    held, busy = lease.take(wanted, work_dir, "clean", board.user_name(os.getuid()))
    if held is None:
        return {"busy": busy}
    try:
        found = _survey(work_dir)
        for item in found["removable"]:
            _remove(item["path"], work_dir)
        return found
    finally:
        held.release()


def _survey(work_dir):
    # Files that jobs use are told apart by their real paths.
    work_dir = os.path.realpath(work_dir)
    kept, removable = [], []
    for folder in sorted(jobs.folders(work_dir)):
        why = _why_kept(folder)
        if why is None:
            removable.append(_item("job", folder))
        else:
            kept.append((folder, why))
    removable += [_item("agent", path) for path in _matching(work_dir, AGENTS) if _is_old(path)]
    used = _used_files([folder for folder, _ in kept])
    artifacts = os.path.join(work_dir, ARTIFACTS)
    for path in _matching(artifacts, "*"):
        if not _is_leftover(path) and used is not None and path not in used:
            removable.append(_item("artifact", path))
    for path in _matching(os.path.join(work_dir, engines.FOLDER), "*"):
        if used is not None and not _is_of_used_graph(path, used):
            removable.append(_item("engine", path))
    paths = _matching(work_dir, "*") + _matching(artifacts, "*")
    removable += [_item("packages", path) for path in packages.unused(work_dir)]
    leftovers = [path for path in paths if _is_leftover(path)] + _no_jobs(work_dir)
    # Wheels are unpacked as soon as they are there.
    leftovers += _matching(os.path.join(work_dir, provision.WHEELS), "*")
    removable += [_item("leftover", path) for path in leftovers]
    told = [{"job_id": os.path.basename(folder), "why": why} for folder, why in kept]
    return {"removable": removable, "kept": told}


def _why_kept(folder):
    """Why a job stays, ``None`` when nothing of it is needed any more."""
    state = jobs.state(folder)["state"]
    if state == "running":
        return "it is running"
    if state == "new" or jobs.is_collected(folder):
        return None
    return "it %s and its results were not collected" % (
        "is finished" if state == "finished" else "ended early"
    )


def _no_jobs(work_dir):
    """What lies among the jobs and is none: the host was lost before it had told one."""
    are_jobs = jobs.folders(work_dir)
    found = _matching(os.path.join(work_dir, board.JOBS), "*")
    return [path for path in found if path not in are_jobs]


def _is_old(path):
    return os.path.basename(path) != os.path.basename(AGENT_ROOT)


def _is_leftover(path):
    return any(fnmatch.fnmatch(os.path.basename(path), pattern) for pattern in LEFTOVERS)


def _matching(folder, pattern):
    """Sorted paths in a folder whose names match; empty where there is no such folder."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return [os.path.join(folder, name) for name in sorted(fnmatch.filter(names, pattern))]


def _used_files(kept):
    """Paths that the jobs of these folders need, ``None`` when a job does not tell."""
    used = set()
    for folder in kept:
        job = notes.read(os.path.join(folder, wire.JOB_FILE))
        try:
            cases = board.confined(job, folder)["cases"]
        except (board.JobProblem, KeyError, TypeError):
            return None
        used.update(part["path"] for case in cases for part in case["accuracy"])
        for graph, reference in {(case["graph"], case["reference"]) for case in cases}:
            used.update((graph, reference))
            used.update(_weights_files(graph))
        options = [case["options"] for case in cases]
        for bound in {option["bound"] for option in options if option.get("bound")}:
            used.update({bound}, _weights_files(bound))
        used.update(option["calibration"] for option in options if option.get("calibration"))
    return used


def _is_of_used_graph(path, used):
    """Whether a file of the engine cache belongs to a graph that a kept job uses."""
    return any(os.path.basename(path).startswith(engines.stem(graph)) for graph in used)


def _weights_files(path):
    """Files beside a graph, or beside a list of bound inputs, that it names: ONNX keeps large
    weights outside of it."""
    folder = os.path.dirname(path)
    try:
        with open(path, "rb") as stream:
            data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return set()
    try:
        names = [name for name in os.listdir(folder) if data.find(os.fsencode(name)) >= 0]
    finally:
        data.close()
    return {os.path.join(folder, name) for name in names}


def _item(what, path):
    return {"what": what, "path": path, "bytes": _size_bytes(path)}


def _size_bytes(path):
    """Bytes of a file, or of all files below a folder; links are not followed."""
    size = os.lstat(path).st_size
    for folder, _, names in os.walk(path):
        size += sum(os.lstat(os.path.join(folder, name)).st_size for name in names)
    return size


def _remove(path, work_dir):
    """Remove a file or a folder; a folder's name goes first, so that no half of a job is left."""
    if os.path.islink(path) or not os.path.isdir(path):
        os.remove(path)
        return
    draw = binascii.hexlify(os.urandom(8)).decode("ascii")
    doomed = os.path.join(work_dir, REMOVED + draw)
    os.rename(path, doomed)
    shutil.rmtree(doomed)
