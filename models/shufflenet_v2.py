"""ShuffleNetV2 (Ma et al. 2018, arXiv 1807.11164), with ImageNet and CIFAR heads and stems.

Names and shapes of the state dict equal those of torchvision's implementation, so that its
pretrained weights load.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHANNELS = {
    "0.5": (24, 48, 96, 192, 1024),
    "1.0": (24, 116, 232, 464, 1024),
    "1.5": (24, 176, 352, 704, 1024),
    "2.0": (24, 244, 488, 976, 2048),
}
"""Output channels of the stem, stages 2, 3, 4 and conv5 by width multiplier."""

UNITS = (4, 8, 4)
"""Units of stages 2, 3 and 4; the first of each halves the resolution."""


class ShuffleUnit(nn.Module):
    """One unit: half of the channels pass, the other half is transformed, then both mix.

    With stride 2 both halves are made from the whole input, at half the resolution.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        width = channels_out // 2
        self.stride = stride
        self.branch1 = nn.Sequential()
        if stride > 1:
            self.branch1 = nn.Sequential(
                _depthwise(channels_in, stride),
                nn.BatchNorm2d(channels_in),
                nn.Conv2d(channels_in, width, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            )
        self.branch2 = nn.Sequential(
            nn.Conv2d(channels_in if stride > 1 else width, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            _depthwise(width, stride),
            nn.BatchNorm2d(width),
            nn.Conv2d(width, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H / stride, W / stride)."""
        if self.stride == 1:
            passed, worked = x.chunk(2, dim=1)
            joined = torch.cat((passed, self.branch2(worked)), dim=1)
        else:
            joined = torch.cat((self.branch1(x), self.branch2(x)), dim=1)
        return _shuffle_halves(joined)


class ShuffleNetV2(nn.Module):
    """The network. ``cifar`` gives a 3×3 stride-1 stem without max-pool, for 32×32 inputs."""

    def __init__(self, width: str, classes: int, *, cifar: bool = False, channels: int = 3) -> None:
        super().__init__()
        stem, *stages, last = CHANNELS[width]
        self.conv1 = nn.Sequential(
            nn.Conv2d(channels, stem, 3, 1 if cifar else 2, padding=1, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(inplace=True),
        )
        self.maxpool = nn.Identity() if cifar else nn.MaxPool2d(3, 2, padding=1)
        self.stage2 = _stage(stem, stages[0], UNITS[0])
        self.stage3 = _stage(stages[0], stages[1], UNITS[1])
        self.stage4 = _stage(stages[1], stages[2], UNITS[2])
        self.conv5 = nn.Sequential(
            nn.Conv2d(stages[2], last, 1, bias=False),
            nn.BatchNorm2d(last),
            nn.ReLU(inplace=True),
        )
        self.fc = nn.Linear(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, channels, H, W) to class scores (N, classes)."""
        x = self.maxpool(self.conv1(x))
        x = self.stage4(self.stage3(self.stage2(x)))
        return self.fc(self.conv5(x).mean([2, 3]))  # type: ignore[no-any-return]


def build(width: str, classes: int, *, cifar: bool = False, channels: int = 3) -> ShuffleNetV2:
    """Return the network with torch's default initialisation.

    ``width`` is the multiplier as text: ``"0.5"``, ``"1.0"``, ``"1.5"`` or ``"2.0"``;
    ``channels`` are those of the images.
    """
    return ShuffleNetV2(width, classes, cifar=cifar, channels=channels)


def _depthwise(channels: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False)


def _stage(channels_in: int, channels_out: int, units: int) -> nn.Sequential:
    return nn.Sequential(
        ShuffleUnit(channels_in, channels_out, stride=2),
        *(ShuffleUnit(channels_out, channels_out, stride=1) for _ in range(units - 1)),
    )


def _shuffle_halves(x: Tensor) -> Tensor:
    """Interleave the two halves of the channels."""
    n, channels, height, width = x.shape
    halves = x.view(n, 2, channels // 2, height, width)
    return halves.transpose(1, 2).reshape(n, channels, height, width)
