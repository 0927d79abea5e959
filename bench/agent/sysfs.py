"""Small reads of sysfs, procfs and device-tree files; what cannot be read is ``None``.

Drivers are buggy, fake trees are made by hand, and files can be folders: nothing here raises for
what it finds, and nothing that it returns is longer or larger than JSON and arithmetic can hold.
"""

import glob
import os
import re

MOST_BYTES = 1 << 20
NAME_CHARACTERS = 80

_INTEGER = re.compile(rb"\s*([+-]?[0-9]{1,18})\s*\Z")


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
            data = stream.read(MOST_BYTES)
    except OSError:
        return None
    return data.replace(b"\0", b"\n").decode("utf-8", "replace").strip()


def compatible(root):
    """The device tree's ``compatible`` strings, the most specific first; empty without one."""
    text = read_text(under(root, "/proc/device-tree/compatible")) or ""
    return [name for name in text.split("\n") if name]


def read_cell(path):
    """The number in a device-tree property of one cell (32 bits, big-endian), or ``None``."""
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError:
        return None
    return int.from_bytes(data, "big") if len(data) == 4 else None


def read_name(path):
    """The first line of a small file, cut to what a name needs, or ``None``."""
    lines = (read_text(path) or "").split("\n")
    return lines[0][:NAME_CHARACTERS].strip() or None


def read_int(path):
    """The integer that a small file holds, or ``None``."""
    try:
        with open(path, "rb") as stream:
            return to_int(stream.read(64))
    except OSError:
        return None


def to_int(data):
    """The integer that bytes spell, ``None`` if they spell none or one beyond 18 digits."""
    found = _INTEGER.match(data.rstrip(b"\0"))
    return int(found.group(1)) if found else None


def counts(words):
    """The integers that words spell, ``None`` unless all do and none is negative."""
    found = [to_int(word.encode("utf-8", "replace")) for word in words]
    return None if any(value is None or value < 0 for value in found) else found


class Attribute(object):
    """An integer sysfs file that stays open; opened anew after an error."""

    def __init__(self, path):
        self._path = path
        self._fd = None

    def read(self):
        """The value, or ``None`` when this read failed."""
        try:
            if self._fd is None:
                self._fd = os.open(self._path, os.O_RDONLY)
            value = to_int(os.pread(self._fd, 32, 0))
        except OSError:
            value = None
        if value is None and self._fd is not None:
            os.close(self._fd)
            self._fd = None
        return value
