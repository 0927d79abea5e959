"""The artifact cache: a folder of files named by their content, and an index by cause.

::

    <cache>/<stem>-<sha256[:16]>.onnx|.weights|.npz|.json    content
    <cache>/index/<sha256 of the key>.json             what a key led to, written last

Every file is written under a temporary name and renamed, so a reader never sees half a file and
two processes that export the same thing do not disturb each other.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache as remember
from importlib import metadata
from pathlib import Path
from typing import Any

import platformdirs

import models
from bench.errors import ConfigError
from bench.json_text import parse_object
from bench.records.artifact import ArtifactFacts
from bench.records.recordings import Artifact

_PACKAGES = ("numpy", "onnx", "onnxruntime", "onnxscript", "torch")


class ArtifactCache:
    """Artifacts below one folder, which is made when it is missing.

    Raises ConfigError when the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._index = folder / "index"
        try:
            self._index.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot write the artifact cache {folder}: {error}") from error

    def find(self, key: Mapping[str, Any]) -> Artifact | None:
        """Return the artifact stored for the key, or None when there is none that is whole."""
        try:
            entry = parse_object(self._entry(key).read_bytes())
            artifact = Artifact(
                graph=self.folder / entry["graph"],
                weights=self.folder / entry["weights"] if entry["weights"] else None,
                reference=self.folder / entry["reference"],
                facts=ArtifactFacts.model_validate(entry["facts"]),
                batch=entry["batch"],
                classifier=entry["classifier"],
                fresh=False,
                bound=self.folder / entry["bound"] if entry["bound"] else None,
            )
            files = (artifact.graph, artifact.weights, artifact.reference, artifact.bound)
            whole = all(_is_whole(file) for file in files if file is not None)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return artifact if whole else None

    def add(self, key: Mapping[str, Any], artifact: Artifact) -> Artifact:
        """Store an artifact whose files were written by :meth:`write`; returns it as fresh."""
        entry = {
            "key": dict(key),
            "graph": artifact.graph.name,
            "weights": artifact.weights.name if artifact.weights else None,
            "reference": artifact.reference.name,
            "facts": artifact.facts.model_dump(),
            "batch": artifact.batch,
            "classifier": artifact.classifier,
            "bound": artifact.bound.name if artifact.bound else None,
        }
        self._put(self._entry(key), json.dumps(entry, indent=1).encode())
        return replace(artifact, fresh=True)

    def write(self, stem: str, suffix: str, content: bytes) -> Path:
        """Store content under ``<stem>-<hash><suffix>`` and return the path."""
        path = self.folder / content_name(stem, suffix, content)
        if not (path.is_file() and path.stat().st_size == len(content)):
            self._put(path, content)
        return path

    def _entry(self, key: Mapping[str, Any]) -> Path:
        text = json.dumps(key, sort_keys=True)
        return self._index / f"{hashlib.sha256(text.encode()).hexdigest()}.json"

    def _put(self, path: Path, content: bytes) -> None:
        try:
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:60]}-")
        except OSError as error:
            raise ConfigError(f"cannot write the artifact cache {path.parent}: {error}") from error
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except OSError as error:
            Path(temporary).unlink(missing_ok=True)
            raise ConfigError(f"cannot write {path}: {error}") from error


def _is_whole(path: Path) -> bool:
    """Whether a stored file still has the content that its name says."""
    stem, _, _ = path.stem.rpartition("-")
    return path.name == content_name(stem, path.suffix, path.read_bytes())


def content_name(stem: str, suffix: str, content: bytes) -> str:
    """File name that holds the content's hash."""
    return f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}{suffix}"


@remember
def toolchain() -> dict[str, str | None]:
    """Versions of the packages and the hash of our own sources that an export depends on."""
    versions: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    digest = hashlib.sha256()
    for folder in (Path(models.__file__).parent, Path(__file__).parent):
        for source in sorted(folder.glob("*.py")):
            digest.update(source.name.encode() + b"\0" + source.read_bytes())
    versions["sources"] = digest.hexdigest()
    return versions


def default_cache() -> Path:
    """Where artifacts are kept unless BENCH_CACHE names another folder."""
    named = os.environ.get("BENCH_CACHE")
    try:
        if named:
            return Path(named).expanduser()
        return Path(platformdirs.user_cache_dir("bench-on-device"))
    except RuntimeError as error:
        raise ConfigError(f"no cache folder: {error}; set HOME or BENCH_CACHE") from None
