"""The networks that can be measured. Importing this does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from models.scheme import Scheme, SchemeError, ShareGroup, UnreachableReduction
from models.spec import ModelsExtraMissing, ModelSpec
from models.summary import ModelSummary, describe

__all__ = [
    "MODELS",
    "ModelSpec",
    "ModelSummary",
    "ModelsExtraMissing",
    "Scheme",
    "SchemeError",
    "ShareGroup",
    "UnreachableReduction",
    "describe",
]


class _Data(NamedTuple):
    """The images that a network is made for."""

    suffix: str
    title: str
    shape: tuple[int, int, int]
    classes: int


_IMAGENET = _Data("", "ImageNet, 224×224", (3, 224, 224), 1000)
_CIFAR100 = _Data("_cifar100", "CIFAR-100, 32×32", (3, 32, 32), 100)
_FASHION_MNIST = _Data("_fashion_mnist", "Fashion-MNIST, 28×28 grey", (1, 28, 28), 10)


def _spec(
    network: str,
    title: str,
    data: _Data,
    parameters: int,
    *,
    builder: str,
    reference: str,
    groups: tuple[ShareGroup, ...] = (),
    arguments: Mapping[str, Any] | None = None,
) -> ModelSpec:
    arguments = {"classes": data.classes, **(arguments or {})}
    stem = ", stem of stride 1" if arguments.get("cifar") else ""
    return ModelSpec(
        name=network + data.suffix,
        summary=f"{title} for {data.title}{stem}",
        builder=builder,
        arguments=arguments,
        input_shape=data.shape,
        classes=data.classes,
        parameters=parameters,
        groups=groups,
        reference=reference,
    )


_POINTWISE_WIDTHS = {
    "0.5": (24, 48, 96),
    "1.0": (58, 116, 232),
    "1.5": (88, 176, 352),
    "2.0": (122, 244, 488),
}
"""Channels of the pointwise layers of ShuffleNetV2's stages by width multiplier."""


def _shufflenet_v2(width: str, data: _Data, parameters: int) -> ModelSpec:
    """``width`` is the multiplier; at 0.5x stage 2 has two layers more of equal shape."""
    arguments: dict[str, Any] = {"width": width}
    if data is not _IMAGENET:
        arguments["cifar"] = True
    if data.shape[0] != 3:
        arguments["channels"] = data.shape[0]
    layers = (9 if width == "0.5" else 7, 17, 9)
    return _spec(
        f"shufflenet_v2_x{width.replace('.', '_')}",
        f"ShuffleNetV2 {width}x",
        data,
        parameters,
        builder="models.shufflenet_v2:build",
        reference="Ma et al. 2018, ShuffleNet V2, arXiv 1807.11164",
        groups=tuple(
            ShareGroup(stage, b, b, layers=n, own=own, reused=(reused, reused))
            for stage, b, n, own, reused in zip(
                ("stage2", "stage3", "stage4"),
                _POINTWISE_WIDTHS[width],
                layers,
                (1, 2, 4),
                (2, 6, 2),
                strict=True,
            )
        ),
        arguments=arguments,
    )


def _shufflenet_v1(data: _Data, parameters: int) -> ModelSpec:
    """Its pointwise layers have groups, so none of them can share templates."""
    return _spec(
        "shufflenet_v1_g3_x1_0",
        "ShuffleNet v1 1.0x, 3 groups,",
        data,
        parameters,
        builder="models.shufflenet_v1:build",
        reference="Zhang et al. 2018, ShuffleNet, arXiv 1707.01083",
        arguments={} if data is _IMAGENET else {"cifar": True},
    )


def _mobilenet_v2(data: _Data, parameters: int) -> ModelSpec:
    return _spec(
        "mobilenet_v2_x1_0",
        "MobileNetV2 1.0",
        data,
        parameters,
        builder="models.mobilenet_v2:build",
        reference="Sandler et al. 2018, MobileNetV2, arXiv 1801.04381",
        groups=tuple(
            ShareGroup(f"features.{i}x{o}", i, o, layers=layers, own=own, reused=reused)
            for i, o, layers, own, reused in (
                (24, 144, 2, 1, (0, 0)),
                (32, 192, 3, 1, (1, 0)),
                (192, 32, 2, 1, (0, 1)),
                (64, 384, 4, 3, (2, 0)),
                (384, 64, 3, 3, (0, 2)),
                (96, 576, 3, 4, (1, 0)),
                (576, 96, 2, 4, (0, 1)),
                (160, 960, 3, 7, (1, 0)),
                (960, 160, 2, 7, (0, 1)),
            )
        ),
        arguments={} if data is _IMAGENET else {"cifar": True},
    )


def _resnet(depth: int, data: _Data, parameters: int) -> ModelSpec:
    """Its basic blocks have no pointwise layers that repeat, so none can share templates."""
    return _spec(
        f"resnet{depth}",
        f"ResNet-{depth}",
        data,
        parameters,
        builder=f"models.resnet:resnet{depth}",
        reference="He et al. 2016, Deep Residual Learning, arXiv 1512.03385",
    )


MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        _shufflenet_v2("0.5", _IMAGENET, 1_366_792),
        _shufflenet_v2("1.0", _IMAGENET, 2_278_604),
        _shufflenet_v2("1.5", _IMAGENET, 3_503_624),
        _shufflenet_v2("2.0", _IMAGENET, 7_393_996),
        _shufflenet_v2("0.5", _CIFAR100, 444_292),
        _shufflenet_v2("1.0", _CIFAR100, 1_356_104),
        _shufflenet_v2("1.5", _CIFAR100, 2_581_124),
        _shufflenet_v2("2.0", _CIFAR100, 5_549_896),
        _shufflenet_v2("0.5", _FASHION_MNIST, 351_610),
        _shufflenet_v2("1.0", _FASHION_MNIST, 1_263_422),
        _shufflenet_v1(_IMAGENET, 1_865_728),
        _shufflenet_v1(_CIFAR100, 1_000_828),
        _mobilenet_v2(_IMAGENET, 3_504_872),
        _mobilenet_v2(_CIFAR100, 2_351_972),
        _resnet(34, _IMAGENET, 21_797_672),
        _resnet(56, _CIFAR100, 858_868),
    )
}
