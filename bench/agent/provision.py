"""Unpacks wheels that the host has pushed, proves that they import, and puts them into use."""

import json
import os
import shutil
import zipfile

from bench.agent import board, lease, notes, packages, probe
from bench.agent.failure import one_line

WHEELS = "wheels"
"""In the board folder: ``wheels/<hash>/<file name>``; removed once they are unpacked."""
MARGIN = 1.1
"""Files fill whole blocks, and imports leave compiled files beside them."""


class CannotUnpack(Exception):
    """The wheels cannot be put into use; one line."""


def provision(wanted_lock, key, wheels):
    """The answer to ``provision`` (see wire.py); ``wheels``: JSON list of paths below WHEELS."""
    work_dir = board.folder()
    held, busy = lease.take(wanted_lock, work_dir, "provision", board.user_name(os.getuid()))
    if held is None:
        return {"busy": busy}
    try:
        return _provision(work_dir, key, json.loads(wheels))
    except CannotUnpack as problem:
        return {"folder": None, "versions": {}, "problem": str(problem)}
    except (OSError, zipfile.BadZipFile) as error:
        text = "the wheels cannot be unpacked: %s" % one_line(error)
        return {"folder": None, "versions": {}, "problem": text}
    finally:
        held.release()


def remove(wanted_lock):
    """The answer to ``unprovision``: remove what is in use for this Python."""
    work_dir = board.folder()
    held, busy = lease.take(wanted_lock, work_dir, "unprovision", board.user_name(os.getuid()))
    if held is None:
        return {"busy": busy}
    try:
        found = packages.in_use(work_dir)
        if found is not None:
            os.remove(packages.pointer_path(work_dir))
            shutil.rmtree(os.path.join(work_dir, packages.FOLDER, found["folder"]))
        return {"removed": None if found is None else found["folder"]}
    finally:
        held.release()


def _provision(work_dir, key, wheels):
    name = "%s-%s" % (packages.python_tag(), os.path.basename(key))
    folder = os.path.join(work_dir, packages.FOLDER, name)
    part = folder + ".new"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part)
    try:
        paths = [_inside(work_dir, wheel) for wheel in wheels]
        _require_room(part, paths)
        versions = dict(_unpack(path, part) for path in paths)
        problem = _import_problem(part, versions)
        if problem is not None:
            raise CannotUnpack(problem)
        # What was there under this name was damaged, or it would not be sent again.
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(os.path.join(work_dir, WHEELS), ignore_errors=True)
    document = {"folder": name, "key": key, "versions": versions}
    notes.write(packages.pointer_path(work_dir), document)
    return {"folder": folder, "versions": versions, "problem": None}


def _inside(work_dir, wheel):
    """Path of a wheel; raises CannotUnpack where it leads out of the folder of wheels."""
    top = os.path.join(os.path.realpath(work_dir), WHEELS, "")
    path = os.path.realpath(os.path.join(top, wheel))
    if not path.startswith(top):
        raise CannotUnpack("%s lies outside of %s" % (wheel, top))
    return path


def _require_room(folder, paths):
    needed = 0
    for path in paths:
        with zipfile.ZipFile(path) as wheel:
            needed += sum(entry.file_size for entry in wheel.infolist())
    free = shutil.disk_usage(folder).free
    if needed * MARGIN > free:
        raise CannotUnpack(
            "unpacking needs %d MiB in %s, and %d MiB are free: free some, or set `work_dir` of "
            "this device to a larger disk" % (needed * MARGIN / 2**20 + 1, folder, free / 2**20)
        )


def _unpack(path, folder):
    """Unpack a wheel; ``(package, version)`` from its file name (PEP 427)."""
    name, version = os.path.basename(path).split("-")[:2]
    with zipfile.ZipFile(path) as wheel:
        wheel.extractall(folder)
    return name, version


def _import_problem(folder, names):
    """Why one of the packages cannot be imported from the folder, or ``None``."""
    for name in sorted(names):
        code = "import json, %s as p; print(json.dumps({'version': p.__version__}))" % name
        found = probe.probe_import(code, [folder])
        if found is None:
            return "%s was unpacked, and Python does not find it" % name
        if found["problem"]:
            return "%s %s does not run on this board: %s" % (name, names[name], found["problem"])
    return None
