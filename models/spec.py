"""What a model of the table is, how it is built, and how large it is."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from models.scheme import Scheme, ShareGroup, shared_total

if TYPE_CHECKING:
    import torch
    from torch import nn


class ModelsExtraMissing(ImportError):
    """torch is not installed; the message says what to install."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One network that can be measured.

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
        """Templates per group for the scheme; needs no torch.

        Raises SchemeError (UnreachableReduction) when the scheme does not fit this network.
        """
        return scheme.fit(self.groups, self.parameters)

    def total(self, scheme: Scheme) -> int:
        """Parameters of the network under the scheme; needs no torch."""
        if not scheme.shares:
            return self.parameters
        return shared_total(self.groups, self.parameters, self.fit(scheme))

    def architecture(self, scheme: Scheme) -> nn.Module:
        """Return the network as it is before training, drawing on torch's random state.

        Raises SchemeError, and ModelsExtraMissing without torch.
        """
        sizes = self.fit(scheme)
        require_torch()
        from models.sharing import share

        module, _, function = self.builder.partition(":")
        make: Callable[..., nn.Module] = getattr(importlib.import_module(module), function)
        network = make(**self.arguments)
        if sizes:
            share(network, self.groups, sizes)
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
        spelled = f"{self.name} {scheme.kind} {sizes}"
        seed = int.from_bytes(hashlib.sha256(spelled.encode()).digest()[:4], "big")
        with torch.random.fork_rng(devices=[]), torch.no_grad(), _double_precision():
            torch.manual_seed(seed)
            network = self.architecture(scheme).double()
            _settle_batch_norm(network, torch.randn(2, *self.input_shape))
        return network.float().requires_grad_(False).eval()


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """How one group shares: S ``templates`` and U ``own`` rows for ``layers`` of ``width``."""

    group: str
    width: int
    layers: int
    templates: int
    own: int
    parameters: int
    parameters_dense: int


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """Size of a network under a scheme.

    ``reduction`` is the share of ``parameters_dense`` that is saved. ``macs`` are the
    multiply-adds of one inference of one input with the weights at hand; ``macs_by_weights``
    has them per weight mode (``runtime`` also counts the generation of the weights).
    """

    name: str
    scheme: str
    parameters: int
    parameters_dense: int
    reduction: float
    macs: int
    macs_by_weights: dict[str, int]
    groups: tuple[GroupSummary, ...]


def describe(spec: ModelSpec, scheme: Scheme) -> ModelSummary:
    """Count parameters and multiply-adds.

    Raises SchemeError, and ModelsExtraMissing without torch (which counts the multiply-adds).
    """
    total = spec.total(scheme)
    macs = count_macs(spec, scheme)
    return ModelSummary(
        name=spec.name,
        scheme=str(scheme),
        parameters=total,
        parameters_dense=spec.parameters,
        reduction=1 - total / spec.parameters,
        macs=macs.pop("dense"),
        macs_by_weights=macs,
        groups=tuple(
            GroupSummary(
                group=group.name,
                width=group.width,
                layers=group.layers,
                templates=size,
                own=group.own,
                parameters=group.shared_parameters(size),
                parameters_dense=group.dense_parameters,
            )
            for group, size in zip(
                spec.groups if scheme.shares else (), spec.fit(scheme), strict=True
            )
        ),
    )


def count_macs(spec: ModelSpec, scheme: Scheme) -> dict[str, int]:
    """Multiply-adds of one inference of one input: ``dense``, and each weight mode if it shares.

    Counted by torch on the meta device (no memory, no arithmetic). Raises as ``build``.
    """
    torch = require_torch()
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        dense = _run_and_count(spec, spec.architecture(Scheme("dense")))
        if not scheme.shares:
            return {"dense": dense}
        from models.folding import fold_batch_norm, set_factored

        network = fold_batch_norm(spec.architecture(scheme))
        generated = _run_and_count(spec, network)
        set_factored(network, True)
        factored = _run_and_count(spec, network)
    return {"dense": dense, "load": dense, "runtime": generated, "factored": factored}


def require_torch() -> Any:
    """Import and return torch. Raises ModelsExtraMissing when it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise ModelsExtraMissing(
            "this model needs torch, which is not installed: pip install '.[models]'"
        ) from error
    return torch


def _run_and_count(spec: ModelSpec, network: nn.Module) -> int:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network.eval()(torch.empty(1, *spec.input_shape))
    return counter.get_total_flops() // 2


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

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
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
