"""What all devices of a run share."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.export.labelled import LabelledSet
from bench.fleet.earlier import EarlierRuns
from bench.fleet.observer import Observer
from bench.once import Once
from bench.plan.plan import Plan
from bench.records.recordings import Artifact
from bench.run.uploads import Uploads
from bench.store.writer import RunWriter


@dataclass(frozen=True, slots=True)
class RunContext:
    """What all devices of a run share. ``cancel`` asks them to stop after the round they are in.

    ``labelled``: what accuracy is counted on. ``calibration``: inputs of int8 engines, by model.
    ``attempt``: 0 in a new run, then how often it has been gone on with. ``wait``: whether to wait
    for a board on which somebody else measures. ``command``: the command line of this process.
    """

    plan: Plan
    cache: Path
    writer: RunWriter
    observer: Observer
    cancel: threading.Event
    earlier: EarlierRuns
    labelled: LabelledSet | None = None
    calibration: Mapping[str, Path] = field(default_factory=dict)
    attempt: int = 0
    wait: bool = False
    command: tuple[str, ...] = ()
    artifacts: Once[Artifact] = field(default_factory=Once)
    uploads: Uploads = field(default_factory=Uploads)
