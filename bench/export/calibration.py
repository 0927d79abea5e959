"""Inputs that an int8 engine is calibrated on: from images, or as somebody prepared them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.errors import ConfigError
from bench.export.cache import ArtifactCache
from bench.export.reference import first_line

ENDINGS = (".jpeg", ".jpg", ".png", ".webp")
MOST_IMAGES = 128
"""Taken evenly from a folder with more: 77 MB at 224×224, which a small board must hold."""
SHORT_SIDE = 256 / 224
"""An image's short side, relative to the middle part that is taken (as ImageNet is evaluated)."""
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's, per channel of pixels from 0 to 1."""

Inputs = NDArray[np.float32]


def calibration_inputs(source: Path, shape: tuple[int, ...], store: ArtifactCache) -> Path:
    """Return an ``.npy`` of inputs (n, \\*shape) of float32 in the cache, named by its content.

    ``shape``: of one input, without the batch. ``source``: a folder of images (scaled as for
    ImageNet), or an ``.npy`` that holds the inputs as the network takes them.

    Raises:
        ConfigError: it has no inputs, or none of that shape.
    """
    try:
        inputs = _images(source, shape) if source.is_dir() else _array(source, shape)
    except OSError as error:
        raise ConfigError(f"--calibration {source}: {error.strerror or error}") from None
    buffer = io.BytesIO()
    np.save(buffer, inputs, allow_pickle=False)
    return store.write("calibration", ".npy", buffer.getvalue())


def input_shapes(reference: Path) -> list[tuple[int, ...]]:
    """Return the shapes of an artifact's inputs, with the batch, from its reference file."""
    with np.load(reference, allow_pickle=False) as archive:
        return [archive[name].shape for name in archive.files if name.startswith("in")]


def _array(source: Path, shape: tuple[int, ...]) -> Inputs:
    if not source.exists():
        raise ConfigError(f"--calibration {source}: no such file or folder")
    if source.suffix != ".npy":
        raise ConfigError(f"--calibration {source}: give a folder of images or an .npy file")
    try:
        found: NDArray[Any] = np.load(source, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ConfigError(
            f"--calibration {source}: not an .npy file: {first_line(error)}"
        ) from None
    if not isinstance(found, np.ndarray) or found.dtype.kind != "f":
        raise ConfigError(f"--calibration {source}: holds no floating-point numbers")
    if found.ndim < 1 or found.shape[1:] != shape or not len(found):
        raise ConfigError(
            f"--calibration {source}: holds an array of {_sizes(found.shape)}; the network takes "
            f"inputs of {_sizes(shape)}, so it must be N×{_sizes(shape)}"
        )
    with np.errstate(over="ignore"):  # what becomes infinite is told
        inputs = found.astype(np.float32)
    if not np.isfinite(inputs).all():
        raise ConfigError(f"--calibration {source}: holds numbers that are not finite in float32")
    return inputs


def _images(source: Path, shape: tuple[int, ...]) -> Inputs:
    paths = sorted(path for path in source.iterdir() if path.suffix.lower() in ENDINGS)
    if not paths:
        raise ConfigError(f"--calibration {source}: no images in it ({', '.join(ENDINGS)})")
    if len(shape) != 3 or shape[0] != len(MEAN):
        raise ConfigError(
            f"--calibration {source}: images have {len(MEAN)} channels, the network takes inputs "
            f"of {_sizes(shape)}; give an .npy of N×{_sizes(shape)}"
        )
    rows = np.linspace(0, len(paths) - 1, min(len(paths), MOST_IMAGES)).round().astype(int)
    pixels = np.stack([_middle(paths[row], shape[1], shape[2]) for row in rows])
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (MEAN, STD))
    return ((pixels / np.float32(255) - mean) / std).astype(np.float32)


def _middle(path: Path, height: int, width: int) -> Inputs:
    """Return the middle of an image, scaled to (3, height, width), from 0 to 255."""
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ConfigError(
            f"--calibration: {path} is no image that can be read: {first_line(error)}"
        ) from None
    scale = min(image.width / width, image.height / height) / SHORT_SIDE
    x, y = image.width / 2, image.height / 2
    half_width, half_height = width * scale / 2, height * scale / 2
    box = (x - half_width, y - half_height, x + half_width, y + half_height)
    scaled = image.resize((width, height), Image.Resampling.BILINEAR, box=box)
    return np.asarray(scaled, np.float32).transpose(2, 0, 1)


def _sizes(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "no dimension"
