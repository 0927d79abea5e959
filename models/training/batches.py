"""Which images are trained on in which step, and how they reach the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from models.training.datasets import DataSet, Images
from models.training.datasets.images import Bytes, Indices
from models.training.errors import DataError

MOST_HELD_OUT = 10_000
"""Images of the training set that are enough to select on."""

_SPLIT_SEED = 0


@dataclass(frozen=True, slots=True)
class Split:
    """Numbers of the training set's images to train on, and of those held out for selection."""

    trained: Indices
    held_out: Indices


def split(images: Images, train_images: int | None = None) -> Split:
    """Hold out every tenth image at random, at most 10,000; the same ones for every training.

    With ``train_images`` so many are trained on, and a ninth as many held out. Raises DataError
    when there are fewer.
    """
    total = len(images.labels)
    if train_images is None:
        held_out = min(total // 10, MOST_HELD_OUT)
        train_images = total - held_out
    else:
        held_out = min(train_images // 9, MOST_HELD_OUT)
    if train_images + held_out > total or held_out < 1:
        raise DataError(
            f"{train_images} images to train on and {held_out} to select on cannot be had: "
            f"the training set has {total}, and both are needed"
        )
    order = np.random.default_rng(_SPLIT_SEED).permutation(total)
    return Split(trained=order[held_out : held_out + train_images], held_out=order[:held_out])


def shuffled(rows: Indices, batch: int, draw: tuple[int, int]) -> list[Indices]:
    """Whole batches of an epoch, in an order drawn by (seed, epoch); the rest waits for another."""
    order = np.random.default_rng(draw).permutation(rows)
    return [order[at : at + batch] for at in range(0, len(order) - batch + 1, batch)]


def in_order(rows: Indices, batch: int) -> list[Indices]:
    """All images, the last batch as small as it must be."""
    return [rows[at : at + batch] for at in range(0, len(rows), batch)]


def load(
    images: Images,
    batches: Sequence[Indices],
    device: torch.device,
    *,
    draw: tuple[int, int] | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each batch on the device: bytes (images, channels, height, width) and labels.

    With ``draw`` (seed, epoch) the images are augmented. Raises DataError.
    """
    loader = DataLoader(
        _Batches(images, batches, draw),
        batch_size=None,
        num_workers=min(images.workers, len(batches)),
        pin_memory=device.type == "cuda",
    )
    for batch in loader:
        # An exception that crosses processes comes out wrapped in its traceback.
        if isinstance(batch, DataError):
            raise batch
        pixels, labels = batch
        yield pixels.to(device, non_blocking=True), labels.to(device, non_blocking=True)


class _Batches(Dataset[tuple[Bytes, Indices] | DataError]):
    """A data set whose items are whole batches."""

    def __init__(
        self, images: Images, batches: Sequence[Indices], draw: tuple[int, int] | None
    ) -> None:
        self._images = images
        self._batches = batches
        self._draw = draw

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[Bytes, Indices] | DataError:
        if index >= len(self):
            raise IndexError(index)
        rows = self._batches[index]
        try:
            pixels = (
                self._images.plain(rows)
                if self._draw is None
                else self._images.augmented(rows, self._draw)
            )
        except DataError as error:
            return error
        return pixels, self._images.labels[rows]


class Normalisation:
    """Turns bytes into what the network takes: (x / 255 - mean) / std per channel."""

    def __init__(self, data: DataSet, device: torch.device) -> None:
        shape = (1, -1, 1, 1)
        self._scale = 1 / (255 * torch.tensor(data.std, device=device).view(shape))
        self._shift = -torch.tensor(data.mean, device=device).view(shape) * 255 * self._scale

    def __call__(self, pixels: Tensor) -> Tensor:
        """Float tensor of the same shape, on the same device."""
        return pixels.float() * self._scale + self._shift
