"""How networks are trained: the schedule, the loss and what is decayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from models.training.parameters import coefficient_parameters, orthogonality_penalty

_MILESTONES = (60, 120, 160)  # of 200 epochs
_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Recipe:
    """The recipe of the method: SGD with Nesterov momentum and a rate that falls in three steps.

    ``batch`` counts the images of one step over all processes. ``lr`` is multiplied by
    ``lr_factor`` after 30, 60 and 80 % of the epochs. ``weight_decay`` is for all parameters but
    the coefficients that mix templates. ``orthogonality`` is λ in λ‖B·Bᵀ - I‖², where
    ‖·‖² is the mean square entry over all shared bases. ``label_smoothing`` ε mixes the
    labels with the uniform distribution (Szegedy et al. 2016, arXiv 1512.00567);
    ``confidence_penalty`` β takes β·H(p) off the loss (Pereyra et al. 2017, arXiv 1701.06548).
    """

    epochs: int = 200
    batch: int = 128
    lr: float = 0.1
    lr_factor: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 5e-4
    orthogonality: float = 10.0
    label_smoothing: float = 0.0
    confidence_penalty: float = 0.0

    def lr_at(self, epoch: int) -> float:
        """Learning rate in an epoch, counted from 0."""
        passed = sum(epoch * _LENGTH >= mark * self.epochs for mark in _MILESTONES)
        return self.lr * self.lr_factor**passed

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Parameters for an optimizer: those with weight decay and those without."""
        free = coefficient_parameters(network)
        without = {id(parameter) for parameter in free}
        decayed = [each for each in network.parameters() if id(each) not in without]
        return [
            {"params": decayed, "weight_decay": self.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ]

    def loss(self, logits: Tensor, labels: Tensor, network: nn.Module) -> Tensor:
        """Loss of a batch: logits (images, classes), labels (images); a scalar."""
        loss = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        if self.confidence_penalty:
            log_p = F.log_softmax(logits, dim=1)
            entropy = -(log_p.exp() * log_p).sum(dim=1).mean()
            loss = loss - self.confidence_penalty * entropy
        return loss + self.orthogonality * orthogonality_penalty(network)
