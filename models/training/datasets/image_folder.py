"""ImageNet as folders ``train`` and ``val``, each with one folder of image files per class."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from models.training.datasets.images import Bytes, DataSet, Indices
from models.training.errors import DataError

_ENDINGS = (".jpeg", ".jpg", ".png", ".webp")
_SIDE, _SHORT_SIDE = 224, 256
_AREA = (0.08, 1.0)
_LONGEST = 4 / 3  # ratio of the sides of a random part


def read_imagenet(folder: Path) -> DataSet:
    """List the images of all classes; the class numbers are the folders' in the order of names.

    Raises DataError.
    """
    listed = {part: _list(folder / part) for part in ("train", "val")}
    classes = sorted(listed["train"])
    if classes != sorted(listed["val"]):
        odd = min(set(classes) ^ set(listed["val"]))
        raise DataError(f"imagenet: class {odd} is in only one of train and val in {folder}")
    hashed = hashlib.sha256()
    parts = []
    for part, found in listed.items():
        paths, labels = [], []
        for label, name in enumerate(classes):
            for file, size in found[name]:
                hashed.update(f"{part}/{name}/{file}\t{size}\n".encode())
                paths.append(str(folder / part / name / file))
                labels.append(label)
        parts.append(ImageFiles(paths, np.asarray(labels, np.int64)))
    return DataSet(
        name="imagenet",
        classes=len(classes),
        shape=(3, _SIDE, _SIDE),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        train=parts[0],
        test=parts[1],
        digest=hashed.hexdigest(),
    )


def _list(folder: Path) -> dict[str, list[tuple[str, int]]]:
    """Names and sizes in bytes of the images of each class."""
    if not folder.is_dir():
        raise DataError(f"imagenet: no folder {folder.name} in {folder.parent}")
    found = {}
    for entry in os.scandir(folder):
        if not entry.is_dir():
            continue
        images = [
            (file.name, file.stat().st_size)
            for file in os.scandir(entry.path)
            if file.name.lower().endswith(_ENDINGS)
        ]
        if not images:
            raise DataError(f"imagenet: no images in {entry.path}")
        found[entry.name] = sorted(images)
    if not found:
        raise DataError(f"imagenet: {folder} has no class folders; sort its images into them")
    return found


class ImageFiles:
    """Images in files, read when they are needed, by processes of their own."""

    workers = min(8, os.cpu_count() or 1)

    def __init__(self, paths: list[str], labels: Indices) -> None:
        self.labels = labels
        self._paths = paths

    def plain(self, rows: Indices) -> Bytes:
        """The middle 224×224 of images whose short side has become 256."""
        return np.stack([_opened(self._paths[row], _middle) for row in rows])

    def augmented(self, rows: Indices, draw: tuple[int, int]) -> Bytes:
        """Random parts of 8 to 100 % of the image, scaled to 224×224, mirrored or not.

        After Szegedy et al. 2015, "Going Deeper with Convolutions" (arXiv 1409.4842).
        """
        return np.stack(
            [
                _opened(self._paths[row], _random_part, np.random.default_rng((*draw, int(row))))
                for row in rows
            ]
        )


def _opened(path: str, cut: Callable[..., Image.Image], *arguments: np.random.Generator) -> Bytes:
    """An image after ``cut(image, *arguments)``: (3, 224, 224). Raises DataError with the path."""
    try:
        with Image.open(path) as image:
            pixels = np.asarray(cut(image.convert("RGB"), *arguments))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: is no image that can be read: {reason}") from None
    return pixels.transpose(2, 0, 1)


def _middle(image: Image.Image) -> Image.Image:
    scale = min(image.size) / _SHORT_SIDE
    half = _SIDE * scale / 2
    x, y = image.width / 2, image.height / 2
    box = (x - half, y - half, x + half, y + half)
    return image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, box=box)


def _random_part(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    area = generator.uniform(*_AREA) * image.width * image.height
    aspect = _LONGEST ** generator.uniform(-1, 1)
    width = min(math.sqrt(area * aspect), image.width)
    height = min(math.sqrt(area / aspect), image.height)
    left = generator.uniform(0, image.width - width)
    top = generator.uniform(0, image.height - height)
    box = (left, top, left + width, top + height)
    part = image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, box=box)
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if generator.integers(2) else part
