from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.export.cases import export_case
from bench.records.recordings import Artifact, GraphLimits

SMALL = "shufflenet_v2_x0_5_cifar100"
SHARED = "basis:5/10/20"
OLD = GraphLimits(opset=13, ir_version=7)

Export = Callable[..., Artifact]


@pytest.fixture(scope="session")
def cache(artifacts: Path) -> Path:
    """The artifact cache of all tests."""
    return artifacts


@pytest.fixture(scope="session")
def export(cache: Path) -> Export:
    """Export the small network."""

    def call(
        weights: str | None, *, batch: int = 1, limits: GraphLimits = OLD, scheme: str = SHARED
    ) -> Artifact:
        scheme = scheme if weights else "dense"
        return export_case(SMALL, scheme, weights, batch, limits, cache)

    return call


@pytest.fixture(scope="session")
def reference() -> Callable[[Artifact], tuple[np.ndarray, np.ndarray]]:
    """Input and output of a reference file with one of each."""

    def read(artifact: Artifact) -> tuple[np.ndarray, np.ndarray]:
        with np.load(artifact.reference) as arrays:
            return arrays["in0"], arrays["out0"]

    return read
