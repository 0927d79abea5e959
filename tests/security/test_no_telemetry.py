"""ONNX Runtime collects what it does and reports it to its maker, unless it is told not to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bench_program import Program

COLLECTED = "**/*onnxruntime/*.db"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, with nothing said of telemetry; on a CI machine there would be none."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY", "CI"):
        monkeypatch.delenv(name, raising=False)
    return folder


def test_a_run_leaves_nothing_to_report(home: Path, tmp_path: Path) -> None:
    bench = Program(tmp_path / "runs")
    bench.folder.mkdir()
    bench.devices(board={})
    bench.plan("one")
    assert bench.run("run", "--plan", "plan.yaml", "--device", "board").returncode == 0
    assert not list(home.glob(COLLECTED))


def test_onnxruntime_left_to_itself_collects(home: Path) -> None:
    """What the other test looks for is what there would be."""
    code = "import onnxruntime, time; time.sleep(1)"
    # Nothing to send it to: what it collects stays in the file.
    environment = {**os.environ, "https_proxy": "http://127.0.0.1:9"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert list(home.glob(COLLECTED))
