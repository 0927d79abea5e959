"""Small reads of sysfs, procfs and device-tree files; what cannot be read is ``None``."""

import glob
import os


def under(root, path):
    """Path of the absolute ``path`` below ``root`` (a fake tree in tests, else ``/``)."""
    return os.path.join(root, path.lstrip("/"))


def find(root, pattern):
    """Sorted paths below ``root`` that match an absolute glob pattern."""
    return sorted(glob.glob(os.path.join(glob.escape(root), pattern.lstrip("/"))))


def read_text(path):
    """Text of a small file without blanks at its ends, or ``None``.

    Device-tree strings end in NUL and lists of them are separated by NUL: both become newlines.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError:
        return None
    return data.replace(b"\0", b"\n").decode("utf-8", "replace").strip()


def read_cell(path):
    """The number in a device-tree property of one cell (32 bits, big-endian), or ``None``."""
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError:
        return None
    return int.from_bytes(data, "big") if len(data) == 4 else None


def read_int(path):
    """The integer that a small file holds, or ``None``."""
    try:
        return int(read_text(path) or "")
    except ValueError:
        return None
