"""Columns that only some runs have, and what there is to say of GPU runtimes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bench.records.facts import EngineFacts
from bench.records.trial import Trial
from bench.report import format as fmt
from bench.report.meter import meter_energy

MOST_LAYERS = 5


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of a run; ``name`` is broken where a narrow table breaks it."""

    name: str
    cell: Callable[[Trial], str]


def columns(trials: Iterable[Trial | None]) -> tuple[Column, ...]:
    """Return the columns in which any of these trials has something to show."""
    known = [trial for trial in trials if trial is not None]
    return tuple(
        column for column in _COLUMNS if any(column.cell(trial) != fmt.NONE for trial in known)
    )


def engine_details(trial: Trial) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of the engine, the GPU and where the nodes of the graph ran."""
    facts = trial.facts
    engine = facts.get("engine", {})
    if engine:
        yield "engine", _origin(engine)
    if engine.get("engine_bytes") is not None:
        yield "engine size", fmt.size(engine["engine_bytes"])
    if engine.get("device"):
        capability = engine.get("compute_capability")
        yield "built for", f"{engine['device']}{f' ({capability})' if capability else ''}"
    options = engine.get("builder_options") or facts.get("provider_options", {})
    if options:
        yield "options", ", ".join(f"{name}={value}" for name, value in options.items())
    if facts.get("cuda_graph"):
        yield "CUDA graph", "each inference is replayed as one"
    nodes = facts.get("nodes", {})
    if nodes:
        yield "nodes ran on", ", ".join(f"{name}: {count}" for name, count in nodes.items())
    if trial.memory is not None and trial.memory.gpu_rise_bytes is not None:
        yield "GPU memory taken by the load", fmt.size(trial.memory.gpu_rise_bytes)
    for layer in engine.get("layers", [])[:MOST_LAYERS]:
        yield f"layer {layer['name']}", fmt.seconds(layer["ms"] * 1e-3)


def _origin(engine: EngineFacts) -> str:
    """Return how an engine came about: ``built in 41 s``, or ``cached``."""
    build_s = engine.get("build_s")
    took = "" if build_s is None else f" in {fmt.seconds(build_s, 2)}"
    if engine.get("cached"):
        return f"cached (built{took})" if took else "cached"
    return f"built{took}"


def _engine(trial: Trial) -> str:
    engine = trial.facts.get("engine")
    if not engine:
        return fmt.NONE
    return "cached" if engine.get("cached") else _origin(engine)


_COLUMNS = (
    Column(
        "compute\np50",
        lambda trial: fmt.seconds(trial.latency.compute_p50_s if trial.latency else None, 4),
    ),
    Column(
        "GPU\nmemory",
        lambda trial: fmt.size(trial.memory.gpu_rise_bytes if trial.memory else None),
    ),
    Column("engine", _engine),
    Column("energy by\nmeter", meter_energy),
)
