"""The runs of a results folder at a glance, from an index of what has not changed.

The index (``.listing.json`` in the results folder) only saves time: it may be removed at any time,
and is left alone where the folder cannot be written to. An entry counts as long as everything that
it was made of has the same names, sizes, inodes and times. Whatever else is heavy (pydantic, numpy)
is imported when a run has to be read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.errors import StoreError
from bench.store.files import write_atomic
from bench.store.folders import run_names
from bench.store.hold import LOCK_FILE, is_held
from bench.timestamps import parse_time

INDEX_FILE = ".listing.json"
_INDEX_VERSION = 1
_SETTLED_NS = 2_000_000_000
"""A file that changed a moment ago may change again without another time on it."""
_LOOKED_INTO = ("jobs", "journals", "probes")
_MOST_INDEX_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class RunListing:
    """One line of a list of runs; ``problem`` says what could not be read (else empty).

    ``started_at``: ISO 8601, ``None`` when the run cannot be opened, as is ``procedure`` then.
    ``running``: a process is at work on it. ``to_collect``: jobs that boards may still have.
    """

    run_id: str
    path: Path
    started_at: str | None
    devices: tuple[str, ...]
    models: tuple[str, ...]
    procedure: str | None
    cases: int
    trials: int
    failed: int
    complete: bool
    problem: str
    running: bool = False
    to_collect: int = 0

    @property
    def started(self) -> datetime | None:
        """When it was started, ``None`` where that cannot be told."""
        return parse_time(self.started_at or "")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which runs and cases are meant; ``None`` leaves that open. ``since``: with a time zone."""

    devices: Collection[str] | None = None
    models: Collection[str] | None = None
    since: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether everything is meant."""
        return self.devices is None and self.models is None and self.since is None

    def has_run(self, listing: RunListing) -> bool:
        """Whether a run may have what is meant."""
        started = listing.started
        return (
            (self.devices is None or any(name in self.devices for name in listing.devices))
            and (self.models is None or any(name in self.models for name in listing.models))
            and (self.since is None or (started is not None and started >= self.since))
        )

    def has_case(self, device: str, model: str) -> bool:
        """Whether a case is meant."""
        return (self.devices is None or device in self.devices) and (
            self.models is None or model in self.models
        )


def list_runs(results_dir: Path) -> list[RunListing]:
    """Return the runs below ``results_dir``, oldest first; also those that cannot be opened.

    Raises:
        StoreError: the folder cannot be read.
    """
    names = run_names(results_dir)
    known = _read_index(results_dir)
    found: dict[str, tuple[str, RunListing]] = {}
    fresh = False
    for name in names:
        path = results_dir / name
        signature, settled = _signature(path)
        if signature and name in known and known[name][0] == signature:
            found[name] = known[name]
            continue
        listing = _read(path)
        # What is wrong with a run is told with the path that it was reached by, and may pass.
        lasting = settled and not listing.problem
        fresh = fresh or lasting
        found[name] = (signature if lasting else "", listing)
    if fresh or any(name not in found for name in known):
        _write_index(results_dir, {name: item for name, item in found.items() if item[0]})
    listings = [replace(item, running=is_held(item.path)) for _, item in found.values()]
    return sorted(listings, key=lambda listing: (listing.started_at or "", listing.run_id))


def _read(path: Path) -> RunListing:
    from bench.store.reader import open_run  # heavy, see above

    try:
        run = open_run(path, path.parent)
        to_collect = len(run.to_collect)
    except StoreError as error:
        return RunListing(path.name, path, None, (), (), None, 0, 0, 0, False, str(error))
    manifest = run.manifest
    return RunListing(
        run_id=manifest.run_id,
        path=path,
        started_at=manifest.started_at,
        devices=tuple(manifest.devices),
        models=tuple(dict.fromkeys(case.model for case in manifest.cases)),
        procedure=manifest.procedure.name,
        cases=len(manifest.cases),
        trials=len(run.trials),
        failed=sum(trial.failed for trial in run.trials),
        complete=manifest.finished_at is not None
        and not (manifest.interrupted or manifest.device_errors or run.missing),
        problem="; ".join(run.problems),
        to_collect=to_collect,
    )


def _signature(path: Path) -> tuple[str, bool]:
    """Return what changes whenever the files change that a listing is made of, and whether they
    have been left alone for long enough to rely on it. Empty: it cannot be told."""
    parts: list[tuple[str, int, int, int, int]] = []
    try:
        for folder in (path, *(path / name for name in _LOOKED_INTO)):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                parts += _state(folder)
    except OSError:
        return "", False
    newest_ns = max((part[4] for part in parts), default=0)
    text = repr(sorted(parts)).encode("utf-8", "surrogateescape")
    settled = newest_ns < time.time_ns() - _SETTLED_NS
    return hashlib.blake2b(text, digest_size=16).hexdigest(), settled


def _state(folder: Path) -> Iterable[tuple[str, int, int, int, int]]:
    for entry in os.scandir(folder):
        if entry.name != LOCK_FILE:
            at = entry.stat(follow_symlinks=False)
            kind = stat.S_IFMT(at.st_mode)
            yield f"{folder.name}/{entry.name}", kind, at.st_size, at.st_ino, at.st_mtime_ns


def _read_index(results_dir: Path) -> dict[str, tuple[str, RunListing]]:
    """Return what the index holds; nothing where there is none, or one that makes no sense."""
    try:
        # Neither waiting at a pipe nor reading what a link leads to.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(results_dir / INDEX_FILE, flags), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > _MOST_INDEX_BYTES:
                return {}
            document = json.loads(file.read())
        if document["version"] != _INDEX_VERSION:
            return {}
        return {
            name: (str(signature), _listing(results_dir / name, item))
            for name, (signature, item) in document["runs"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


_STORED = tuple(item.name for item in fields(RunListing) if item.name not in ("path", "running"))


def _listing(path: Path, item: dict[str, Any]) -> RunListing:
    """Return a listing of the index.

    Raises:
        TypeError, KeyError: it does not have the shape of one.
    """
    known = {name: item[name] for name in _STORED}
    for name in ("devices", "models"):
        known[name] = tuple(map(str, known[name]))
    for name in ("cases", "trials", "failed", "to_collect"):
        known[name] = int(known[name])
    for name in ("started_at", "procedure"):
        known[name] = None if known[name] is None else str(known[name])
    texts = {name: str(known[name]) for name in ("run_id", "problem")}
    return RunListing(path=path, **{**known, **texts, "complete": bool(known["complete"])})


def _write_index(results_dir: Path, found: dict[str, tuple[str, RunListing]]) -> None:
    """Replace the index; of two that do so at once, one wins."""
    runs = {
        name: (signature, {key: getattr(listing, key) for key in _STORED})
        for name, (signature, listing) in found.items()
    }
    data = json.dumps({"version": _INDEX_VERSION, "runs": runs}).encode()
    with contextlib.suppress(OSError):
        write_atomic(results_dir / INDEX_FILE, data)
