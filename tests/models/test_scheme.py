"""Spelling of schemes and the solver that sizes them."""

from __future__ import annotations

import pytest

from models import MODELS, Scheme, SchemeError, UnreachableReduction
from models.kinds import KINDS

C100_X0_5 = MODELS["shufflenet_v2_x0_5_cifar100"]
C100_X1_0 = MODELS["shufflenet_v2_x1_0_cifar100"]


@pytest.mark.parametrize(
    "text",
    [
        "dense",
        "basis:0.25",
        "basis:26/53/106",
        "basis:8",
        "basis-shared-plain:0.25",
        "blocks:2/8/30",
        "blocks-one:0.25",
        "soft:0.25",
        "reuse-1",
        "reuse-2",
    ],
)
def test_spelling_survives_a_round_trip(text: str) -> None:
    assert str(Scheme.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bais:0.25", "did you mean 'basis'"),
        ("dense:0.5", "takes nothing after it"),
        ("reuse-1:0.5", "'reuse-1' takes nothing after it"),
        ("reuse", "did you mean 'reuse-"),
        ("soft", "soft:0.25 or soft:26/53/106"),
        ("block:0.2", "did you mean 'blocks'"),
        ("basis", "needs a reduction or sizes"),
        ("basis:", "needs a reduction or sizes"),
        ("basis:0", "'0' is not a number of templates"),
        ("basis:0.0", "between 0 and 1"),
        ("basis:1.5", "between 0 and 1"),
        ("basis:-0.2", "between 0 and 1"),
        ("basis:nan", "between 0 and 1"),
        ("basis:a/b", "'a' is not a number of templates"),
        ("basis:26//106", "'' is not a number of templates"),
        ("basis:26/0/106", "'0' is not a number of templates"),
        ("basis:much", "neither a reduction"),
        ("xyzzy", "unknown scheme"),
    ],
)
def test_misspelled_scheme_says_what_is_wrong(text: str, expected: str) -> None:
    with pytest.raises(SchemeError) as caught:
        Scheme.parse(text)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "sizes", "total"),
    [
        ("shufflenet_v2_x1_0_cifar100", "36/72/144", 1_151_610),
        ("shufflenet_v2_x1_0_cifar100", "26/53/106", 1_017_668),
        ("shufflenet_v2_x1_0_cifar100", "17/34/67", 881_866),
        ("shufflenet_v2_x1_5_cifar100", "60/120/239", 2_196_788),
        ("shufflenet_v2_x1_5_cifar100", "48/95/190", 1_934_760),
        ("shufflenet_v2_x1_5_cifar100", "35/71/142", 1_678_754),
        ("shufflenet_v2_x1_0", "26/52/105", 1_935_708),
        ("shufflenet_v2_x1_0", "10/20/40", 1_708_186),
        ("shufflenet_v2_x1_5", "53/106/213", 2_977_446),
        ("shufflenet_v2_x1_5", "37/73/147", 2_626_784),
        ("shufflenet_v2_x1_5", "20/40/81", 2_275_404),
    ],
)
def test_totals_of_explicit_sizes(name: str, sizes: str, total: int) -> None:
    assert MODELS[name].total(Scheme.parse(f"basis:{sizes}")) == total


@pytest.mark.parametrize(
    ("name", "reduction", "about"),
    [
        ("shufflenet_v2_x1_0_cifar100", 0.15, (36, 72, 144)),
        ("shufflenet_v2_x1_0_cifar100", 0.25, (26, 53, 106)),
        ("shufflenet_v2_x1_0_cifar100", 0.35, (17, 34, 67)),
        ("shufflenet_v2_x1_5_cifar100", 0.25, (48, 95, 190)),
        ("shufflenet_v2_x1_0", 0.25, (10, 20, 40)),
        ("shufflenet_v2_x1_5", 0.35, (20, 40, 81)),
    ],
)
def test_solver_lands_close_to_the_wanted_reduction(
    name: str, reduction: float, about: tuple[int, ...]
) -> None:
    spec = MODELS[name]
    scheme = Scheme.parse(f"basis:{reduction}")
    sizes = spec.fit(scheme)
    assert all(abs(size - near) <= 1 for size, near in zip(sizes, about, strict=True))
    reached = 1 - spec.total(scheme) / spec.parameters
    assert reduction <= reached < reduction + 0.002


def test_one_more_of_the_costliest_templates_misses_the_wanted_reduction() -> None:
    sizes = C100_X1_0.fit(Scheme.parse("basis:0.3"))
    larger = Scheme.parse(f"basis:{sizes[0]}/{sizes[1]}/{sizes[2] + 1}")
    assert C100_X1_0.total(larger) > C100_X1_0.parameters * 0.7


@pytest.mark.parametrize(
    ("name", "reduction", "ceiling"),
    [
        ("shufflenet_v2_x0_5", 0.15, "8.4 %"),
        ("shufflenet_v2_x1_0", 0.35, "31.0 %"),
        ("shufflenet_v2_x0_5_cifar100", 0.35, "25.7 %"),
    ],
)
def test_unreachable_reduction_names_the_ceiling(name: str, reduction: float, ceiling: str) -> None:
    with pytest.raises(UnreachableReduction) as caught:
        MODELS[name].fit(Scheme.parse(f"basis:{reduction}"))
    assert f"at most {ceiling}" in str(caught.value)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ("5/10", "gives 2 size(s), this network needs 3: stage2/stage3/stage4"),
        ("5", "gives 1 size(s)"),
        ("5/10/20/40", "gives 4 size(s)"),
        ("25/10/20", "25 templates for stage2, which can use 24 at most"),
    ],
)
def test_sizes_that_do_not_fit_the_network(sizes: str, expected: str) -> None:
    with pytest.raises(SchemeError, match="basis") as caught:
        C100_X0_5.fit(Scheme.parse(f"basis:{sizes}"))
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("soft:10/1/1", "10 templates for stage2, which can use 9 at most"),
        ("blocks:1/1", "needs 3: stage2/stage3/stage4"),
        ("blocks-one:1/1", "this network needs 1: all"),
    ],
)
def test_sizes_of_other_kinds_that_do_not_fit(text: str, expected: str) -> None:
    with pytest.raises(SchemeError) as caught:
        C100_X0_5.fit(Scheme.parse(text))
    assert expected in str(caught.value)


def test_weight_modes_by_kind() -> None:
    generated = ("load", "runtime")
    modes = {name: Scheme(name).weight_modes for name in KINDS if not KINDS[name].restructures}
    assert modes == {
        "dense": (),
        "basis": (*generated, "factored"),
        "basis-shared": (*generated, "factored"),
        "basis-plain": (*generated, "factored"),
        "basis-shared-plain": (*generated, "factored"),
        "blocks": generated,
        "blocks-one": generated,
        "soft": generated,
        "reuse-1": (),
        "reuse-2": (),
    }
