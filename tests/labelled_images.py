"""Small data sets in the files that their authors distribute, with classes that differ a lot."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def pixels(labels: npt.NDArray[np.int64], shape: tuple[int, ...], seed: int = 0) -> Pixels:
    """Images (labels, *shape): noise whose mean tells the class."""
    noise = np.random.default_rng(seed).integers(0, 40, (len(labels), *shape))
    level = (labels * 20 % 200).reshape(-1, *([1] * len(shape)))
    return (noise + level).astype(np.uint8)


def fashion_mnist(folder: Path, train: int = 48, test: int = 20, *, packed: bool = False) -> Path:
    """The four IDX files."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, count in (("train", train), ("t10k", test)):
        labels = np.arange(count) % 10
        images = pixels(labels, (28, 28))
        for name, array in (("images-idx3", images), ("labels-idx1", labels.astype(np.uint8))):
            sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
            data = bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes()
            path = folder / f"{prefix}-{name}-ubyte"
            if packed:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(data))
            else:
                path.write_bytes(data)
    return folder


def cifar100(folder: Path, *, binary: bool, train: int = 100, test: int = 100) -> Path:
    """The Python version in its own folder, or the binary version."""
    folder = folder / f"cifar-100-{'binary' if binary else 'python'}"
    folder.mkdir(parents=True)
    for part, count in (("train", train), ("test", test)):
        labels = np.arange(count) % 100
        images = pixels(labels, (3072,))
        if binary:
            both = np.stack([labels // 5, labels], axis=1).astype(np.uint8)
            (folder / f"{part}.bin").write_bytes(np.hstack([both, images]).tobytes())
        else:
            document: dict[Any, Any] = {b"data": images, b"fine_labels": labels.tolist()}
            (folder / part).write_bytes(pickle.dumps(document, protocol=2))
    return folder.parent


def imagenet(folder: Path, classes: int = 2, images: int = 2, val_images: int = 1) -> Path:
    """Folders of PNG files of 12×10 pixels, named after their class."""
    for part, count in (("train", images), ("val", val_images)):
        for label in range(classes):
            of_class = folder / part / f"n{label:08d}"
            of_class.mkdir(parents=True)
            array = pixels(np.full(count, label), (10, 12, 3), seed=label)
            for number in range(count):
                Image.fromarray(array[number]).save(of_class / f"{number}.png")
    return folder


def digits(folder: Path, rows: int = 1797) -> Path:
    """The table of scikit-learn, packed."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.arange(rows) % 10
    table = np.hstack([pixels(labels, (64,)) // 15, labels[:, None]])
    lines = "\n".join(",".join(map(str, row)) for row in table.tolist())
    (folder / "digits.csv.gz").write_bytes(gzip.compress(lines.encode(), compresslevel=1))
    return folder
