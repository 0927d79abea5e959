"""plan.yaml: what is accepted, how it meets the command line, what is said about mistakes."""

from pathlib import Path

import pytest

from bench.errors import ConfigError
from bench.plan.checks import loose_ends, require_runnable
from bench.plan.file import choose_procedure, load_plan
from bench.plan.plan import Plan, expand, make_plan, refusal

SMALL = "shufflenet_v2_x0_5_cifar100"
LARGE = "shufflenet_v2_x1_0_cifar100"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    return path


def planned(tmp_path: Path, text: str) -> Plan:
    file = load_plan(write(tmp_path, text))
    return make_plan(**file.arguments(), procedure=choose_procedure(file, None, {}), skips=True)


def test_the_matrix_minus_exclusions_plus_overrides(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        f"""
models: {SMALL}
schemes: [dense, "basis:0.1"]
weights: [load, runtime]
batches: [1, 8]
power_modes: [MAXN, 5W]
exclude:
  - {{scheme: "basis:0.1", batch: 8}}
  - {{power_mode: 5W, batch: 8}}
overrides:
  - {{where: {{weights: runtime}}, threads: 2}}
procedure: {{preset: standard, latency_rounds: 60}}
""",
    )
    keys = [case.key for case in expand(plan, "board", threads=1)]
    basis, end = f"{SMALL}/basis:0.1", "onnxruntime/fp32"
    assert keys == [
        f"{SMALL}/dense/{end}/b1/t1/MAXN",
        f"{SMALL}/dense/{end}/b8/t1/MAXN",
        f"{basis}/load/{end}/b1/t1/MAXN",
        f"{basis}/runtime/{end}/b1/t2/MAXN",
        f"{SMALL}/dense/{end}/b1/t1/5W",
        f"{basis}/load/{end}/b1/t1/5W",
        f"{basis}/runtime/{end}/b1/t2/5W",
    ]
    assert plan.procedure.latency_rounds == 60
    assert plan.procedure.name == "standard (changed)"


def test_cases_that_cannot_run_stay_with_their_reason(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        f"models: [{SMALL}, {LARGE}]\nschemes: ['basis:0.4']\nweights: load\n"
        "precisions: [fp32, fp5]\n",
    )
    reasons = {case.key: refusal(plan, case) or "" for case in expand(plan, "b", threads=1)}
    assert "at most 25.7 %" in reasons[f"{SMALL}/basis:0.4/load/onnxruntime/fp32/b1/t1"]
    assert reasons[f"{LARGE}/basis:0.4/load/onnxruntime/fp32/b1/t1"] == ""
    assert "precision 'fp5'" in reasons[f"{LARGE}/basis:0.4/load/onnxruntime/fp5/b1/t1"]
    require_runnable(plan, expand(plan, "b", threads=1))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"models: {SMALL}\nschemes: 'basis:0.4'\n", "at most 25.7 %"),
        (f"models: {SMALL}\nexclude: [{{model: {SMALL}}}]\n", "takes all of them out"),
    ],
)
def test_a_plan_with_no_runnable_case_is_refused(tmp_path: Path, text: str, said: str) -> None:
    plan = planned(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        require_runnable(plan, expand(plan, "board", threads=1))
    assert said in str(caught.value)


def test_a_misspelt_exclusion_is_noticed(tmp_path: Path) -> None:
    plan = planned(tmp_path, "exclude: [{scheme: basis}]\n")
    (said,) = loose_ends(plan, {"local": 1})
    assert said == "exclude: no case has scheme 'basis'"
    assert loose_ends(planned(tmp_path, "exclude: [{scheme: dense}]\n"), {"local": 1}) == []


def test_onnx_files_lie_beside_the_plan(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"")
    plan = planned(tmp_path, "models: mine.onnx\nshapes: {x: [1, 3, 8, 8]}\n")
    assert plan.files == {"mine": tmp_path / "mine.onnx"}
    assert plan.shapes == {"x": (1, 3, 8, 8)}


def test_the_command_line_changes_the_files_procedure_or_replaces_it(tmp_path: Path) -> None:
    file = load_plan(write(tmp_path, "procedure: {preset: standard, latency_rounds: 60}\n"))
    changed = choose_procedure(file, None, {"seed": 4})
    assert (changed.seed, changed.latency_rounds) == (4, 60)
    assert choose_procedure(file, "quick", {}).latency_rounds == 20
    named = load_plan(write(tmp_path, "procedure: publish\n"))
    assert choose_procedure(named, None, {}).name == "publish"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: x\n", ["'model'", "did you mean 'models'"]),
        ("exclude: [{modle: x}]\n", ["'exclude.0.modle'", "did you mean 'model'"]),
        ("exclude: [{}]\n", ["'exclude.0'", "every case"]),
        ("overrides: [{threads: 2}]\n", ["'overrides.0.where'", "missing"]),
        ("overrides: [{where: {batch: 1}}]\n", ["'overrides.0'", "changes nothing"]),
        ("overrides: [{where: {btch: 1}, threads: 2}]\n", ["where.btch", "'batch'"]),
        ("batches: [0]\n", ["'batches.0'", "must be at least 1"]),
        ("batches: [two]\n", ["'batches.0'", "'two'"]),
        ("batches: []\n", ["'batches'"]),
        ("clocks: min\n", ["'clocks'", "'max'"]),
        ("procedure: 3\n", ["'procedure'", "standard"]),
        ("procedure: standart\n", ["'procedure'", "did you mean 'standard'"]),
        ("procedure: {latency_round: 9}\n", ["'procedure'", "did you mean 'latency_round"]),
        ("procedure: {latency_rounds: 2}\n", ["'procedure'", "latency_rounds (--rounds) is 2"]),
        ("- a\n", ["mapping"]),
        ("", ["mapping"]),
        ("models: [\n", ["plan.yaml:2:1"]),
        ("models: a\nmodels: b\n", ["duplicate"]),
    ],
)
def test_bad_input_names_file_key_and_fix(tmp_path: Path, text: str, said: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_plan(write(tmp_path, text))
    message = str(caught.value)
    assert "plan.yaml" in message and "\n" not in message
    for part in said:
        assert part in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such plan file"):
        load_plan(tmp_path / "nowhere.yaml")
