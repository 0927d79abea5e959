"""Exports a model of the table for one case; cached, so that a second call does nothing."""

from __future__ import annotations

import hashlib
import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.errors import ConfigError, UnsupportedCase
from bench.export.cache import ArtifactCache, toolchain
from bench.export.target import Rounding, choose_target
from bench.extras import install_command
from bench.networks import models, plugin_sources
from bench.records.recordings import Artifact, GraphLimits
from models import ModelsExtraMissing, ModelSpec, Scheme, SchemeError

WEIGHT_MODES = ("load", "runtime", "factored")

GENERATED_INT8 = (
    "int8 rounds stored weights, and those that are generated at run time are not stored: use "
    "weight mode load or factored, or precision fp16"
)
EXPORTING = threading.Lock()
"""torch's exporter changes global state: one export at a time in a process."""


def export_case(
    model: str,
    scheme: str,
    weights: str | None,
    batch: int,
    limits: GraphLimits,
    cache: Path,
    on_miss: Callable[[], None] = lambda: None,
    trained: Path | None = None,
    rounding: Rounding | None = None,
) -> Artifact:
    """Return the artifact of a model, exporting it when the cache does not hold it yet.

    ``model`` is a name in ``models()``, ``weights`` one of the scheme's weight modes (None exactly
    for a scheme that has none), ``batch`` the number of inputs per run, ``limits`` what the board's
    runtime reads, ``cache`` a folder. torch is imported only when something has to be exported
    (``on_miss`` is called before that), or to size a scheme that restructures the network.
    ``trained`` is a checkpoint of ``bench train`` to take the weights from, instead of fixed
    pseudo-random ones. ``rounding``: what the graph itself rounds to, for an engine that does not.
    Raises ConfigError for wrong names, schemes, modes, a checkpoint of another network or a missing
    torch, UnsupportedCase for a board that is too old or weights that cannot be rounded so,
    ExportError when the export itself fails.
    """
    spec = find_model(model)
    parsed = parse_scheme(spec, scheme)
    _check_mode(parsed, weights)
    if batch < 1:
        raise ConfigError(f"batch {batch} is not possible: it is the number of inputs per run")
    target = choose_target(limits)
    key: dict[str, Any] = {
        "model": spec.name,
        "scheme": str(parsed),
        "weights": weights,
        "batch": batch,
        "opset": target.opset,
        "ir_version": target.ir_version,
        "engine": target.engine,
        "computed_weights": target.computed_weights,
        "toolchain": toolchain(),
    }
    sources = plugin_sources(spec.name)
    if sources is not None:
        key["plugin"] = sources
    if trained is not None:
        key["trained"] = hashlib.sha256(trained.read_bytes()).hexdigest()
    if rounding is not None:
        _check_rounding(rounding, weights)
        key["rounding"] = rounding.precision
        key["inputs"] = rounding.inputs.name if rounding.inputs else None  # it has their hash
    store = ArtifactCache(cache)
    with EXPORTING:
        found = store.find(key)
        if found is not None:
            return found
        require_exporter()
        on_miss()
        from bench.export.torch_export import export_artifact

        return store.add(
            key,
            export_artifact(spec, parsed, weights, batch, target, store, trained, rounding),
        )


def find_model(name: str) -> ModelSpec:
    """Return the model of that name. Raises ConfigError with near matches."""
    return models().find(name)


def parse_scheme(spec: ModelSpec, text: str) -> Scheme:
    """Return the scheme if it is well formed and fits the model. Raises ConfigError."""
    try:
        scheme = Scheme.parse(text)
        spec.total(scheme)
    except (SchemeError, ModelsExtraMissing) as error:
        raise ConfigError(f"model {spec.name}: {error}") from error
    return scheme


def _check_mode(scheme: Scheme, weights: str | None) -> None:
    modes = scheme.weight_modes
    if modes and weights not in modes:
        raise ConfigError(
            f"scheme {scheme} needs a weight mode ({', '.join(modes)}), not {weights!r}"
        )
    if not modes and weights is not None:
        raise ConfigError(f"scheme {scheme} has no weight mode; {weights!r} cannot be asked for")


def _check_rounding(rounding: Rounding, weights: str | None) -> None:
    if rounding.precision == "int8" and weights == "runtime":
        raise UnsupportedCase(GENERATED_INT8)


def require_exporter() -> None:
    """Make sure that what torch builds can be exported (without importing torch to find out).

    Raises ConfigError saying what to install.
    """
    for package in ("torch", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"models that torch builds need {package}, which is not installed: "
                f"{install_command('models')} (for a CPU-only torch see the README)"
            )
