"""The user's own models of a plan: looked into before a board waits, exported when one asks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from bench.background import in_background
from bench.errors import ExportError, UnsupportedCase
from bench.export.calibration import input_shapes
from bench.export.inputs import require_inputs, told
from bench.export.onnx_files import import_onnx, input_names
from bench.export.reference import Array
from bench.export.target import Rounding
from bench.fleet.observer import Observer
from bench.plan.plan import Plan
from bench.records.recordings import Artifact, GraphLimits
from bench.runtimes import ANY_RUNTIME


def take_in(
    plan: Plan,
    model: str,
    batch: int | None,
    limits: GraphLimits,
    cache: Path,
    on_miss: Callable[[], None] = lambda: None,
    rounding: Rounding | None = None,
) -> Artifact:
    """Return the artifact of one of the plan's ``files`` or ``functions``.

    What the plan says of inputs that other models have is left out. ``rounding`` is for functions:
    a file is taken as it is. Raises as :func:`~bench.export.onnx_files.import_onnx` and
    :func:`~bench.export.own_artifact.export_function`.
    """
    names = _inputs(plan, model)
    shapes = {name: shape for name, shape in plan.shapes.items() if name in names}
    values = plan.values.of(names)
    if model in plan.files:
        return import_onnx(plan.files[model], batch, shapes, limits, cache, on_miss, values)
    from bench.export.own_artifact import export_function

    return export_function(model, batch, shapes, values, limits, cache, on_miss, rounding)


def require_known_inputs(plan: Plan) -> None:
    """Refuse what a plan says of an input that none of its own models has.

    Raises:
        ConfigError: there is no such input, or a model cannot be used.
    """
    # Deep in the code of a model Ctrl-C would not be heard.
    names = {model: in_background(partial(_inputs, plan, model)).result() for model in plan.own}
    what = f"model {next(iter(names))}" if len(names) == 1 else "the plan"
    said = {
        "--shape": plan.shapes,
        "--range": plan.values.ranges,
        "--input": plan.values.samples,
    }
    require_inputs(what, said, list(dict.fromkeys(n for each in names.values() for n in each)))


def look_into(plan: Plan, cache: Path, observer: Observer) -> tuple[Plan, dict[str, str]]:
    """Take in every own model, so that a bad one is refused before a board waits.

    Returns the plan with what the models turned out to be, and by function the hash of what was
    exported of it.

    Raises:
        ConfigError: a model cannot be used, or what is said of its inputs does not fit them.
    """
    batches, inputs, words, hashes = {}, {}, {}, {}
    for model in (name for name in plan.models if name in plan.own):
        digest = hashlib.sha256()
        for batch in plan.batches or (None,):
            observer.note(model, "checking the model and computing its reference outputs")
            # What a board cannot do is that board's affair, and is found out there.
            with suppress(UnsupportedCase, ExportError):
                taken = partial(take_in, plan, model, batch, ANY_RUNTIME, cache)
                artifact = in_background(taken).result()
                batches[model] = artifact.batch
                inputs[model] = input_shapes(artifact.reference)
                facts = artifact.facts
                digest.update(f"{facts.graph_sha256} {facts.weights_sha256}\n".encode())
                if model not in words:
                    words[model] = _words(artifact.reference, plan, model)
                    for text in words[model]:
                        observer.note(model, text)
        if model in plan.functions:
            hashes[model] = digest.hexdigest()
    taken_in = replace(plan, file_batches=batches, file_inputs=inputs, file_inputs_told=words)
    return taken_in, hashes


def _inputs(plan: Plan, model: str) -> tuple[str, ...]:
    if model in plan.files:
        return tuple(input_names(plan.files[model]))
    from bench.export.own_torch import load_network

    return load_network(model).inputs


def _words(reference: Path, plan: Plan, model: str) -> tuple[str, ...]:
    examples: Mapping[str, Array] = {}
    if model in plan.functions:
        from bench.export.own_torch import load_network

        examples = load_network(model).examples
    with np.load(reference, allow_pickle=False) as archive:
        names = json.loads(str(archive["names"]))["inputs"]
        return tuple(
            told(name, archive[f"in{i}"], plan.values, examples) for i, name in enumerate(names)
        )
