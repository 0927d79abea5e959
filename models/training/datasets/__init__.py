"""Labelled images from the files in which data sets are distributed. Needs no torch."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from models.training.datasets.cifar import read_cifar100
from models.training.datasets.digits import read_digits
from models.training.datasets.idx import read_fashion_mnist
from models.training.datasets.image_folder import read_imagenet
from models.training.datasets.images import DataSet, Images
from models.training.errors import DataError

__all__ = ["READERS", "SPELLINGS", "DataSet", "Images", "open_dataset"]

READERS: dict[str, Callable[[Path], DataSet]] = {
    "cifar-100": read_cifar100,
    "digits": read_digits,
    "fashion-mnist": read_fashion_mnist,
    "imagenet": read_imagenet,
}
"""Readers by the name that begins a data set's spelling; each takes the folder."""

SPELLINGS = ", ".join(f"{name}:FOLDER" for name in READERS)
"""How data sets are written, in one line."""


def open_dataset(text: str) -> DataSet:
    """Read the data set that ``NAME:FOLDER`` names; images of ImageNet are read when needed.

    Raises DataError when it is missing, has the wrong layout or is cut short.
    """
    name, _, folder = text.partition(":")
    if name not in READERS:
        near = difflib.get_close_matches(name.lower(), READERS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise DataError(f"unknown data set {name!r}; {hint}known: {SPELLINGS}")
    if not folder:
        raise DataError(f"data set {text!r} needs the folder of its files: {name}:FOLDER")
    path = Path(folder)
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "no such folder"
        raise DataError(f"{name}: {what}: {folder}")
    return READERS[name](path)
