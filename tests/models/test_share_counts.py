"""Sizes by formula equal the networks that are built, and groups are found by the network."""

from __future__ import annotations

import pytest
import torch

from models import MODELS, Scheme, SchemeError, ShareGroup, UnreachableReduction, describe
from models.grouping import find_groups

SHARING = {name: spec for name, spec in MODELS.items() if spec.groups}
SHUFFLE = [name for name in SHARING if name.startswith("shufflenet_v2")]
MOBILE = [name for name in SHARING if name.startswith("mobilenet_v2")]
SCHEMES = [
    "basis:0.05",
    "basis-shared:0.05",
    "basis-plain:0.05",
    "basis-shared-plain:0.05",
    "blocks:0.05",
    "blocks-one:0.05",
    "soft:0.05",
    "reuse-1",
    "reuse-2",
]
DENSE = Scheme.parse("dense")


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_the_network_itself_shows_the_announced_groups(name: str) -> None:
    with torch.device("meta"):
        found = find_groups(MODELS[name].architecture(DENSE))
    assert tuple(each.group for each in found) == MODELS[name].groups
    assert all(len(each.layers) == each.group.layers for each in found)


@pytest.mark.parametrize("text", SCHEMES)
@pytest.mark.parametrize(
    "name", [name for name in SHARING if "mobilenet" in name or name in SHUFFLE]
)
def test_formula_equals_the_built_network(name: str, text: str) -> None:
    spec, scheme = SHARING[name], Scheme.parse(text)
    with torch.device("meta"):
        assert count(spec.architecture(scheme)) == spec.total(scheme)


def test_templates_stand_once_in_the_state_dict_and_layers_of_a_group_share_them() -> None:
    spec = MODELS["shufflenet_v2_x1_0_cifar100"]
    with torch.device("meta"):
        state = spec.architecture(Scheme.parse("soft:2/3/4")).state_dict()
    shapes = {name: tuple(v.shape) for name, v in state.items() if name.endswith("templates")}
    assert shapes == {
        "banks.stage2.templates": (2, 58, 58),
        "banks.stage3.templates": (3, 116, 116),
        "banks.stage4.templates": (4, 232, 232),
    }
    coefficients = [name for name in state if name.endswith(".coefficients")]
    assert len(coefficients) == 7 + 17 + 9
    assert state["stage3.1.branch2.0.coefficients"].shape == (3,)


def test_one_bank_of_blocks_serves_all_stages() -> None:
    spec = MODELS["shufflenet_v2_x1_0_cifar100"]
    with torch.device("meta"):
        state = spec.architecture(Scheme.parse("blocks-one:20")).state_dict()
    assert [name for name in state if name.endswith("templates")] == ["banks.all.templates"]
    assert state["banks.all.templates"].shape == (20, 58, 58)
    assert state["stage4.1.branch2.0.coefficients"].shape == (4, 4, 20)


def test_reuse_spares_the_pointwise_layers_of_stride_1_units() -> None:
    spec = MODELS["shufflenet_v2_x1_0"]
    square = 58**2 * 2 + 116**2 * 6 + 232**2 * 2
    assert spec.total(Scheme.parse("reuse-1")) == spec.parameters - square
    assert spec.total(Scheme.parse("reuse-2")) == spec.parameters - 2 * square
    with torch.device("meta"):
        network = spec.architecture(Scheme.parse("reuse-1"))
    reused = [path for path, m in network.named_modules() if type(m).__name__ == "ReusedLayer"]
    assert reused == [
        f"stage{stage}.{unit}.branch2.0"
        for stage, units in ((2, 4), (3, 8), (4, 4))
        for unit in range(1, units)
    ]


@pytest.mark.parametrize(
    ("name", "ceiling"),
    [
        ("shufflenet_v2_x0_5_cifar100", 25.9),
        ("shufflenet_v2_x1_0_cifar100", 49.1),
        ("shufflenet_v2_x1_5_cifar100", 59.4),
        ("shufflenet_v2_x2_0_cifar100", 53.1),
        ("shufflenet_v2_x0_5", 8.4),
        ("shufflenet_v2_x1_0", 29.2),
        ("shufflenet_v2_x1_5", 43.8),
        ("shufflenet_v2_x2_0", 39.9),
    ],
)
def test_one_template_per_stage_reaches_the_known_ceilings(name: str, ceiling: float) -> None:
    reached = 1 - MODELS[name].total(Scheme.parse("soft:1/1/1")) / MODELS[name].parameters
    assert 100 * reached == pytest.approx(ceiling, abs=0.06)
    with pytest.raises(UnreachableReduction, match=f"at most {100 * reached:.1f} %"):
        MODELS[name].fit(Scheme("soft", reduction=ceiling / 100 + 0.01))


