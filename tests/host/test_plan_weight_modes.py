"""Which weight modes a plan gives to which scheme."""

from __future__ import annotations

import pytest

from bench.errors import ConfigError
from bench.plan.plan import expand, make_plan

SMALL = "shufflenet_v2_x0_5_cifar100"


def modes(**asked: object) -> list[tuple[str, str | None]]:
    plan = make_plan(models=(SMALL,), **asked)
    return [(case.scheme, case.weights) for case in expand(plan, "board", threads=1)]


def test_every_scheme_gets_the_modes_that_it_has() -> None:
    assert modes(schemes=("dense", "basis:0.1", "soft:0.1", "reuse-1")) == [
        ("dense", None),
        ("basis:0.1", "load"),
        ("basis:0.1", "runtime"),
        ("basis:0.1", "factored"),
        ("soft:0.1", "load"),
        ("soft:0.1", "runtime"),
        ("reuse-1", None),
    ]


def test_a_mode_that_a_scheme_has_not_is_left_out_where_others_are_asked_for() -> None:
    assert modes(schemes=("soft:0.1",), weights=("runtime", "factored")) == [
        ("soft:0.1", "runtime")
    ]


def test_a_scheme_without_any_mode_that_was_asked_for_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        modes(schemes=("basis:0.1", "soft:0.1"), weights=("factored",))
    assert str(caught.value) == (
        "scheme 'soft:0.1' has no weight mode factored; it has load, runtime"
    )
