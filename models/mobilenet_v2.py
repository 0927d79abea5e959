"""MobileNetV2 1.0 (Sandler et al. 2018, arXiv 1801.04381), for ImageNet and CIFAR.

Names and shapes of the state dict equal those of torchvision's implementation, so that its
pretrained weights load.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

STEM, LAST = 32, 1280
"""Output channels of the first and of the last convolution."""


class Stage(NamedTuple):
    """Blocks of equal width: a row of the paper's Table 2 (t, c, n, s)."""

    expansion: int
    channels: int
    blocks: int
    stride: int


STAGES = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 2),
    Stage(6, 32, 3, 2),
    Stage(6, 64, 4, 2),
    Stage(6, 96, 3, 1),
    Stage(6, 160, 3, 2),
    Stage(6, 320, 1, 1),
)
"""The stages of the 1.0 network; the stride is that of the first block."""


class InvertedResidual(nn.Module):
    """Widen (pointwise), filter (depthwise), narrow (pointwise, linear); a shortcut if it fits.

    The widening is left out where ``expansion`` is 1.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels_in * expansion
        self.shortcut = stride == 1 and channels_in == channels_out
        widen = [_convolution(channels_in, hidden, kernel=1)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *widen,
            _convolution(hidden, hidden, kernel=3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, channels_out, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels_out, H / stride, W / stride)."""
        y: Tensor = self.conv(x)
        return x + y if self.shortcut else y


class MobileNetV2(nn.Module):
    """The network at width 1.0.

    ``cifar`` takes stride 1 instead of 2 in the stem and in the first stage that has stride 2,
    for 32×32 inputs; the parameters are the same.
    """

    def __init__(self, classes: int, *, cifar: bool = False) -> None:
        super().__init__()
        first_halving = next(stage for stage in STAGES if stage.stride == 2)
        layers: list[nn.Module] = [_convolution(3, STEM, kernel=3, stride=1 if cifar else 2)]
        channels = STEM
        for stage in STAGES:
            stride = 1 if cifar and stage is first_halving else stage.stride
            for _ in range(stage.blocks):
                layers.append(InvertedResidual(channels, stage.channels, stride, stage.expansion))
                channels, stride = stage.channels, 1
        layers.append(_convolution(channels, LAST, kernel=1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(LAST, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to class scores (N, classes)."""
        return self.classifier(self.features(x).mean([2, 3]))  # type: ignore[no-any-return]


def build(classes: int, *, cifar: bool = False) -> MobileNetV2:
    """Return the network with torch's default initialisation."""
    return MobileNetV2(classes, cifar=cifar)


def _convolution(
    channels_in: int, channels_out: int, *, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(channels_out),
        nn.ReLU6(inplace=True),
    )
