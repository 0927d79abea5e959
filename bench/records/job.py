"""What it takes to turn a device's journal into trials, and how its job ended."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.records.artifact import ArtifactFacts, LabelledFacts
from bench.records.base import SCHEMA_VERSION, Record
from bench.records.bounded import Count
from bench.records.power import MeterFacts, PowerSource
from bench.records.procedure import BoardState
from bench.records.status import Verdict


class JobEnd(Record):
    """How a job ended of which the board has nothing more that is not here.

    ``finished``: by itself, or since it was asked to. ``dead``: its processes died, and what its
    journal had is here. ``lost``: the board has nothing of it. ``rebooted``: the board was switched
    off or restarted under it. ``text`` says it in words, for whoever reads the results.
    """

    state: Literal["finished", "dead", "lost"]
    rebooted: bool = False
    text: str = ""


class JobFacts(Record):
    """What it takes to turn a device's journal into trials; stored before the job starts.

    ``artifacts`` has the cases of the job by their keys. ``without_power`` is the verdict on
    energy when ``power`` is ``None``. ``attempt``: as in :class:`Trial`. ``end``: how the job
    ended, once everything of it is here and the board knows that.
    """

    schema_version: int = SCHEMA_VERSION
    device: str
    job_id: str
    power: PowerSource | None
    without_power: Verdict
    artifacts: dict[str, ArtifactFacts]
    state: BoardState = BoardState()
    attempt: Count = 0
    end: JobEnd | None = None
    emulated: bool = False
    """Whether the board is no hardware: its latencies are then never valid."""
    meter: MeterFacts | None = None
    place: str | None = None
    """The labgrid place that the device stood for, if it is one."""
    labelled: dict[str, LabelledFacts] = Field(default_factory=dict)
    """Labelled sets that accuracy is counted on, by the cases of the job that have one."""
