"""What a model of the table is, how it is built, and how large it is."""

from __future__ import annotations

import hashlib
import importlib
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from models.groups import ShareGroup
from models.scheme import Scheme

if TYPE_CHECKING:
    import torch
    from torch import nn


class ModelsExtraMissing(ImportError):
    """torch is not installed; the message says what to install."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelSpec:
    """One network that can be measured; equal to itself alone.

    ``builder`` is ``"module:function"``, called with ``arguments``; it returns the dense network
    with the architecture's own initialisation. ``input_shape`` is without the batch.
    ``parameters`` counts the dense network; ``groups`` are the layers that can share templates.
    """

    name: str
    summary: str
    builder: str
    input_shape: tuple[int, ...]
    classes: int
    parameters: int
    groups: tuple[ShareGroup, ...]
    reference: str
    task: str = "classification"
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def fit(self, scheme: Scheme) -> tuple[int, ...]:
        """Templates per bank for the scheme; needs no torch.

        Raises SchemeError (UnreachableReduction) when the scheme does not fit this network.
        """
        return scheme.fit(self.groups, self.parameters) if scheme.shares else ()

    def total(self, scheme: Scheme) -> int:
        """Parameters of the network under the scheme; needs no torch for one that shares.

        Raises SchemeError (UnreachableReduction) when the scheme does not fit this network,
        ModelsExtraMissing when it takes torch to know.
        """
        if scheme.shares:
            return scheme.total(self.groups, self.parameters)
        if scheme.kind.restructures:
            require_torch()
            total: int = scheme.kind.load().total(self, scheme)
            return total
        return self.parameters

    def architecture(self, scheme: Scheme) -> nn.Module:
        """Return the network as it is before training, drawing on torch's random state.

        Raises SchemeError, and ModelsExtraMissing without torch.
        """
        self.fit(scheme)
        require_torch()
        from models.sharing import share

        module, _, function = self.builder.partition(":")
        make: Callable[..., nn.Module] = getattr(importlib.import_module(module), function)
        network = make(**self.arguments)
        share(network, scheme, groups=self.groups)
        return network

    def build(self, scheme: Scheme) -> nn.Module:
        """Return the network in evaluation mode with fixed pseudo-random weights.

        The same name and scheme give the same weights everywhere; torch's random state is left
        alone. BatchNorms hold running statistics of the activations that really occur, slightly
        disturbed, so that nothing about them is trivial and all activations stay in range.
        Raises SchemeError, and ModelsExtraMissing without torch.
        """
        sizes = self.fit(scheme)
        torch = require_torch()
        spelled = f"{self.name} {scheme.name} {sizes or scheme.sizes or scheme.reduction or ()}"
        seed = int.from_bytes(hashlib.sha256(spelled.encode()).digest()[:4], "big")
        with torch.random.fork_rng(devices=[]), torch.no_grad(), _double_precision():
            torch.manual_seed(seed)
            network = self.architecture(scheme).double()
            _settle_batch_norm(network, torch.randn(2, *self.input_shape))
        return network.float().requires_grad_(False).eval()


def require_torch() -> Any:
    """Import and return torch. Raises ModelsExtraMissing when it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise ModelsExtraMissing(
            "this model needs torch, which is not installed: "
            f"{shlex.quote(sys.executable)} -m pip install 'bench-on-device[models]'"
        ) from error
    return torch


@contextmanager
def _double_precision() -> Iterator[None]:
    """Initialise in double precision: rounded to float32, it is the same on every machine.

    In float32 even a uniform draw differs in its last bit, with how a machine fuses operations.
    """
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _settle_batch_norm(network: nn.Module, x: torch.Tensor) -> None:
    """Give every BatchNorm the statistics of its input for x, then disturb them.

    The network is in double precision and the results are rounded to 11 bits: so the figures do
    not depend on the order in which a machine sums.
    """
    import torch
    from torch import nn

    norms = [m for m in network.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    network.train()(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None and variance is not None
        norm.momentum = momentum
        deviation = variance.clamp(min=1e-4).sqrt()
        mean.copy_((mean + 0.1 * deviation * torch.randn_like(mean)).half())
        variance.copy_((deviation * (0.8 + 0.4 * torch.rand_like(mean))).half() ** 2)
        norm.weight.uniform_(0.75, 1.15)
        norm.bias.uniform_(-0.2, 0.2)
