"""From what is asked for to the list of cases."""

from pathlib import Path

import pytest

from bench.errors import ConfigError
from bench.plan.plan import expand, make_plan

SMALL = "shufflenet_v2_x0_5_cifar100"


def test_the_default_plan_is_a_dense_and_a_shared_network_in_every_weight_mode() -> None:
    cases = expand(make_plan(), "local", threads=1)
    assert [(case.scheme, case.weights) for case in cases] == [
        ("dense", None),
        ("basis:0.25", "load"),
        ("basis:0.25", "runtime"),
        ("basis:0.25", "factored"),
    ]
    assert {case.model for case in cases} == {"shufflenet_v2_x1_0"}


def test_a_dense_network_has_no_weight_mode() -> None:
    plan = make_plan(schemes=("dense",), weights=("load", "runtime"))
    assert len(expand(plan, "local", threads=1)) == 1


def test_the_matrix_is_the_product_without_repetitions() -> None:
    plan = make_plan(
        models=(SMALL, SMALL), schemes=("dense", "basis:0.1"), weights=("load",), batches=(1, 8, 1)
    )
    cases = expand(plan, "board", threads=2)
    assert len(cases) == len({case.key for case in cases}) == 4
    assert {(case.device, case.threads) for case in cases} == {("board", 2)}


def test_threads_of_the_plan_win_over_the_device() -> None:
    plan = make_plan(models=(SMALL,), schemes=("dense",), threads=(3,))
    assert expand(plan, "board", threads=1)[0].threads == 3


def test_a_network_that_cannot_have_the_default_scheme_says_what_can_be_asked_for() -> None:
    hint = r"\(basis:0\.25 is the default; try --scheme dense\)"
    with pytest.raises(ConfigError, match=f"no layers that can share.* {hint}$"):
        make_plan(models=("resnet34",))
    with pytest.raises(ConfigError) as caught:
        make_plan(models=("resnet34",), schemes=("basis:0.25",))
    assert "default" not in str(caught.value)


def test_an_onnx_file_is_measured_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"")
    plan = make_plan(models=(str(path),))
    assert [case.model for case in expand(plan, "local", threads=1)] == ["mine"]
    assert plan.files == {"mine": path}


def test_files_of_the_same_name_are_refused(tmp_path: Path) -> None:
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "net.onnx"
        path.write_bytes(b"")
        paths.append(str(path))
    with pytest.raises(ConfigError, match="another model is called 'net'"):
        make_plan(models=paths)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"models": ("shufflenet_v2_x1",)}, "did you mean 'shufflenet_v2_x1_"),
        ({"models": ("nowhere.onnx",)}, "nowhere.onnx: no such ONNX file"),
        ({"schemes": ("bases:0.2",)}, "did you mean 'basis'"),
        ({"schemes": ("basis:0.35",)}, "at most 31.0 %"),
        ({"models": ("shufflenet_v2_x0_5",), "schemes": ("basis:0.15",)}, "at most 8.4 %"),
        ({"weights": ("factor",)}, "did you mean 'factored'"),
        ({"runtimes": ("onnxrt",)}, "did you mean 'onnxruntime'"),
        ({"precisions": ("fp16",)}, "precision 'fp16' is not available"),
        ({"batches": (0,)}, "--batch must be 1 or more"),
        ({"shapes": {"x": (1, 2)}}, "--shape is for models of your own"),
    ],
)
def test_bad_input_is_one_line_with_the_fix(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_plan(**given)  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
