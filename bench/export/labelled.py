"""A labelled set as files that a board can go through: see :mod:`bench.agent.accuracy`."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import ConfigError
from bench.export.cache import ArtifactCache
from bench.networks import models
from bench.records.artifact import LabelledFacts

PART_BYTES = 32 << 20
"""Pixels of one part: what a small board holds beside a model."""


@dataclass(frozen=True, slots=True)
class LabelledPart:
    """One file of a set, named by its content, and the number of images in it."""

    path: Path
    images: int


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """A labelled set in parts. ``shape``: (channels, height, width) of its images."""

    facts: LabelledFacts
    shape: tuple[int, int, int]
    parts: tuple[LabelledPart, ...]

    def misfit(self, model: str) -> str | None:
        """Why a built-in model cannot be tried on it, in one line, ``None`` if it can or is a
        user's own (then the board finds out)."""
        spec = models().get(model)
        if spec is None or (spec.input_shape, spec.classes) == (self.shape, self.facts.classes):
            return None
        takes, has = ("×".join(map(str, shape)) for shape in (spec.input_shape, self.shape))
        return (
            f"no accuracy for {model}: it takes {takes} images of {spec.classes} classes, "
            f"{self.facts.name} has {has} of {self.facts.classes}"
        )


def labelled_set(text: str, most: int | None, cache: Path) -> LabelledSet:
    """Return the test images of the data set that ``NAME:FOLDER`` names, ready to be sent.

    ``most``: no more images than that, spread evenly over the set.

    Raises:
        ConfigError: there is no such data set, its files are damaged, or the cache cannot be
            written.
    """
    from models.training.datasets import open_dataset
    from models.training.errors import DataError

    store = ArtifactCache(cache)
    digest = hashlib.sha256()
    parts = []
    try:
        data = open_dataset(text)
        count = len(data.test.labels)
        rows = np.arange(count, dtype=np.int64)
        if most is not None and most < count:
            rows = np.linspace(0, count - 1, most).round().astype(np.int64)
        mean, std = (np.array(values, np.float32) for values in (data.mean, data.std))
        for chunk in _chunks(rows, data.shape):
            arrays: dict[str, NDArray[Any]] = {
                "images": data.test.plain(chunk),
                "labels": data.test.labels[chunk].astype(np.int64),
                "mean": mean,
                "std": std,
            }
            for array in arrays.values():
                digest.update(np.ascontiguousarray(array).tobytes())
            buffer = io.BytesIO()
            np.savez(buffer, allow_pickle=False, **arrays)
            path = store.write(f"labelled-{data.name}", ".npz", buffer.getvalue())
            parts.append(LabelledPart(path, len(chunk)))
    except DataError as error:
        raise ConfigError(f"--accuracy: {error}") from None
    facts = LabelledFacts(
        name=data.name, images=len(rows), classes=data.classes, sha256=digest.hexdigest()
    )
    return LabelledSet(facts, data.shape, tuple(parts))


def _chunks(rows: NDArray[np.int64], shape: tuple[int, int, int]) -> Iterator[NDArray[np.int64]]:
    """Split the rows so that the pixels of each part are at most PART_BYTES."""
    step = max(1, PART_BYTES // int(np.prod(shape)))
    for first in range(0, len(rows), step):
        yield rows[first : first + step]
