"""Builds the job that the agent is asked to do (format: :mod:`bench.agent.wire`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.agent import wire
from bench.analysis.marker_pattern import marker_durations_s, marker_rest_s
from bench.records.case import Case
from bench.records.power import MeterFacts, PowerSource
from bench.records.procedure import BoardState, Procedure
from bench.records.recordings import Artifact
from bench.runtimes import runtimes


@dataclass(frozen=True, slots=True)
class Deployed:
    """A case with its artifact and where the artifact's files lie on the board."""

    case: Case
    artifact: Artifact
    graph: str
    reference: str
    labelled: tuple[tuple[str, int], ...] = ()
    """Parts of the labelled set that accuracy is counted on: (path on the board, images)."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the engine is asked for beside threads and precision; paths are those on the board."""


def build_job(
    job_id: str,
    root: str,
    procedure: Procedure,
    cases: Sequence[Deployed],
    power: PowerSource | None,
    period_s: float,
    state: BoardState,
    *,
    run_id: str,
    owner: str,
    meter: MeterFacts | None = None,
) -> dict[str, Any]:
    """Return the job document. ``root`` prefixes what the agent reads of sysfs and procfs;
    ``period_s`` is the time between two power readings, ``state`` what the board is to be like,
    ``owner`` who measures (user@host), told to others who want the board; ``meter`` is read on
    this host meanwhile."""
    return {
        "version": wire.WIRE_VERSION,
        "job_id": job_id,
        "run_id": run_id,
        "owner": owner,
        "root": root,
        "procedure": procedure.model_dump(),
        "cases": [_case(deployed) for deployed in cases],
        "sensor": None if power is None else _sensor(power, period_s),
        "state": state.model_dump(),
        "markers": None if meter is None else _markers(meter.period_s),
    }


def _markers(period_s: float) -> Mapping[str, Any]:
    return {
        "before": marker_durations_s("before", period_s),
        "after": marker_durations_s("after", period_s),
        "rest_s": marker_rest_s(period_s),
        "meter_period_s": period_s,
    }


def _case(deployed: Deployed) -> Mapping[str, Any]:
    case = deployed.case
    return {
        "key": case.key,
        "runtime": case.runtime,
        "graph": deployed.graph,
        "reference": deployed.reference,
        "options": {
            "threads": case.threads,
            "precision": case.precision,
            **deployed.options,
        },
        "classifier": deployed.artifact.classifier,
        "accuracy": [{"path": path, "images": images} for path, images in deployed.labelled],
        "tolerance": asdict(runtimes()[case.runtime].precisions[case.precision]),
    }


def _sensor(power: PowerSource, period_s: float) -> Mapping[str, Any]:
    return {
        "name": power.sensor,
        "options": power.options,
        "channels": list(power.channels),
        "unit": power.unit,
        "period_s": period_s,
        "lag_s": power.lag_s,
    }
