"""ShuffleNet v1 1.0x with three groups (Zhang et al. 2018, arXiv 1707.01083), ImageNet and CIFAR.

A unit narrows to a quarter of its output channels. As in the paper, the first pointwise layer
of the first unit has no groups, since its input is narrow.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 3
STEM = 24
STAGES = ((240, 4), (480, 8), (960, 4))
"""Output channels and units of stages 2, 3 and 4; the first unit halves the resolution."""


class GroupedUnit(nn.Module):
    """Narrow (grouped pointwise), shuffle, filter (depthwise), widen (grouped pointwise).

    With stride 1 the input is added to the result; with stride 2 its local average is joined to
    it, which makes up for the channels that the unit does not compute itself.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, groups: int) -> None:
        super().__init__()
        middle = channels_out // 4
        computed = channels_out - channels_in if stride > 1 else channels_out
        self.stride = stride
        self.narrow = nn.Sequential(
            nn.Conv2d(channels_in, middle, 1, groups=groups, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(inplace=True),
        )
        self.filter = nn.Sequential(
            nn.Conv2d(middle, middle, 3, stride, padding=1, groups=middle, bias=False),
            nn.BatchNorm2d(middle),
        )
        self.widen = nn.Sequential(
            nn.Conv2d(middle, computed, 1, groups=GROUPS, bias=False), nn.BatchNorm2d(computed)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H / stride, W / stride)."""
        y = self.widen(self.filter(_shuffle(self.narrow(x))))
        if self.stride == 1:
            return F.relu(x + y)
        return F.relu(torch.cat((F.avg_pool2d(x, 3, 2, padding=1), y), dim=1))


class ShuffleNetV1(nn.Module):
    """The network at 1.0x. ``cifar`` gives a stride-1 stem without max-pool, for 32×32 inputs."""

    def __init__(self, classes: int, *, cifar: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, STEM, 3, 1 if cifar else 2, padding=1, bias=False),
            nn.BatchNorm2d(STEM),
            nn.ReLU(inplace=True),
        )
        self.maxpool = nn.Identity() if cifar else nn.MaxPool2d(3, 2, padding=1)
        (width2, units2), (width3, units3), (width4, units4) = STAGES
        self.stage2 = _stage(STEM, width2, units2, first_groups=1)
        self.stage3 = _stage(width2, width3, units3, first_groups=GROUPS)
        self.stage4 = _stage(width3, width4, units4, first_groups=GROUPS)
        self.fc = nn.Linear(width4, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to class scores (N, classes)."""
        x = self.maxpool(self.stem(x))
        x = self.stage4(self.stage3(self.stage2(x)))
        return self.fc(x.mean([2, 3]))  # type: ignore[no-any-return]


def build(classes: int, *, cifar: bool = False) -> ShuffleNetV1:
    """Return the network with torch's default initialisation."""
    return ShuffleNetV1(classes, cifar=cifar)


def _stage(channels_in: int, channels_out: int, units: int, *, first_groups: int) -> nn.Sequential:
    return nn.Sequential(
        GroupedUnit(channels_in, channels_out, 2, first_groups),
        *(GroupedUnit(channels_out, channels_out, 1, GROUPS) for _ in range(units - 1)),
    )


def _shuffle(x: Tensor) -> Tensor:
    """Interleave the channels of the groups."""
    n, channels, height, width = x.shape
    grouped = x.view(n, GROUPS, channels // GROUPS, height, width)
    return grouped.transpose(1, 2).reshape(n, channels, height, width)
