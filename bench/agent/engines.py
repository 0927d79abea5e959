"""The engine cache: a folder of engines, each with a note on what it was built from and how.

An engine is named by its graph and by a hash over all that decides about it, so that one of
another TensorRT, GPU or precision is simply not found. Its note is written last: an engine without
one does not count.
"""

import hashlib
import json
import os
import re
import shutil
import zlib

from bench.agent import notes

FOLDER = "engines"
"""In the board folder."""
ENGINE = ".engine"
NOTE = ".json"
PART = ".part"
TIMING = ".timing"
CALIBRATION = ".calibration"
KEY_CHARACTERS = 16
_NOTED = {"bytes", "crc32", "build_s", "log"}
BUILD_S = 60.0
"""First guess of what building an engine of TensorRT takes (seconds to tens of minutes)."""


def key(graph, facts):
    """Hash over the graph's bytes and ``facts`` (a JSON-able dict); 16 hex digits.

    A graph names its weights file by the hash of that, so the graph's own bytes tell.
    """
    with open(graph, "rb") as stream:
        digest = hashlib.sha256(stream.read())
    digest.update(json.dumps(facts, sort_keys=True).encode("utf-8"))
    return digest.hexdigest()[:KEY_CHARACTERS]


def stem(graph):
    """What the names of all engines of a graph begin with."""
    name = os.path.splitext(os.path.basename(graph))[0]
    return re.sub(r"[^A-Za-z0-9_.]", "_", name) + "-"


def has_any(folder, graph, ending):
    """Whether something whose name ends so is kept of a graph, whatever it was built for."""
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return any(name.startswith(stem(graph)) and name.endswith(ending) for name in names)


class Cache(object):
    """One folder of engines, made when it is needed."""

    def __init__(self, folder):
        self._folder = folder
        if not os.path.isdir(folder):
            os.makedirs(folder, 0o700)

    def find(self, name):
        """``(plan, note, problem)``: bytes of an engine and its note; ``None, None`` where there
        is none, with ``problem`` (a line) where what is there cannot be used."""
        note = notes.read(self._path(name, NOTE))
        try:
            with open(self._path(name, ENGINE), "rb") as stream:
                plan = stream.read()
        except FileNotFoundError:
            return None, None, None
        except OSError as error:
            return None, None, "the cached engine %s cannot be read (%s)" % (name, error)
        if not isinstance(note, dict) or not _NOTED.issubset(note):
            return None, None, "the cached engine %s has no whole note" % name
        if len(plan) != note["bytes"]:
            found = (name, len(plan), note["bytes"])
            return None, None, "the cached engine %s has %d of %s bytes" % found
        if zlib.crc32(plan) & 0xFFFFFFFF != note["crc32"]:
            return None, None, "the cached engine %s is damaged" % name
        return plan, note, None

    def save(self, name, plan, facts):
        """Keep an engine with ``facts`` on how it was built; the note is the return value."""
        note = dict(facts, bytes=len(plan), crc32=zlib.crc32(plan) & 0xFFFFFFFF)
        self._write(name + ENGINE, plan)
        self._write(name + NOTE, json.dumps(note).encode("utf-8"))
        return note

    def read(self, file_name):
        """Bytes of another file of the cache, ``b""`` where there is none."""
        try:
            with open(os.path.join(self._folder, file_name), "rb") as stream:
                return stream.read()
        except FileNotFoundError:
            return b""

    def write(self, file_name, data):
        """Keep another file (what the builder or the calibration learnt)."""
        self._write(file_name, data)

    def _path(self, name, suffix):
        return os.path.join(self._folder, name + suffix)

    def _write(self, file_name, data):
        path = os.path.join(self._folder, file_name)
        with open(path + PART, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if os.path.isdir(path):  # then it is nothing that was kept here
            shutil.rmtree(path)
        os.rename(path + PART, path)
