"""The networks that can be measured. Importing this does not import torch."""

from __future__ import annotations

from models.scheme import Scheme, SchemeError, ShareGroup, UnreachableReduction
from models.spec import ModelsExtraMissing, ModelSpec, ModelSummary, describe

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

_SHUFFLENET_V2 = "Ma et al. 2018, ShuffleNet V2, arXiv 1807.11164"


def _shuffle_groups(stage2: int, widths: tuple[int, int, int]) -> tuple[ShareGroup, ...]:
    """Stages as groups; ``stage2`` is how many pointwise layers of stage 2 are square."""
    return (
        ShareGroup("stage2", widths[0], layers=stage2, own=1),
        ShareGroup("stage3", widths[1], layers=17, own=2),
        ShareGroup("stage4", widths[2], layers=9, own=4),
    )


def _imagenet(name: str, width: str, parameters: int, groups: tuple[ShareGroup, ...]) -> ModelSpec:
    return ModelSpec(
        name=name,
        summary=f"ShuffleNetV2 {width}x for ImageNet, 224×224",
        builder="models.shufflenet_v2:build",
        arguments={"width": width, "classes": 1000},
        input_shape=(3, 224, 224),
        classes=1000,
        parameters=parameters,
        groups=groups,
        reference=_SHUFFLENET_V2,
    )


def _cifar100(name: str, width: str, parameters: int, groups: tuple[ShareGroup, ...]) -> ModelSpec:
    return ModelSpec(
        name=name,
        summary=f"ShuffleNetV2 {width}x for CIFAR-100, 32×32, stem of stride 1",
        builder="models.shufflenet_v2:build",
        arguments={"width": width, "classes": 100, "cifar": True},
        input_shape=(3, 32, 32),
        classes=100,
        parameters=parameters,
        groups=groups,
        reference=_SHUFFLENET_V2,
    )


_X0_5 = _shuffle_groups(9, (24, 48, 96))
_X1_0 = _shuffle_groups(7, (58, 116, 232))
_X1_5 = _shuffle_groups(7, (88, 176, 352))
_X2_0 = _shuffle_groups(7, (122, 244, 488))

MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        _imagenet("shufflenet_v2_x0_5", "0.5", 1_366_792, _X0_5),
        _imagenet("shufflenet_v2_x1_0", "1.0", 2_278_604, _X1_0),
        _imagenet("shufflenet_v2_x1_5", "1.5", 3_503_624, _X1_5),
        _imagenet("shufflenet_v2_x2_0", "2.0", 7_393_996, _X2_0),
        _cifar100("shufflenet_v2_x0_5_cifar100", "0.5", 444_292, _X0_5),
        _cifar100("shufflenet_v2_x1_0_cifar100", "1.0", 1_356_104, _X1_0),
        _cifar100("shufflenet_v2_x1_5_cifar100", "1.5", 2_581_124, _X1_5),
        _cifar100("shufflenet_v2_x2_0_cifar100", "2.0", 5_549_896, _X2_0),
    )
}
