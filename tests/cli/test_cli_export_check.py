"""`bench models export --check tensorrt`: what NVIDIA's builder makes of a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bench_program import Program

SMALL = "shufflenet_v2_x0_5_cifar100"
SHARED = "basis:5/10/20"


def test_an_engine_is_built_and_told(bench: Program) -> None:
    done = bench.run(
        *("models", "export", SMALL, "-o", "out", "--scheme", SHARED, "--weights", "runtime"),
        *("--for", "tensorrt:8.2", "--check", "tensorrt", "--capability", "8.6,12.0", "--json"),
    )
    assert done.returncode == 0, done.stderr
    (artifact,) = json.loads(done.stdout)
    assert artifact["opset"] == 13
    assert (bench.folder / artifact["bound"]).is_file()
    assert [engine["capability"] for engine in artifact["engines"]] == ["8.6", "12.0"]
    for engine in artifact["engines"]:
        assert engine["builder"].startswith("TensorRT for RTX ")
        assert engine["engine_bytes"] > 1_000_000
        assert (engine["weights"]["generated"], engine["weights"]["found"]) == (35, 0)
        told = f"{engine['layers']} layers, engine {engine['engine_bytes']:,} bytes"
        assert told in done.stderr
    assert "35 generated in every inference, 0 in the engine" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--for", "tensorrt:7.1"), "TensorRT 7.1 is too old"),
        (("--for", "tensort"), "did you mean 'tensorrt'?"),
        (("--for", "tensorrt:new"), "write the version as in tensorrt:8.2"),
        (("--for", "onnxruntime", "--check", "tensorrt"), "--for tensorrt"),
        (("--check", "tensorrt", "--capability", "8.7"), "did you mean"),
        (("--precision", "fp16"), "add --for tensorrt"),
        (("--for", "tensorrt", "--precision", "int8"), "add --calibration FOLDER|FILE"),
        (("--for", "tensorrt", "--calibration", "."), "is for --precision int8, not for fp32"),
        (("--capability", "8.6"), "add --check tensorrt"),
        (
            (
                "--for",
                "tensorrt",
                "--precision",
                "int8",
                "--calibration",
                "none.npy",
                "--scheme",
                "basis:5/10/20",
                "--weights",
                "runtime",
            ),
            "none.npy: no such file or folder",
        ),
        (
            ("--for", "tensorrt", "--precision", "int8", "--calibration", "none"),
            "--calibration none: ",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(bench: Program, options, expected) -> None:
    done = bench.run("models", "export", SMALL, "-o", "out", *options)
    assert done.returncode == 2
    assert expected in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not list(bench.folder.glob("out/*.onnx"))


def test_a_graph_that_rounds_is_built_too(bench: Program) -> None:
    done = bench.run(
        *("models", "export", SMALL, "-o", "out", "--precision", "fp16"),
        *("--check", "tensorrt", "--json"),
    )
    assert done.returncode == 0, done.stderr
    (artifact,) = json.loads(done.stdout)
    (engine,) = artifact["engines"]
    assert (artifact["precision"], engine["weights"]) == ("fp16", None)
    assert engine["kinds"]["CAST"] > 50
    assert "weights:" not in done.stderr


def test_int8_leaves_generated_weights_out_unless_they_are_asked_for(bench: Program) -> None:
    drawn = np.random.default_rng(1).standard_normal((2, 3, 32, 32)).astype(np.float32)
    np.save(bench.folder / "inputs.npy", drawn)
    done = bench.run(
        *("models", "export", SMALL, "-o", "out", "--scheme", SHARED, "--for", "tensorrt"),
        *("--precision", "int8", "--calibration", "inputs.npy", "--json"),
    )
    assert done.returncode == 0, done.stderr
    exported = json.loads(done.stdout)
    assert [(each["weights"], each["precision"]) for each in exported] == [
        ("load", "int8"),
        ("factored", "int8"),
    ]
    said = " ".join(done.stderr.split())
    assert said.count("left out: int8 rounds stored weights") == 1
    assert "runtime: left out" in said


def test_a_builder_that_is_broken_is_one_line_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "tensorrt_rtx.py").write_text('raise ImportError("libnvrtx.so.1: no such file")\n')
    run = "import sys; from bench.cli import main; sys.exit(main())"
    command = ["models", "export", SMALL, "-o", "out", "--check", "tensorrt"]
    done = subprocess.run(
        [sys.executable, "-c", run, *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 2, done.stderr
    said = " ".join(done.stderr.split())
    assert said.startswith("bench: --check tensorrt: NVIDIA's builder is installed but cannot be")
    assert "(libnvrtx.so.1: no such file)" in said
    assert "-m pip install --force-reinstall tensorrt-rtx-cu13" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_without_the_builder_one_line_says_what_to_install(tmp_path: Path) -> None:
    without = (
        "import sys; sys.modules['tensorrt_rtx'] = None\n"
        "from bench.cli import main; sys.exit(main())"
    )
    command = ["models", "export", SMALL, "-o", "out", "--check", "tensorrt"]
    done = subprocess.run(
        [sys.executable, "-c", without, *command], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("bench: --check tensorrt needs NVIDIA's builder")
    assert "-m pip install 'bench-on-device[trt-check]'" in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()
