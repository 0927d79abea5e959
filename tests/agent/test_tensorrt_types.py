"""The TensorRT runtime against the public type stubs: names, arguments, return values."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from board_folder import PROJECT

# Where the published stubs are no Python: an argument called ``in``, a default before none.
MENDED = (
    (re.compile(r"\bin: "), "in_: "),
    (re.compile(r"= None, channel_axis: int\)"), "= None, channel_axis: int = 0)"),
)
CONFIG = """
[mypy]
check_untyped_defs = true
disable_error_code = var-annotated
[mypy-tensorrt.*,tensorrt_bindings.*,bench.agent.failure,bench.agent.notes]
ignore_errors = true
[mypy-pycuda.*,cuda.*]
ignore_missing_imports = true
"""
WRONG = """
from bench.agent.tensorrt.library import LOG, trt

def build():
    builder = trt.Builder(LOG)
    builder.build_network_in_series(builder.create_network(0))
    builder.create_builder_config().set_flag("FP16")
"""


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """The installed stubs, mended where they are no Python."""
    import tensorrt_stubs

    installed = Path(tensorrt_stubs.__file__).parents[1]
    folder = tmp_path / "stubs"
    for package in ("tensorrt", "tensorrt_bindings"):
        shutil.copytree(installed / package, folder / package)
    for path in folder.rglob("*.pyi"):
        text = path.read_text()
        for wrong, right in MENDED:
            text = wrong.sub(right, text)
        path.write_text(text)
    return folder


def mypy(stubs: Path, *files: Path) -> list[str]:
    """Lines of errors."""
    config = stubs / "mypy.ini"
    config.write_text(CONFIG)
    options = "--config-file", config, "--cache-dir", stubs / "cache", "--no-error-summary"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "--explicit-package-bases", *files],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
        env={"MYPYPATH": f"{stubs}:{PROJECT}"},
    )
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


def test_the_runtime_speaks_tensorrt_as_its_stubs_have_it(stubs: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)
    sources = sorted((PROJECT / "bench" / "agent" / "tensorrt").glob("*.py"))
    errors = mypy(stubs, wrong, *sources)
    # The two mistakes that were put in, so that silence means something.
    assert len([line for line in errors if line.startswith(str(wrong))]) == 2, errors
    assert not [line for line in errors if not line.startswith(str(wrong))]
