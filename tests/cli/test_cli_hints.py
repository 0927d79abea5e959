"""What `bench run` tells people on the way: commands to copy, and what it really does."""

from __future__ import annotations

import shlex
import subprocess
import sys

from bench_program import Program

RUN = ("run", "--plan", "plan.yaml", "--device", "board")


def test_the_command_that_installs_a_missing_package_can_be_copied(bench: Program) -> None:
    """The board's Python lies in a folder whose name a shell would obey."""
    environment = bench.folder / "my env; touch owned"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = str(environment / "bin" / "python")
    bench.devices(board={"python": python})
    refused = bench.run(*RUN)
    assert refused.returncode == 4
    (line,) = (line for line in refused.stderr.splitlines() if "has no numpy" in line)
    command = shlex.split(line.partition("on the board: ")[2], comments=False)
    assert command[:4] == [python, "-m", "pip", "install"]
    assert {"numpy", "onnxruntime"} <= set(command)


def test_what_comes_from_the_cache_is_not_said_to_be_exported(bench: Program) -> None:
    done = bench.run(*RUN)
    assert done.returncode in (0, 3), done.stderr
    # The file was taken in before the board was contacted.
    assert "board: taken from the cache: one dense" in done.stderr
    assert "exporting" not in done.stderr
