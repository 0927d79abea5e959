"""Labelled images in memory, and what every data set says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.training.errors import DataError

Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


class Images(Protocol):
    """Labelled images that are asked for by their numbers.

    ``workers`` is how many processes should help to load them.
    """

    labels: Indices
    workers: int

    def plain(self, rows: Indices) -> Bytes:
        """Images as they are evaluated, (rows, channels, height, width). Raises DataError."""

    def augmented(self, rows: Indices, draw: tuple[int, int]) -> Bytes:
        """Images as they are trained on, of the same shape, changed at random.

        ``draw`` (seed, epoch) and an image's number say how it is changed, whatever else is
        asked for: so a resumed training, and any number of processes, see the same images.
        Raises DataError.
        """


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set of which training and test images are told apart by whoever distributes it.

    ``shape`` is (channels, height, width); images are normalised as (x / 255 - mean) / std per
    channel. ``digest`` tells two versions of the data apart: SHA-256 of the files' contents, or of
    names and sizes where the files are many.
    """

    name: str
    classes: int
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train: Images
    test: Images
    digest: str


class Pixels:
    """Images in memory: uint8 (images, channels, height, width).

    Augmented by a shift of up to ``shift`` pixels either way, filled with zeros, and by mirroring
    where ``mirror`` says that this keeps the class.
    """

    workers = 0

    def __init__(self, pixels: Bytes, labels: Indices, *, shift: int, mirror: bool) -> None:
        self.labels = labels
        self._pixels = pixels
        self._shift = shift
        self._mirror = mirror

    def plain(self, rows: Indices) -> Bytes:
        """Images as they are."""
        return self._pixels[rows]

    def augmented(self, rows: Indices, draw: tuple[int, int]) -> Bytes:
        """Images shifted and mirrored at random."""
        generator = np.random.default_rng(draw)
        count, _, height, width = self._pixels.shape
        shifts = generator.integers(0, 2 * self._shift + 1, (count, 2))[rows]
        mirrored = generator.integers(0, 1 + self._mirror, (count, 1))[rows]
        border = (self._shift, self._shift)
        padded = np.pad(self._pixels[rows], ((0, 0), (0, 0), border, border))
        down = shifts[:, :1] + np.arange(height)
        across = shifts[:, 1:] + np.arange(width)
        across = np.where(mirrored == 1, across[:, ::-1], across)
        images = np.arange(len(rows))[:, None, None]
        picked = padded[images, :, down[:, :, None], across[:, None, :]]
        return np.ascontiguousarray(picked.transpose(0, 3, 1, 2))


def checked_labels(labels: Indices, images: int, classes: int, where: str) -> Indices:
    """Return labels if there is one for each image and all are classes. Raises DataError."""
    if len(labels) != images:
        raise DataError(f"{where}: {images} images, but {len(labels)} labels")
    if images == 0:
        raise DataError(f"{where}: there are no images in it")
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"{where}: has labels other than 0 to {classes - 1}")
    return labels
