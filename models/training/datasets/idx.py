"""Fashion-MNIST in the IDX files of its authors (Xiao et al. 2017, arXiv 1708.07747).

Debian's package ``dataset-fashion-mnist`` installs them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.training.datasets import files
from models.training.datasets.images import Bytes, DataSet, Pixels, checked_labels
from models.training.errors import DataError


def read_fashion_mnist(folder: Path) -> DataSet:
    """Read the four files, packed (``.gz``) or not. Raises DataError."""
    parts: list[Pixels] = []
    contents: list[bytes] = []
    for prefix in ("train", "t10k"):
        where = files.find(folder, f"{prefix}-images-idx3-ubyte", "fashion-mnist")
        labels_at = files.find(folder, f"{prefix}-labels-idx1-ubyte", "fashion-mnist")
        contents += [files.content(where), files.content(labels_at)]
        images = parse_idx(contents[-2], 3, where)
        if images.shape[1:] != (28, 28):
            raise DataError(f"{where}: images of {images.shape[1:]}, not of 28×28")
        labels = parse_idx(contents[-1], 1, labels_at).astype(np.int64)
        checked_labels(labels, len(images), 10, str(labels_at))
        parts.append(Pixels(images[:, None], labels, shift=2, mirror=True))
    return DataSet(
        name="fashion-mnist",
        classes=10,
        shape=(1, 28, 28),
        mean=(0.2860,),
        std=(0.3530,),
        train=parts[0],
        test=parts[1],
        digest=files.digest(contents),
    )


def parse_idx(data: bytes, dimensions: int, where: Path) -> Bytes:
    """Return the array of bytes that an IDX file holds (its format: LeCun's MNIST page).

    Raises DataError when it is of another type or number of dimensions, or of another length.
    """
    start = 4 + 4 * dimensions
    if len(data) < start or data[:4] != bytes((0, 0, 8, dimensions)):
        raise DataError(f"{where}: is not an IDX file of bytes in {dimensions} dimension(s)")
    shape = [int.from_bytes(data[at : at + 4], "big") for at in range(4, start, 4)]
    expected = int(np.prod(shape, dtype=object))
    if len(data) - start != expected:
        raise DataError(
            f"{where}: is cut short or damaged: {len(data) - start} bytes of data, not {expected}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
