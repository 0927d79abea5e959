"""Layers without a weight of their own: they draw it from a bank of templates.

Reconstructed from the abstract of Kim & Kang, "Parameter-Efficient Neural Networks Using Template
Reuse" (KIPS TSDE 9(5), 2020, DOI 10.3745/KTSDE.2020.9.5.169), with the equations of the same
authors' later work on shared filter bases (arXiv 2006.05066). Each scheme has a module with its
kind of bank and of layer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.groups import ShareGroup


@dataclass(frozen=True, slots=True)
class Shape:
    """What a layer does besides its weight: ``linear`` acts on the last axis, else it convolves.

    ``bias`` says whether there is one; the other fields are those of torch's convolution. Only
    the scheme ``recursive`` has kernels and groups other than 1.
    """

    inputs: int
    outputs: int
    linear: bool = False
    kernel: tuple[int, ...] = (1, 1)
    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] | str = (0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1
    bias: bool = False

    @classmethod
    def of(cls, layer: nn.Module) -> Shape:
        """Shape of a convolution or linear layer. Raises TypeError for any other."""
        if isinstance(layer, nn.Linear):
            return cls(layer.in_features, layer.out_features, True, bias=layer.bias is not None)
        if isinstance(layer, nn.Conv2d):
            return cls(
                layer.in_channels,
                layer.out_channels,
                kernel=layer.kernel_size,
                stride=layer.stride,
                padding=layer.padding,
                dilation=layer.dilation,
                groups=layer.groups,
                bias=layer.bias is not None,
            )
        raise TypeError(f"{type(layer).__name__} is neither a convolution nor linear")

    def layer(self, *, bias: bool) -> nn.Conv2d | nn.Linear:
        """A plain layer of this shape whose weight is still to be set."""
        if self.linear:
            return nn.Linear(self.inputs, self.outputs, bias=bias)
        return nn.Conv2d(
            self.inputs,
            self.outputs,
            self.kernel,  # type: ignore[arg-type]
            self.stride,  # type: ignore[arg-type]
            self.padding,  # type: ignore[arg-type]
            self.dilation,  # type: ignore[arg-type]
            self.groups,
            bias,
        )

    def unflatten(self, weight: Tensor) -> Tensor:
        """Give a weight (outputs, everything else) the shape that torch's layer has it in."""
        if self.linear:
            return weight
        return weight.reshape(self.outputs, self.inputs // self.groups, *self.kernel)

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Apply a weight (outputs, everything else) to (…, inputs), or to (N, inputs, H, W).

        The weight may have other outputs than the layer.
        """
        if self.linear:
            return F.linear(x, weight, bias)
        shaped = weight.reshape(len(weight), self.inputs // self.groups, *self.kernel)
        return F.conv2d(x, shaped, bias, self.stride, self.padding, self.dilation, self.groups)

    def apply_last(self, x: Tensor, coefficients: Tensor, bias: Tensor | None) -> Tensor:
        """Apply the second of two factors of a weight, (outputs, rows)."""
        if self.linear:
            return F.linear(x, coefficients, bias)
        return F.conv2d(x, coefficients[:, :, None, None], bias)


class DrawnLayer(nn.Module, ABC):
    """A pointwise or linear layer that generates its weight from a bank.

    The bank is owned by the network, not by the layer, so that it appears once in the state dict.
    """

    bias: nn.Parameter | None

    def __init__(self, bank: Bank, shape: Shape) -> None:
        super().__init__()
        # A tuple is not searched for submodules: this is a reference, not ownership.
        self._bank = (bank,)
        self.shape = shape
        bias = nn.Parameter(torch.zeros(shape.outputs)) if shape.bias else None
        self.register_parameter("bias", bias)

    @property
    def bank(self) -> Bank:
        """The bank that this layer draws on."""
        return self._bank[0]

    @abstractmethod
    def generated(self) -> tuple[Tensor, Tensor | None]:
        """Weight (outputs, inputs) and bias (outputs) as they are in evaluation mode."""

    @property
    def weight(self) -> Tensor:
        """The generated weight in the shape that the replaced layer's had."""
        weight, _ = self.generated()
        return self.shape.unflatten(weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map as the layer does that this one replaces."""
        return self.shape.apply(x, *self.generated())


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the n weights of layers of one shape come from stored tensors, BatchNorm folded in.

    ``kind`` and the tensors, with i inputs, o outputs, K or S templates:

    - ``"basis"``: templates (S, i), own (n, U, i) unless U = 0, coefficients (n, o, S + U);
      W_l = coefficients_l · [templates ; own_l]
    - ``"soft"``: templates (K, o·i), coefficients (n, K), scales (n, o, 1);
      W_l from row l of coefficients · templates, then scaled
    - ``"blocks"``: templates (K, t²), coefficients (n·(o/t)·(i/t), K), scales (n, o, 1);
      block (a, b) of W_l from row (l, a, b) of coefficients · templates, then scaled
    - ``"reuse"``: templates (o, i), scales (n, o, 1); W_l = scales_l ⊙ templates
    """

    kind: str
    tensors: dict[str, Tensor]


class Bank(nn.Module, ABC):
    """The templates that some layers share.

    Subclasses are made from a :class:`models.sizing.BankSize` and the number of templates.
    """

    templates: nn.Parameter

    @abstractmethod
    def layer(self, shape: Shape, group: ShareGroup) -> DrawnLayer:
        """A new layer that draws on this bank, initialised for training."""

    @abstractmethod
    def approximate(self, layers: Sequence[DrawnLayer], weights: Sequence[Tensor]) -> None:
        """Set templates and coefficients so that the layers come closest to given weights.

        ``weights``: (outputs, inputs) of each layer, in order. Closest is meant in the sum of
        squares over all layers of the bank.
        """

    @abstractmethod
    def recipe(self, layers: Sequence[DrawnLayer], scales: Sequence[Tensor]) -> Recipe:
        """How to generate the weights of layers, each output scaled by ``scales`` (outputs).

        All layers are of one shape and, with their scales, in evaluation mode.
        """


class Banks(nn.ModuleDict):
    """The banks of a network, by name.

    As a module it passes on what it gets: in a network that is an ``nn.Sequential`` it becomes one
    more step of the sequence.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return x."""
        return x


def orthogonal(rows: int, columns: int) -> Tensor:
    """A matrix with orthonormal rows (or columns, when there are more rows).

    Rounded to steps of 2⁻²⁴, below which the machine's LAPACK shows.
    """
    return nn.init.orthogonal_(torch.empty(rows, columns)).mul(2**24).round().div(2**24)


def mixing(rows: int, templates: int) -> Tensor:
    """Coefficients (rows, templates) that mix templates: orthogonal, each row of length 1."""
    return F.normalize(orthogonal(rows, templates))


def kaiming(*shape: int) -> Tensor:
    """Templates (K, outputs, inputs), each drawn as a weight would be (He et al. 2015, fan-out)."""
    templates = torch.empty(*shape)
    for template in templates:
        nn.init.kaiming_uniform_(template, mode="fan_out", nonlinearity="relu")
    return templates


def batch_norm_affine(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale and shift per channel that a BatchNorm applies in evaluation mode."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    return scale, norm.bias - mean * scale
