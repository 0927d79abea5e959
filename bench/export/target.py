"""What to write for a board: which ONNX opset and IR version, and what the graph rounds to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import UnsupportedCase
from bench.records.recordings import GraphLimits

NEWEST = GraphLimits(opset=17, ir_version=8)
"""Never newer than this, whatever a board reads: the operators of these networks have not
changed since, so boards of many generations measure the very same graph."""

OLDEST = GraphLimits(opset=13, ir_version=7)

_NEWEST_OPSET_OF_IR = {7: 14}
"""IR version 7 was current while opset 13 and 14 were."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """What a graph rounds to by itself (:mod:`bench.export.rounding`).

    ``precision``: fp16 or int8. ``inputs``: an ``.npy`` of float32 inputs (n, \\*shape of one),
    from which int8 takes its ranges.
    """

    precision: str
    inputs: Path | None = None


def choose_target(limits: GraphLimits) -> GraphLimits:
    """Return the opset and IR version to write for a board that reads up to ``limits``, with
    what else these say.

    Raises UnsupportedCase when the board is too old for what the exporter can write.
    """
    if limits.opset < OLDEST.opset or limits.ir_version < OLDEST.ir_version:
        raise UnsupportedCase(
            f"the runtime reads ONNX opset {limits.opset} and IR {limits.ir_version} at most; "
            f"models are exported at opset {OLDEST.opset} and IR {OLDEST.ir_version} or newer; "
            "install a newer runtime on the board"
        )
    ir_version = min(limits.ir_version, NEWEST.ir_version)
    newest_opset = _NEWEST_OPSET_OF_IR.get(ir_version, NEWEST.opset)
    return replace(limits, opset=min(limits.opset, newest_opset), ir_version=ir_version)


def check_limits(name: str, opset: int, ir_version: int, limits: GraphLimits) -> None:
    """Raise UnsupportedCase when an existing ONNX file is newer than a board can read."""
    if opset > limits.opset:
        raise UnsupportedCase(
            f"{name} uses ONNX opset {opset}, the board's runtime reads at most {limits.opset}; "
            "export it at an older opset"
        )
    if ir_version > limits.ir_version:
        raise UnsupportedCase(
            f"{name} uses ONNX IR version {ir_version}, the board's runtime reads at most "
            f"{limits.ir_version}; save it with an older IR version"
        )
