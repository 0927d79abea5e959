"""Folds every BatchNorm that follows a convolution into it, for evaluation and export."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, fx, nn

from models.templates import BasisPointwise, FoldedPointwise, batch_norm_affine


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode whose BatchNorms are folded into the layers before them.

    A convolution gets a bias; a layer that draws on templates gets it in its coefficients and a
    bias of its own, so that the templates stay as they are and shared. A BatchNorm that does not
    directly follow such a layer, or whose layer has other users, is kept. The arithmetic is in
    double precision, so that the float32 results do not depend on the machine's order of sums.
    """
    folded = copy.deepcopy(network).requires_grad_(False).double().eval()
    with torch.no_grad():
        for layer_path, norm_path in _pairs(folded):
            layer, norm = folded.get_submodule(layer_path), folded.get_submodule(norm_path)
            assert isinstance(norm, nn.BatchNorm2d)
            scale, shift = batch_norm_affine(norm)
            if isinstance(layer, BasisPointwise):
                replacement: nn.Module = _fold_basis(layer, scale, shift)
            else:
                assert isinstance(layer, nn.Conv2d)
                replacement = _fold_convolution(layer, scale, shift)
            folded.set_submodule(layer_path, replacement)
            folded.set_submodule(norm_path, nn.Identity())
        for path, layer in list(folded.named_modules()):
            if isinstance(layer, BasisPointwise):
                one = torch.ones_like(layer.coefficients[:, 0])
                folded.set_submodule(path, _fold_basis(layer, one, torch.zeros_like(one)))
    return folded.float().requires_grad_(False).eval()


def set_factored(folded: nn.Module, factored: bool) -> None:
    """Make every folded layer apply its factors one after the other, or generate its weight."""
    for module in folded.modules():
        if isinstance(module, FoldedPointwise):
            module.factored = factored


def generation_parameters(folded: nn.Module) -> list[str]:
    """Names of the parameters that weights are generated from: templates, own rows, coefficients.

    Keeping all three from being folded leaves every generating node in place; with the
    coefficients alone, each layer would hold its own copy of the templates.
    """
    names = {id(parameter): name for name, parameter in folded.named_parameters()}
    layers = [module for module in folded.modules() if isinstance(module, FoldedPointwise)]
    wanted = [layer.bank.templates for layer in layers]
    wanted += [parameter for layer in layers for parameter in (layer.own, layer.coefficients)]
    return sorted({names[id(parameter)] for parameter in wanted})


class _LayerTracer(fx.Tracer):
    """Traces a network down to torch's own layers and the template layers."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, BasisPointwise) or super().is_leaf_module(m, module_qualified_name)


def _pairs(network: nn.Module) -> list[tuple[str, str]]:
    """Paths of (layer, BatchNorm) where the BatchNorm is the layer's only user."""
    graph = _LayerTracer().trace(network)
    calls = [node for node in graph.nodes if node.op == "call_module"]
    targets = [node.target for node in calls]
    pairs = []
    for node in calls:
        source = node.args[0]
        if (
            isinstance(network.get_submodule(node.target), nn.BatchNorm2d)
            and isinstance(source, fx.Node)
            and source.op == "call_module"
            and len(source.users) == 1
            and targets.count(source.target) == 1
            and isinstance(network.get_submodule(str(source.target)), (nn.Conv2d, BasisPointwise))
        ):
            pairs.append((str(source.target), str(node.target)))
    return pairs


def _fold_convolution(layer: nn.Conv2d, scale: Tensor, shift: Tensor) -> nn.Conv2d:
    folded = copy.deepcopy(layer)
    folded.weight = nn.Parameter(layer.weight * scale[:, None, None, None])
    bias = shift if layer.bias is None else layer.bias * scale + shift
    folded.bias = nn.Parameter(bias.clone())
    return folded


def _fold_basis(layer: BasisPointwise, scale: Tensor, shift: Tensor) -> FoldedPointwise:
    coefficients, bias = layer.folded_coefficients()
    return FoldedPointwise(
        layer.bank, layer.own.detach(), coefficients * scale[:, None], bias * scale + shift
    )
