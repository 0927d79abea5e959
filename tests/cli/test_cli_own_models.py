"""Models of one's own on the command line and in a plan: measured, stored, gone on with."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from bench_program import PROCEDURE, Program
from onnx import TensorProto, helper

from bench.cli import main

NETS = """
import torch
from torch import nn


def net():
    return nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 4)), torch.zeros(1, 6, dtype=torch.int64)
"""


@pytest.fixture
def program(bench: Program) -> Program:
    (bench.folder / "mine_nets.py").write_text(NETS)
    tensors = [helper.make_tensor_value_info(n, TensorProto.INT64, ["N", "T"]) for n in ("a", "b")]
    y = helper.make_tensor_value_info("y", TensorProto.INT64, ["N", "T"])
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["y"])], "g", tensors, [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.save(model, bench.folder / "sum.onnx")
    np.save(bench.folder / "b.npy", np.arange(6).reshape(1, 6))
    plan: dict[str, Any] = {
        "devices": ["board"],
        "models": ["sum.onnx", "mine_nets:net"],
        "shapes": {"a": [1, 6]},
        "ranges": {"a": [0, 30522], "input": [0, 50]},
        "inputs": {"b": "b.npy"},
        "procedure": PROCEDURE,
    }
    (bench.folder / "plan.yaml").write_text(json.dumps(plan))
    return bench


def test_a_plan_of_own_models_runs_and_can_be_gone_on_with(program: Program) -> None:
    done = program.run("run", "--plan", "plan.yaml", "--json")
    assert done.returncode == 0, done.stderr
    trials = json.loads(done.stdout)["trials"]
    assert [trial["case"]["model"] for trial in trials] == ["sum", "mine_nets:net"]
    assert all(trial["parity"]["passed"] for trial in trials)
    assert "sum: input 'a' (int64, 1×6): random whole numbers from 0 to 30521" in done.stderr
    (run,) = (program.folder / "results").iterdir()
    plan = json.loads((run / "manifest.json").read_text())["plan"]
    assert plan["ranges"] == {"a": [0, 30522], "input": [0, 50]}
    assert plan["samples"]["b"]["path"] == str((program.folder / "b.npy").resolve())
    assert plan["inputs"]["mine_nets:net"] == [
        "input 'input' (int64, 1×6): random whole numbers from 0 to 49"
    ]

    # As if the run had been cut before the last case was stored.
    stored = run / "trials.jsonl"
    stored.write_bytes(b"".join(stored.read_bytes().splitlines(keepends=True)[:1]))
    again = program.run("run", "--resume", run.name, "--json")
    assert again.returncode == 0, again.stderr
    assert len(json.loads(again.stdout)["trials"]) == 2

    stored.write_bytes(b"".join(stored.read_bytes().splitlines(keepends=True)[:1]))
    (program.folder / "mine_nets.py").write_text(NETS.replace("8, 4", "8, 5"))
    changed = program.run("run", "--resume", run.name)
    assert changed.returncode == 2
    assert "mine_nets:net: what it gives (or torch makes of it) has changed" in changed.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model", "sum.onnx", "--shape", "a=1,6"], "'a' takes whole numbers (int64), and"),
        (["--model", "sum.onnx", "--range", "c=0:3"], "has no input 'c' (named in --range)"),
        (["--model", "sum.onnx", "--range", "a=3"], "write it as name=LOW:HIGH"),
        (["--model", "sum.onnx", "--range", "a=3:0"], "there is nothing in it"),
        (["--model", "sum.onnx", "--input", "b.npy"], "write it as name=file.npy"),
        (["--model", "sum.onnx", "--input", "b=c.npy"], "--input b=c.npy: no such file"),
        (
            ["--model", "sum.onnx", "--input", "b=b.npy", "--range", "b=0:3"],
            "input 'b' has both --range and --input",
        ),
        (["--model", "resnet34", "--range", "x=0:3"], "--range is for models of your own"),
        (["--model", "mine_nets:nothing"], "mine_nets has no function 'nothing'"),
        (["--model", "mine_nets.py"], "as mine_nets:FUNCTION"),
        (["--model", "mine_nets:net", "--shape", "input=0,6"], "every size must be 1 or more"),
        (["--model", "mine nets:net"], "write it as package.module:function"),
        (["--model", "mine_nets:net", "--scheme", "basis:0.25"], "--scheme is for the built-in"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_exit_2(
    program: Program,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    monkeypatch.chdir(program.folder)
    monkeypatch.setenv("BENCH_CACHE", str(program.folder / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mine_nets", raising=False)
    assert main(["run", "--device", "board", *arguments]) == 2
    assert expected in capsys.readouterr().err.strip().splitlines()[-1]


def test_showing_a_plan_imports_nothing_of_it(program: Program) -> None:
    path: Path = program.folder / "mine_nets.py"
    path.write_text("raise RuntimeError('imported')\n")
    done = program.run("plan", "show", "plan.yaml", "--json")
    assert done.returncode == 0, done.stderr
    cases = json.loads(done.stdout)["devices"]["board"]["cases"]
    assert [case["model"] for case in cases] == ["sum", "mine_nets:net"]