@pytest.mark.parametrize("kind", ["basis", "blocks", "blocks-one", "soft"])
@pytest.mark.parametrize("name", SHUFFLE)
@pytest.mark.parametrize("reduction", [0.15, 0.25, 0.35])
def test_solver_saves_enough_and_little_more(name: str, kind: str, reduction: float) -> None:
    spec, scheme = MODELS[name], Scheme(kind, reduction)
    try:
        sizes = spec.fit(scheme)
    except UnreachableReduction:
        least = Scheme(kind, sizes=(1,) * len(scheme.banks(spec.groups)))
        assert spec.total(least) > (1 - reduction) * spec.parameters
        return
    allowed = (1 - reduction) * spec.parameters
    assert spec.total(scheme) <= allowed
    dearest = max(bank.step for bank in scheme.banks(spec.groups))
    full = [bank.largest for bank in scheme.banks(spec.groups)]
    assert spec.total(scheme) > allowed - 0.002 * spec.parameters - dearest or list(sizes) == full


@pytest.mark.parametrize("text", ["basis:0.1", "soft:1", "blocks-one:0.1", "reuse-1"])
def test_network_with_nothing_to_share_is_refused(text: str) -> None:
    with pytest.raises(SchemeError, match="no layers that can share") as caught:
        MODELS["resnet56_cifar100"].total(Scheme.parse(text))
    assert "\n" not in str(caught.value)


def test_dense_weights_of_a_group() -> None:
    group = ShareGroup("g", inputs=3, outputs=5, layers=4, own=1)
    assert (group.layer_parameters, group.dense_parameters) == (15, 60)


@pytest.mark.parametrize("text", ["basis:10/20/40", "soft:2/3/2", "blocks-one:40", "reuse-2"])
def test_stages_add_up_to_the_whole(text: str) -> None:
    spec = MODELS["shufflenet_v2_x1_0"]
    summary = describe(spec, Scheme.parse(text))
    saved = sum(group.parameters_dense - group.parameters for group in summary.groups)
    assert saved == summary.parameters_dense - summary.parameters
    assert summary.reduction <= summary.ceiling
    for group in summary.groups:
        assert group.template_bytes + group.coefficient_bytes == 4 * group.parameters
    by_weights = summary.macs_by_weights
    if "runtime" in by_weights:
        generation = sum(group.macs_generation for group in summary.groups)
        assert by_weights["runtime"] == summary.macs + generation
    if "factored" in by_weights:
        change = sum(group.macs_factored - group.macs_dense for group in summary.groups)
        assert by_weights["factored"] == summary.macs + change
    else:
        assert all(group.macs_factored is None for group in summary.groups)
    most = sum(group.ceiling for group in summary.groups)
    assert most == pytest.approx(summary.ceiling)


@pytest.mark.parametrize("text", ["prune-l1:0.1", "recursive:0.1"])
def test_parts_of_a_network_that_is_changed_add_up_to_the_whole(text: str) -> None:
    spec, scheme = MODELS["shufflenet_v2_x1_0"], Scheme.parse(text)
    summary = describe(spec, scheme)
    saved = sum(part.parameters_dense - part.parameters for part in summary.parts)
    # Iterations have BatchNorms of their own, which stay.
    assert saved == summary.parameters_dense - summary.parameters > 0
    assert sum(part.ceiling for part in summary.parts) == summary.ceiling
    with pytest.raises(UnreachableReduction, match=f"at most {100 * summary.ceiling:.1f} %"):
        spec.total(Scheme(scheme.name, reduction=summary.ceiling + 0.01))


def test_a_bank_that_serves_all_stages_has_a_row_of_its_own() -> None:
    bank, *groups = describe(MODELS["shufflenet_v2_x1_0"], Scheme.parse("blocks-one:40")).groups
    assert (bank.group, bank.layers, bank.parameters) == ("all", 0, 40 * 58 * 58)
    assert all(group.template_bytes == 0 < group.parameters for group in groups)
