"""JETPACKS: what NVIDIA's releases for Jetson bring along, by the release of L4T under them.

What a TensorRT parses and an ONNX Runtime reads stands in :mod:`bench.runtimes`, by version.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JetPack:
    """A line of releases. ``l4t``: how their L4T versions begin. ``onnxruntime_gpu``: the GPU wheel
    of ONNX Runtime that is known for it, a version or the first of them."""

    name: str
    l4t: tuple[str, ...]
    python: str
    cuda: str
    tensorrt: str
    onnxruntime_gpu: str | None


JETPACKS = (
    JetPack("4.6", ("32.6",), "3.6", "10.2", "8.0", "1.11"),
    JetPack("4.6.1 or later 4.6", ("32.7",), "3.6", "10.2", "8.2", "1.11"),
    JetPack("5.1", ("35",), "3.8", "11.4", "8.5", "1.12"),
    JetPack("6", ("36",), "3.10", "12.6", "10.3", "1.16"),
    JetPack("7", ("38", "39"), "3.12", "13", "10.13", None),
)


def jetpack(l4t: str | None) -> JetPack | None:
    """Return the release line of an L4T version such as ``32.7.1``, ``None`` for any other."""
    parts = (l4t or "").split(".")
    for line in JETPACKS:
        for start in line.l4t:
            wanted = start.split(".")
            if parts[: len(wanted)] == wanted:
                return line
    return None
