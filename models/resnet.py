"""Residual networks of basic blocks (He et al. 2016, arXiv 1512.03385): ResNet-34, ResNet-56.

Names and shapes of ResNet-34's state dict equal those of torchvision's implementation, so that
its pretrained weights load. ResNet-56 is the paper's network for CIFAR: its shortcuts have no
parameters (option A: every second pixel, and zeros for the channels that are new).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut around them.

    ``downsample`` is the shortcut where the shape changes; None for the identity.
    """

    def __init__(
        self, channels_in: int, channels_out: int, stride: int, downsample: nn.Module | None
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + shortcut)


class PaddedShortcut(nn.Module):
    """Every second pixel of the input, and ``added`` new channels of zeros."""

    def __init__(self, added: int) -> None:
        super().__init__()
        self.added = added

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C + added, H / 2, W / 2), halves rounded up."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))


class ResNet(nn.Module):
    """A stem, stages of basic blocks, a classifier.

    ``widths`` and ``blocks`` go stage by stage; every stage but the first halves the resolution.
    ``cifar`` gives a 3×3 stride-1 stem without max-pool, and shortcuts without parameters.
    """

    def __init__(
        self, widths: Sequence[int], blocks: Sequence[int], classes: int, *, cifar: bool
    ) -> None:
        super().__init__()
        kernel, stride = (3, 1) if cifar else (7, 2)
        self.conv1 = nn.Conv2d(3, widths[0], kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.maxpool = nn.Identity() if cifar else nn.MaxPool2d(3, 2, padding=1)
        shortcut = _padded if cifar else _projected
        channels = widths[0]
        self._stages = []
        for number, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1):
            first = (
                BasicBlock(channels, width, 1, None)
                if width == channels
                else BasicBlock(channels, width, 2, shortcut(channels, width))
            )
            rest = (BasicBlock(width, width, 1, None) for _ in range(count - 1))
            self.add_module(f"layer{number}", nn.Sequential(first, *rest))
            self._stages.append(f"layer{number}")
            channels = width
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to class scores (N, classes)."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for stage in self._stages:
            x = self.get_submodule(stage)(x)
        return self.fc(x.mean([2, 3]))  # type: ignore[no-any-return]


def resnet34(classes: int) -> ResNet:
    """Return ResNet-34 for ImageNet with torch's default initialisation."""
    return ResNet((64, 128, 256, 512), (3, 4, 6, 3), classes, cifar=False)


def resnet56(classes: int) -> ResNet:
    """Return ResNet-56 for CIFAR (6n + 2 layers, n = 9) with torch's default initialisation."""
    return ResNet((16, 32, 64), (9, 9, 9), classes, cifar=True)


def _projected(channels_in: int, channels_out: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 1, 2, bias=False), nn.BatchNorm2d(channels_out)
    )


def _padded(channels_in: int, channels_out: int) -> nn.Module:
    return PaddedShortcut(channels_out - channels_in)
