"""Folds every BatchNorm that follows a layer into it, for evaluation and export."""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from models.basis import FactoredBank, FactoredLayer
from models.drawn import Banks, DrawnLayer, Recipe, Shape, batch_norm_affine
from models.sharing import BANKS


@dataclass(frozen=True, slots=True)
class Generation:
    """How weights of the folded network come into being.

    ``templates`` names the templates of the bank, which several generations may share, ``prefix``
    the other tensors; ``weights`` are the names of the parameters of the folded network that the
    recipe gives, in its order.
    """

    prefix: str
    templates: str
    weights: tuple[str, ...]
    recipe: Recipe

    def name(self, tensor: str) -> str:
        """Name of one of the recipe's tensors among those of the whole network."""
        return self.templates if tensor == "templates" else f"{self.prefix}.{tensor}"

    def tensors(self) -> dict[str, Tensor]:
        """The recipe's tensors by those names."""
        return {self.name(name): value for name, value in self.recipe.tensors.items()}


@dataclass(frozen=True, slots=True)
class Folded:
    """A network in evaluation mode of plain layers only, and how those that share got weights."""

    network: nn.Module
    generations: tuple[Generation, ...]

    def tensors(self) -> dict[str, Tensor]:
        """What a weights file holds: everything but the generated weights, by name."""
        generated = {name for each in self.generations for name in each.weights}
        plain = {**dict(self.network.named_parameters()), **dict(self.network.named_buffers())}
        stored = {name: value for name, value in plain.items() if name not in generated}
        for each in self.generations:
            stored |= each.tensors()
        return {name: value.detach().contiguous() for name, value in stored.items()}


def fold(network: nn.Module) -> Folded:
    """Fold a copy of a network.

    A convolution gets a bias; of a layer that draws on templates, its own part takes the scale
    (coefficients, or a scale per output), so that the templates stay as they are and shared. A
    BatchNorm that does not directly follow such a layer, or whose layer has other users, is kept.
    The arithmetic is in double precision, so that the float32 results do not depend on the
    machine's order of sums.
    """
    folded = copy.deepcopy(network).requires_grad_(False).double().eval()
    affine: dict[str, tuple[Tensor, Tensor]] = {}
    with torch.no_grad():
        for layer_path, norm_path in _pairs(folded):
            layer, norm = folded.get_submodule(layer_path), folded.get_submodule(norm_path)
            assert isinstance(norm, nn.BatchNorm2d)
            scale, shift = batch_norm_affine(norm)
            if isinstance(layer, DrawnLayer):
                affine[layer_path] = scale, shift
            else:
                assert isinstance(layer, nn.Conv2d)
                folded.set_submodule(layer_path, _fold_convolution(layer, scale, shift))
            folded.set_submodule(norm_path, nn.Identity())
        generations = _generations(folded, affine)
        for path, layer in list(folded.named_modules()):
            if isinstance(layer, DrawnLayer):
                folded.set_submodule(path, _plain(layer, affine.get(path)))
    if hasattr(folded, BANKS):
        delattr(folded, BANKS)
    return Folded(folded.float().requires_grad_(False).eval(), generations)


def factored(folded: Folded) -> nn.Module:
    """Return a network that applies the factors of ``basis`` instead of generated weights.

    Its parameters have the names of the weights file, or ``<layer>.coefficients`` and
    ``<layer>.own`` for a layer's part of what :class:`Generation` stacks.
    """
    network = copy.deepcopy(folded.network)
    banks = Banks()
    for each in folded.generations:
        tensors = each.recipe.tensors
        bank = FactoredBank(tensors["templates"])
        banks[each.prefix.removeprefix(f"{BANKS}.")] = bank
        for index, weight in enumerate(each.weights):
            path = weight.removesuffix(".weight")
            plain = network.get_submodule(path)
            layer = FactoredLayer(
                Shape.of(plain),
                bank,
                tensors["own"][index] if "own" in tensors else None,
                tensors["coefficients"][index],
                plain.bias if isinstance(plain.bias, Tensor) else None,
            )
            network.set_submodule(path, layer)
    network.add_module(BANKS, banks)
    return network.requires_grad_(False).eval()


class _LayerTracer(fx.Tracer):
    """Traces a network down to torch's own layers and the layers that share."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, DrawnLayer) or super().is_leaf_module(m, module_qualified_name)


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
            and isinstance(network.get_submodule(str(source.target)), (nn.Conv2d, DrawnLayer))
        ):
            pairs.append((str(source.target), str(node.target)))
    return pairs


def _generations(
    network: nn.Module, affine: dict[str, tuple[Tensor, Tensor]]
) -> tuple[Generation, ...]:
    """A generation per bank and shape of layer."""
    names = {id(bank): name for name, bank in network.named_modules()}
    members: dict[tuple[str, str], list[tuple[str, DrawnLayer]]] = defaultdict(list)
    for path, layer in network.named_modules():
        if isinstance(layer, DrawnLayer):
            members[names[id(layer.bank)], _size(layer.shape)].append((path, layer))
    shapes_of: dict[str, int] = defaultdict(int)
    for bank, _ in members:
        shapes_of[bank] += 1
    generations = []
    for (bank, size), drawn in members.items():
        layers = [layer for _, layer in drawn]
        outputs = layers[0].shape.outputs
        scales = [
            affine[path][0] if path in affine else layer.bank.templates.new_ones(outputs)
            for path, layer in drawn
        ]
        recipe = layers[0].bank.recipe(layers, scales)
        tensors = {name: value.detach().float() for name, value in recipe.tensors.items()}
        prefix = bank if shapes_of[bank] == 1 else f"{bank}.{size}"
        weights = tuple(f"{path}.weight" for path, _ in drawn)
        generations.append(
            Generation(prefix, f"{bank}.templates", weights, Recipe(recipe.kind, tensors))
        )
    return tuple(generations)


def _size(shape: Shape) -> str:
    """A name for the shape of a weight."""
    return f"{shape.inputs}x{shape.outputs}{'-linear' if shape.linear else ''}"


def _plain(layer: DrawnLayer, affine: tuple[Tensor, Tensor] | None) -> nn.Module:
    """A layer with the generated weight, scaled and shifted by what followed."""
    weight, bias = layer.generated()
    if affine is not None:
        scale, shift = affine
        weight = weight * scale[:, None]
        bias = shift if bias is None else bias * scale + shift
    with torch.device("meta"):  # no random numbers are drawn there
        plain = layer.shape.layer(bias=bias is not None)
    plain.weight = nn.Parameter(layer.shape.unflatten(weight).clone())
    if bias is not None:
        plain.bias = nn.Parameter(bias.clone())
    return plain


def _fold_convolution(layer: nn.Conv2d, scale: Tensor, shift: Tensor) -> nn.Conv2d:
    folded = copy.deepcopy(layer)
    folded.weight = nn.Parameter(layer.weight * scale[:, None, None, None])
    bias = shift if layer.bias is None else layer.bias * scale + shift
    folded.bias = nn.Parameter(bias.clone())
    return folded
