"""Every valid pair of model, kind of scheme, weight mode and version is built by NVIDIA's builder.

By the code that builds on a board, but for running the engine. What `--check tensorrt` says of
them stands in ``test_tensorrt_builds.py``; ``scripts/trt_grid`` builds all combinations.
"""

from __future__ import annotations

from functools import cache as once
from itertools import combinations
from pathlib import Path

import onnx
import pytest
from graph_values import IN_TENSORRT_8_0

from bench.agent.tensorrt import build as on_board
from bench.export.cases import export_case
from bench.export.layer_weights import CONSTANT, GENERATED, EngineValues, layer_weights
from bench.runtimes import graph_limits
from models import MODELS, Scheme, SchemeError
from models.kinds import KINDS

FAMILIES = (
    "shufflenet_v2_x0_5_cifar100",
    "mobilenet_v2_x1_0_cifar100",
    "shufflenet_v1_g3_x1_0_cifar100",
    "resnet56_cifar100",
)
VERSIONS = ("8.2", "8.5")
"""Opset 13 with products, opset 17 with computed weights of convolutions."""
SAVED = "0.05"
"""A reduction that every network can reach that can share at all."""

Combination = tuple[str, str, str | None, str]
Pair = tuple[tuple[int, str | None], tuple[int, str | None]]


@once
def valid() -> tuple[Combination, ...]:
    """All combinations that there are: model, scheme, weight mode, version."""
    found: list[Combination] = []
    for model in FAMILIES:
        for name, kind in KINDS.items():
            scheme = f"{name}:{SAVED}" if kind.sized else name
            try:
                MODELS[model].total(Scheme.parse(scheme))
            except SchemeError:
                continue
            modes = kind.weight_modes or (None,)
            found += [(model, scheme, mode, version) for mode in modes for version in VERSIONS]
    return tuple(found)


def pairs(combination: Combination) -> set[Pair]:
    """Its values, two by two; each with its place, since that tells what it is a value of."""
    return set(combinations(enumerate(combination), 2))


def _is_cheap(combination: Combination) -> bool:
    """Whether its graph is traced with others': all generated weights come from one graph."""
    return combination[2] in ("load", "runtime")


@once
def cover() -> tuple[Combination, ...]:
    """Few combinations that have every pair: always one with most that are missing."""
    missing = set().union(*map(pairs, valid()))
    chosen: list[Combination] = []
    while missing:
        chosen.append(max(valid(), key=lambda each: (len(pairs(each) & missing), _is_cheap(each))))
        missing -= pairs(chosen[-1])
    # The same network one after the other: the exporter keeps what it made of it.
    return tuple(sorted(chosen, key=lambda each: (each[0], each[1], each[3], str(each[2]))))


def test_the_choice_has_every_pair_that_there_is() -> None:
    there_are = set().union(*map(pairs, valid()))
    assert set().union(*map(pairs, cover())) == there_are
    assert set(cover()) <= set(valid())
    assert len(cover()) < len(valid()) / 2
    # What there must be, at the least: not what the code above takes for valid.
    values = [{combination[place] for combination in valid()} for place in range(4)]
    assert values[0] == set(FAMILIES)
    assert {str(scheme).split(":")[0] for scheme in values[1]} == set(KINDS)
    assert values[2:] == [{None, "load", "runtime", "factored"}, set(VERSIONS)]
    both = {(model, scheme) for model, scheme, _, _ in cover()}
    for model in FAMILIES[:2]:  # those whose layers can share
        assert len({scheme for each, scheme in both if each == model}) == len(KINDS)


@pytest.mark.parametrize("model", FAMILIES)
def test_the_builder_takes_it_and_folds_what_is_not_generated(cache: Path, model: str) -> None:
    chosen = [combination for combination in cover() if combination[0] == model]
    assert len(chosen) >= 2
    for _, scheme, weights, version in chosen:
        limits = graph_limits("tensorrt", version)
        artifact = export_case(model, scheme, weights, 1, limits, cache)
        assert artifact.facts.opset == limits.opset
        options = on_board.builder_options("fp32", None, capability="SM86")
        plan, _ = on_board.build(str(artifact.graph), options)
        held = EngineValues(bytes(plan))
        found = layer_weights(artifact.graph, artifact.bound)
        assert len(found) >= 50
        assert any(weight.source == GENERATED for weight in found) == (weights == "runtime")
        for weight in found:
            is_generated = weight.source == GENERATED
            assert held.holds(weight.values) != is_generated, (scheme, weights, version)
        if version == "8.2":
            assert CONSTANT not in {weight.source for weight in found}
            nodes = onnx.load(artifact.graph, load_external_data=False).graph.node
            assert {node.op_type for node in nodes} <= IN_TENSORRT_8_0
