"""How often a network is right."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from models.training.batches import Normalisation, in_order, load
from models.training.datasets import DataSet, Images
from models.training.datasets.images import Indices

_BATCH = 256


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Images whose class is the likeliest, or among the five likeliest, of so many."""

    top1_right: int
    top5_right: int
    images: int

    @property
    def top1(self) -> float:
        """Share of the images, 0 to 1."""
        return self.top1_right / self.images

    @property
    def top5(self) -> float:
        """Share of the images, 0 to 1."""
        return self.top5_right / self.images


def accuracy(
    network: nn.Module,
    data: DataSet,
    images: Images,
    rows: Indices,
    *,
    fabric: Fabric | None = None,
) -> Accuracy:
    """Evaluate a network, in its evaluation mode and single precision, on images of a data set.

    With ``fabric`` the processes divide the images among themselves and all return the same.
    Raises DataError.
    """
    device = next(network.parameters()).device
    normalised = Normalisation(data, device)
    training = network.training
    network.eval()
    mine = rows[fabric.global_rank :: fabric.world_size] if fabric else rows
    right = torch.zeros(2, dtype=torch.int64, device=device)
    with torch.inference_mode():
        for pixels, labels in load(images, in_order(mine, _BATCH), device):
            right += _right(network(normalised(pixels)), labels)
    network.train(training)
    total = fabric.all_reduce(right, reduce_op="sum") if fabric else right
    assert isinstance(total, Tensor)
    top1, top5 = total.tolist()
    return Accuracy(top1, top5, len(rows))


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    """How many labels (images) are the likeliest class, and among the five likeliest."""
    ranked = logits.topk(min(5, logits.shape[1]), dim=1).indices
    hits = ranked == labels[:, None]
    return torch.stack([hits[:, 0].sum(), hits.sum()])
