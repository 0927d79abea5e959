"""Python packages that a host put into the board folder, for a board that lacks them.

::

    packages/<python>.json           which folder is in use for that Python, and what is in it
    packages/<python>-<key>/         unpacked wheels; the key is a hash over all of them

``<python>`` is ABI and CPU (``cp36m-aarch64``): two interpreters of a board do not share packages.
Nothing system-wide is touched: only workers, and the probe's imports, look there.
"""

import os
import platform
import sys

from bench.agent import notes

FOLDER = "packages"
POINTER = ".json"


def python_tag():
    """ABI and CPU of this interpreter, as ``cp36m-x86_64``."""
    implementation = {"cpython": "cp"}.get(sys.implementation.name, sys.implementation.name)
    version = "%d%d" % sys.version_info[:2]
    return "%s%s%s-%s" % (implementation, version, sys.abiflags, platform.machine())


def in_use(work_dir):
    """``{"folder" (name), "key", "versions": {package: version}}`` for this interpreter, or
    ``None``."""
    found = notes.read(pointer_path(work_dir)) or {}
    if not isinstance(found.get("versions"), dict):
        return None
    folder = os.path.basename(str(found.get("folder")))
    if not os.path.isdir(os.path.join(work_dir, FOLDER, folder)):
        return None
    return {"folder": folder, "key": str(found.get("key")), "versions": found["versions"]}


def search_path(work_dir):
    """Folders for ``sys.path``, before the board's own packages: a list of one, or of none."""
    found = in_use(work_dir)
    return [] if found is None else [os.path.join(work_dir, FOLDER, found["folder"])]


def pointer_path(work_dir):
    """Path of the file that tells what is in use for this interpreter."""
    return os.path.join(work_dir, FOLDER, python_tag() + POINTER)


def unused(work_dir):
    """Sorted paths of what lies among the packages and no interpreter uses."""
    top = os.path.join(work_dir, FOLDER)
    names = sorted(os.listdir(top)) if os.path.isdir(top) else []
    pointers = [name for name in names if name.endswith(POINTER)]
    found = [notes.read(os.path.join(top, name)) or {} for name in pointers]
    used = set(pointers) | {os.path.basename(str(pointer.get("folder"))) for pointer in found}
    return [os.path.join(top, name) for name in names if name not in used]
