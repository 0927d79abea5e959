"""What a run is: its cases, and the plan, plug-ins, pools and incidents beside them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bench.records.base import SCHEMA_VERSION, Record
from bench.records.case import Case
from bench.records.facts import ProbeFacts
from bench.records.procedure import Procedure


class ModelFile(Record):
    """A file of the user's (a model, a checkpoint, a sample): where it was and what was in it.

    ``external``: sha256 of the files beside it that hold its weights, by name.
    """

    path: str
    sha256: str
    external: dict[str, str] = Field(default_factory=dict)


class CalibrationFacts(Record):
    """What int8 engines are calibrated on; ``inputs``: files named by their content, by model."""

    path: str
    inputs: dict[str, str]


class PlanFacts(Record):
    """What a plan says beyond its procedure and its cases; see :class:`bench.plan.plan.Plan`.

    ``batches`` is empty when no batch was asked for.
    """

    batches: tuple[int, ...] = ()
    clocks: str | None = None
    governor: str | None = None
    power: str | None = None
    estimates: bool = True
    files: dict[str, ModelFile] = Field(default_factory=dict)
    functions: dict[str, str] = Field(default_factory=dict)
    """Torch functions by their spelling, with the hash of what was exported of each."""
    shapes: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    ranges: dict[str, tuple[int | float, int | float]] = Field(default_factory=dict)
    samples: dict[str, ModelFile] = Field(default_factory=dict)
    inputs: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """What inputs of the user's own models were fed, in words, by model."""
    trained: dict[str, ModelFile] | None = None
    accuracy: str | None = None
    accuracy_images: int | None = None
    cuda_graph: bool = False
    layer_profile: bool = False
    per_model: bool = False
    """Whether each model is a job of its own."""
    calibration: CalibrationFacts | None = None


class PluginFacts(Record):
    """Something that another package added to a table. ``sha256``: of its file in the agent."""

    kind: str
    name: str
    package: str
    version: str
    sha256: str | None = None


class Resumption(Record):
    """That a run was gone on with: when, by what, and with which device settings.

    ``reason``: why the run went on by itself, empty when a person asked for it.
    """

    resumed_at: str
    command: tuple[str, ...]
    git_revision: str | None
    versions: dict[str, str]
    devices: dict[str, dict[str, Any]]
    plugins: tuple[PluginFacts, ...] = ()
    reason: str = ""


class Pool(Record):
    """Boards of one kind that share the cases out among themselves.

    ``shared``: key of the case that each of them measures, so that their spread is known.
    """

    kind: str
    devices: tuple[str, ...]
    shared: str


class Incident(Record):
    """What went wrong with a board during a run, and what was done about it."""

    at: str
    device: str
    kind: Literal["failed", "power-cycled", "put aside"]
    text: str


class Manifest(Record):
    """What a run is, written before any hardware is touched and amended with probe facts."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    started_at: str
    command: tuple[str, ...]
    git_revision: str | None
    versions: dict[str, str]
    procedure: Procedure
    devices: dict[str, dict[str, Any]]
    """Configuration of each device as used (no secrets)."""
    cases: tuple[Case, ...]
    pools: tuple[Pool, ...] = ()
    """Empty unless cases were shared out (``--spread``)."""
    incidents: tuple[Incident, ...] = ()
    plan: PlanFacts = PlanFacts()
    plugins: tuple[PluginFacts, ...] = ()
    resumptions: tuple[Resumption, ...] = ()
    probes: dict[str, ProbeFacts] = Field(default_factory=dict)
    """By device; they lie in files of their own (:mod:`bench.store.probes`)."""
    device_errors: dict[str, str] = Field(default_factory=dict)
    finished_at: str | None = None
    interrupted: bool = False
