"""Builds engines on this machine with NVIDIA's own builder, to see what it takes and folds.

The builder is TensorRT for RTX (the extra ``trt-check``): it builds without a GPU, for compute
capabilities that it is told, but what it has built cannot be run or inspected here. Its parser is
TensorRT's; what a Jetson's own builder makes of the same graph may differ.
"""

from __future__ import annotations

import importlib
import importlib.util
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import ConfigError, ExportError, UnsupportedCase, suggest
from bench.extras import install_command
from bench.records.recordings import Artifact

MODULE = "tensorrt_rtx"
LIKE_ORIN = "8.6"
"""The nearest to the Jetson Orins' 8.7 that the builder knows."""


@dataclass(frozen=True, slots=True)
class WeightsCheck:
    """Where the weights of the layers are: ``stored`` in the file; ``constant``: computed from the
    file alone, of which the engine holds ``folded``; ``generated``: computed from bound inputs in
    every inference, of which the engine holds ``found``, which must be none."""

    stored: int
    constant: int
    folded: int
    generated: int
    found: int


@dataclass(frozen=True, slots=True)
class EngineCheck:
    """What the builder made of one artifact for one compute capability.

    ``layers``: of the network as parsed, before the builder joins them, by kind in ``kinds``.
    ``weights``: ``None`` of a graph that rounds: of numbers of 16 bits and fewer an engine holds
    each by chance.
    """

    builder: str
    capability: str
    layers: int
    kinds: dict[str, int]
    engine_bytes: int
    weights: WeightsCheck | None


def require_builder(capabilities: Sequence[str]) -> dict[str, Any]:
    """Return the builder's own names of compute capabilities such as ``8.6``.

    Raises:
        ConfigError: the builder is not installed (the message says how to), or does not know one.
    """
    if importlib.util.find_spec(MODULE) is None:
        raise ConfigError(
            "--check tensorrt needs NVIDIA's builder (Linux on x86-64 only): "
            + install_command("trt-check")
        )
    try:
        trt = importlib.import_module(MODULE)
    except ImportError as error:
        raise ConfigError(
            f"--check tensorrt: NVIDIA's builder is installed but cannot be imported ({error}); "
            f"install it anew: {shlex.quote(sys.executable)} -m pip install --force-reinstall "
            "tensorrt-rtx-cu13"
        ) from None
    known = {
        f"{name[2:-1]}.{name[-1]}": member
        for name, member in trt.ComputeCapability.__members__.items()
        if name.startswith("SM")
    }
    for text in capabilities:
        if text not in known:
            raise ConfigError(
                f"the builder has no compute capability {text!r}; {suggest(text, known)}"
            )
    return {text: known[text] for text in capabilities}


def check_engines(
    artifact: Artifact, capabilities: Sequence[str], precision: str = "fp32"
) -> list[EngineCheck]:
    """Build an artifact for compute capabilities such as ``8.6`` and look into the engines.

    ``precision``: what the graph itself rounds to.

    Raises:
        ConfigError: the builder is not installed, or does not know a compute capability.
        UnsupportedCase: the parser refuses a node; the message names it.
        ExportError: the builder fails; ``detail`` has its own lines.
    """
    chosen = require_builder(capabilities)
    trt = importlib.import_module(MODULE)
    checks = []
    for text, capability in chosen.items():
        engine, kinds = build(artifact.graph, capability)
        checks.append(
            EngineCheck(
                builder=f"TensorRT for RTX {trt.__version__}",
                capability=text,
                layers=sum(kinds.values()),
                kinds=dict(kinds),
                engine_bytes=len(engine),
                weights=_weights(artifact, engine) if precision == "fp32" else None,
            )
        )
    return checks


def _weights(artifact: Artifact, engine: bytes) -> WeightsCheck:
    from bench.export.layer_weights import (
        CONSTANT,
        GENERATED,
        STORED,
        EngineValues,
        layer_weights,
    )

    weights = layer_weights(artifact.graph, artifact.bound)
    values = EngineValues(engine)
    held = Counter(weight.source for weight in weights if values.holds(weight.values))
    total = Counter(weight.source for weight in weights)
    return WeightsCheck(
        stored=total[STORED],
        constant=total[CONSTANT],
        folded=held[CONSTANT],
        generated=total[GENERATED],
        found=held[GENERATED],
    )


def build(graph: Path, capability: Any) -> tuple[bytes, Counter[str]]:
    """Return the serialized engine of a graph and its network's layers by kind.

    ``capability``: a member of the builder's ``ComputeCapability``. Raises as check_engines.
    """
    trt = importlib.import_module(MODULE)
    log = _log(trt)
    builder = trt.Builder(log)
    network = _parsed(graph, builder, log)
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(capability, 0)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        last = log.lines[-1] if log.lines else "it does not say why"
        raise ExportError(
            f"{graph.name}: TensorRT's builder fails: {last}", detail="\n".join(log.lines)
        )
    return bytes(engine), _kinds(network)


def parse(graph: Path) -> Counter[str]:
    """Return a graph's layers by kind, as the parser makes them; nothing is built.

    Raises UnsupportedCase naming the node that the parser refuses.
    """
    trt = importlib.import_module(MODULE)
    log = _log(trt)
    builder = trt.Builder(log)
    return _kinds(_parsed(graph, builder, log))


def _parsed(graph: Path, builder: Any, log: Any) -> Any:
    trt = importlib.import_module(MODULE)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(graph)):
        errors = list(_refusals(parser))
        raise UnsupportedCase(
            f"{graph.name}: TensorRT's parser refuses {errors[0] if errors else 'the graph'}",
            detail="\n".join([*errors, *log.lines]),
        )
    return network


def _kinds(network: Any) -> Counter[str]:
    return Counter(network.get_layer(index).type.name for index in range(network.num_layers))


def _refusals(parser: Any) -> Iterator[str]:
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        node = error.node_name() or f"number {error.node()}"
        yield f"node {node!r} ({error.node_operator()}): {error.desc()}"


def _log(trt: Any) -> Any:
    """A logger that keeps the builder's own warnings and errors."""

    class Log(trt.ILogger):  # type: ignore[misc]  # the module is known at run time only
        def __init__(self) -> None:
            super().__init__()
            self.lines: list[str] = []

        def log(self, severity: Any, text: str) -> None:
            if severity <= trt.ILogger.WARNING:
                self.lines.append(" ".join(text.split()))

    return Log()
