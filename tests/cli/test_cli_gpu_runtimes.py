"""GPU runtimes asked for on a machine that has none: `bench run` and scripts/gpu_check."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from board_folder import PROJECT, tiny_model

from bench.cli import main

FAST = ["--rounds", "3", "--energy-rounds", "2", "--window", "0.1"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny_model(tmp_path / "tiny.onnx")
    local = {"transport": "local", "work_dir": f"{tmp_path}/board", "lock": "lock"}
    (tmp_path / "devices.yaml").write_text(json.dumps({"devices": {"local": local}}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BENCH_DEVICES", raising=False)
    return tmp_path


def bench(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["run", "--model", "tiny.onnx", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err.strip()


def test_only_a_runtime_that_the_machine_lacks_is_exit_4(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, said = bench(capsys, "--runtime", "onnxruntime-cuda")
    assert code == 4
    assert "install onnxruntime-gpu" in said.replace("\n", " ")


def test_beside_others_it_is_skipped_with_the_reason(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = bench(capsys, "--runtime", "onnxruntime-cuda,onnxruntime", *FAST, "--json")
    assert code == 0
    skipped, measured = json.loads(out)["trials"]
    assert skipped["latency_status"]["status"] == "skipped"
    assert "install onnxruntime-gpu" in skipped["latency_status"]["detail"]
    assert measured["latency"]["p50_s"] > 0
    assert measured["latency"]["compute_p50_s"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cuda-graph"], "has no CUDA graph"),
        (["--layer-profile"], "has no layer profile"),
        (["--calibration", "nowhere"], "--calibration nowhere: no such file or folder"),
        (["--calibration", "tiny.onnx"], "--calibration is for --precision int8"),
        (["--runtime", "onnxruntime-cuda", "--precision", "int8"], "quantised ONNX file"),
        (["--runtime", "tensorrt", "--precision", "int8"], "inputs to calibrate on"),
        (
            ["--runtime", "tensorrt", "--precision", "int8", "--calibration", "tiny.onnx"],
            "give a folder of images or an .npy file",
        ),
    ],
)
def test_what_cannot_be_is_exit_2_before_anything_is_measured(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code, out, lines = bench(capsys, *arguments)
    assert code == 2
    assert said in lines.splitlines()[-1]
    assert out == ""
    assert not (folder / "board").exists()


@pytest.fixture
def gpu_check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_check", PROJECT / "scripts/gpu_check.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_gpu_check_without_a_gpu_is_one_line_and_exit_2(
    gpu_check: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_check.nvml, "LIBRARY", "libno-such-driver.so.1")
    assert gpu_check.main([]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("gpu_check: no NVIDIA GPU can be used here")


def test_gpu_check_without_nvml_goes_on_where_the_probe_finds_a_gpu(
    gpu_check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on an older Jetson; what is asked of bench, which is a double here."""
    asked: list[tuple[str, ...]] = []
    found: dict[str, Any] = {}

    def bench(folder: Path, *arguments: str) -> dict[str, Any]:
        asked.append(arguments)
        if arguments[0] == "devices":
            found.update(json.loads((folder / "devices.yaml").read_text())["devices"]["gpu"])
            there, missing = {"version": "8.2.1", "problem": None}, {"problem": "no provider"}
            runtimes = {"onnxruntime": there, "tensorrt": there, "onnxruntime-cuda": missing}
            return {"code": 0, "document": {"runtimes": runtimes}, "error": ""}
        if "--calibration" in arguments:
            path = folder / arguments[arguments.index("--calibration") + 1]
            found["inputs"] = np.load(path).shape
        return {"code": 0, "document": {"trials": []}, "error": ""}

    monkeypatch.setattr(gpu_check, "bench", bench)
    monkeypatch.setattr(gpu_check.nvml, "LIBRARY", "libno-such-driver.so.1")
    out = tmp_path / "figures.json"
    assert gpu_check.main(["--out", str(out), "--model", "resnet56_cifar100"]) == 0
    assert "power" not in found
    assert found["inputs"] == (16, 3, 32, 32)
    document = json.loads(out.read_text())
    assert document["gpu"] is None
    assert "libno-such-driver.so.1" in document["nvml"]
    ran = {
        (done["runtime"], done["precision"], *done["options"])
        for done in document["runs"]
        if "not_run" not in done
    }
    assert ran >= {
        ("tensorrt", "fp16", "--cuda-graph"),
        ("tensorrt", "fp32", "--layer-profile"),
        ("tensorrt", "int8", "--calibration", "calibration.npy"),
    }
    assert {runtime for runtime, *_ in ran} == {"onnxruntime", "tensorrt"}
    (int8,) = [arguments for arguments in asked if "int8" in arguments]
    assert int8[:3] == ("run", "--device", "gpu")
    assert int8[int8.index("--precision") + 1] == "int8"


def test_gpu_check_writes_versions_figures_and_what_did_not_run(
    gpu_check: ModuleType, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything of it but the GPU: its runtimes are missing here, the CPU's is measured."""
    monkeypatch.setattr(gpu_check, "NETWORKS", ("--no-estimate",))
    out = tmp_path / "figures.json"
    runs = (("onnxruntime", "fp32", ()), ("onnxruntime-cuda", "fp32", ("--cuda-graph",)))
    facts = {"gpu": "none", "driver": "none", "nvml": None}
    code = gpu_check.check(
        facts, tmp_path, sys.executable, out, str(folder / "tiny.onnx"), "3", runs
    )
    assert code == 2  # nothing ran on a GPU
    document: dict[str, Any] = json.loads(out.read_text())
    measured, missing = document["runs"]
    (trial,) = measured["trials"]
    assert trial["p50_s"] > 0
    assert trial["runtime_version"]
    assert trial["largest_error"] is not None
    assert trial["energy_j"] is None
    assert "onnxruntime-gpu" in missing["not_run"]
