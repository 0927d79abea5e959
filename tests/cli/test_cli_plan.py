"""`bench plan show`, and plan files and procedure options of `bench run`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from board_folder import tiny_model

from bench.cli import main

PLAN = """
models: [tiny.onnx, shufflenet_v2_x0_5_cifar100]
schemes: ["basis:0.4"]
weights: [load]
procedure: {preset: quick, latency_rounds: 3, latency_round_s: 0.05, energy_rounds: 2,
            energy_window_s: 0.2, warmup_min_s: 0.05, idle_s: 0.2}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a plan of one case that runs and one that cannot."""
    tiny_model(tmp_path / "tiny.onnx")
    (tmp_path / "plan.yaml").write_text(PLAN)
    (tmp_path / "devices.yaml").write_text(
        f"devices: {{local: {{transport: local, work_dir: {tmp_path}/board, lock: lock}}}}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BENCH_DEVICES", raising=False)
    return tmp_path


def test_show_lists_cases_reasons_and_time(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "show", "plan.yaml"]) == 0
    shown = capsys.readouterr().out
    for part in ("tiny/dense", "skipped: ", "at most 25.7 %", "1 of 2 cases can run, about "):
        assert part in " ".join(shown.split())
    assert main(["plan", "show", "plan.yaml", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    local = document["devices"]["local"]
    assert local["expected_s"] > 0
    assert [case["problem"] is None for case in local["cases"]] == [True, False]
    assert not (folder / "board").exists()


def test_a_meters_load_markers_are_part_of_the_time(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def expected_s(device: str) -> float:
        (folder / "devices.yaml").write_text(f"devices: {{local: {{transport: local{device}}}}}\n")
        assert main(["plan", "show", "plan.yaml", "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)["devices"]["local"]["expected_s"]
        assert isinstance(shown, float)
        return shown

    meter = ", meter: {kind: command, command: [my-meter], scope: wall}"
    assert 11 < expected_s(meter) - expected_s("") < 13
    # Without a sensor the meter alone is reason enough for energy rounds.
    none = ", power: {sensor: none}"
    assert expected_s(none + meter) == pytest.approx(expected_s(meter))
    assert expected_s(none) < expected_s("")
    assert main(["plan", "show", "plan.yaml"]) == 0
    assert "load markers" not in capsys.readouterr().out
    expected_s(meter)
    assert main(["plan", "show", "plan.yaml"]) == 0
    assert "11 s of it load markers" in " ".join(capsys.readouterr().out.split())


def test_a_run_of_a_plan_measures_what_can_run_and_records_the_rest(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--plan", "plan.yaml", "--rounds", "4", "--seed", "9", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    trials = {trial["case"]["model"]: trial for trial in document["trials"]}
    skipped = trials["shufflenet_v2_x0_5_cifar100"]["latency_status"]
    assert (skipped["status"], skipped["reasons"]) == ("skipped", ["unsupported"])
    assert "at most 25.7 %" in skipped["detail"]
    assert trials["tiny"]["latency"]["rounds"] == 4
    manifest = json.loads((Path(document["path"]) / "manifest.json").read_text())
    assert manifest["procedure"]["name"] == "quick (changed)"
    assert manifest["procedure"]["seed"] == 9


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["run", "--plan", "none.yaml"], "none.yaml: no such plan file"),
        (["run", "--procedure", "standart"], "did you mean 'standard'"),
        (["run", "--rounds", "1"], "--rounds"),
        (["run", "--window", "10 ticks"], "write it as 90s, 5m or 1.5h"),
        (["run", "--window", "1.5sm"], "write it as 90s, 5m or 1.5h"),
        (["run", "--window", "10ms"], "too few power readings"),
        (["run", "--window", "0.01"], "too few power readings"),
        (["run", "--target-ci", "200%"], "write it as 2% or 0.02"),
        (["run", "--max-time", "-5s"], "write it as 90s, 5m or 1.5h"),
        (["run", "--scenario", "server"], "--rate"),
        (["run", "--rate", "5"], "scenario server"),
        (["run", "--clocks", "min"], "max"),
        (["run", "--threads", "0"], "--threads must be 1 or more"),
        (["plan", "show", "none.yaml"], "no such plan file"),
    ],
)
def test_bad_input_is_exit_2_and_one_line(
    folder: Path, args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "board").exists()


def test_a_plan_without_a_case_that_can_run_is_exit_2(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "plan.yaml").write_text("models: shufflenet_v2_x0_5\nschemes: 'basis:0.15'\n")
    for command in (["plan", "show", "plan.yaml"], ["run", "--plan", "plan.yaml"]):
        assert main(command) == 2
        assert "no case of the plan can run" in capsys.readouterr().err
    assert not (folder / "results").exists()
