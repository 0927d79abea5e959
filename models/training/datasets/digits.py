"""The 1,797 handwritten digits of 8×8 pixels that scikit-learn ships (UCI optdigits, test part)."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from models.training.datasets import files
from models.training.datasets.images import DataSet, Pixels, checked_labels
from models.training.errors import DataError

_TRAINED = 1437  # four of five; the order of the file is by writers


def read_digits(folder: Path) -> DataSet:
    """Read ``digits.csv`` or ``digits.csv.gz``, as in scikit-learn's ``datasets/data``.

    Every pixel becomes 3×3, with a border of two: 28×28, as the networks for Fashion-MNIST take.
    The first 1,437 digits are for training, the others (of other writers) are the test set.
    Raises DataError.
    """
    where = files.find(folder, "digits.csv", "digits")
    data = files.content(where)
    try:
        table = np.loadtxt(io.BytesIO(data), delimiter=",", ndmin=2)
    except ValueError:
        raise DataError(f"{where}: is not a table of numbers") from None
    if table.ndim != 2 or table.shape[1] != 65 or len(table) <= _TRAINED:
        raise DataError(f"{where}: is cut short: {table.shape} numbers, not (1797, 65)")
    if not ((table >= 0) & (table <= 16)).all():
        raise DataError(f"{where}: has numbers other than 0 to 16")
    small = (table[:, :64] * 255 / 16).round().astype(np.uint8).reshape(-1, 1, 8, 8)
    pixels = np.pad(small.repeat(3, axis=2).repeat(3, axis=3), ((0, 0), (0, 0), (2, 2), (2, 2)))
    labels = checked_labels(table[:, 64].astype(np.int64), len(table), 10, str(where))
    train, test = (
        Pixels(pixels[part], labels[part], shift=2, mirror=False)
        for part in (slice(None, _TRAINED), slice(_TRAINED, None))
    )
    return DataSet(
        name="digits",
        classes=10,
        shape=(1, 28, 28),
        mean=(0.2244,),
        std=(0.3488,),
        train=train,
        test=test,
        digest=files.digest([data]),
    )
