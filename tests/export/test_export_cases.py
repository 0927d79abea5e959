"""The export cache and the errors of exporting a model of the table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from onnx import helper

from bench.errors import ConfigError, ExportError, UnsupportedCase
from bench.export import graph
from bench.export.cases import export_case
from bench.export.older_opset import rewrite_for
from bench.records.recordings import GraphLimits

SMALL = "shufflenet_v2_x0_5_cifar100"
OLD = GraphLimits(opset=13, ir_version=7)


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error::UserWarning"},
    )


def test_second_call_exports_nothing(export) -> None:
    first = export("load")
    again = export("load")
    assert not again.fresh
    assert (again.graph, again.weights, again.reference, again.facts, again.classifier) == (
        first.graph,
        first.weights,
        first.reference,
        first.facts,
        first.classifier,
    )


def test_cached_artifact_is_found_by_a_new_process_without_torch(export, cache) -> None:
    artifact = export("load")
    code = (
        "import sys, json, pathlib\n"
        "from bench.export.cases import export_case\n"
        "from bench.records.recordings import GraphLimits\n"
        "a = export_case(sys.argv[1], 'basis:5/10/20', 'load', 1, GraphLimits(13, 7),\n"
        "                pathlib.Path(sys.argv[2]))\n"
        "print(json.dumps([a.graph.name, a.fresh, sorted({'torch', 'onnx'} & set(sys.modules))]))"
    )
    result = run_python(code, SMALL, str(cache))
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == [artifact.graph.name, False, []]


def test_a_lost_file_is_exported_again(tmp_path) -> None:
    artifact = export_case(SMALL, "dense", None, 1, OLD, tmp_path)
    artifact.graph.unlink()
    again = export_case(SMALL, "dense", None, 1, OLD, tmp_path)
    assert again.fresh
    assert again.graph == artifact.graph
    assert again.graph.is_file()


def test_two_processes_export_the_same_thing_at_once(tmp_path) -> None:
    code = (
        "import sys, pathlib\n"
        "from bench.export.cases import export_case\n"
        "from bench.records.recordings import GraphLimits\n"
        "a = export_case(sys.argv[1], 'dense', None, 1, GraphLimits(13, 7),\n"
        "                pathlib.Path(sys.argv[2]))\n"
        "print(a.graph.name, a.weights.name)"
    )
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: run_python(code, SMALL, str(tmp_path)), range(2)))
    assert [result.returncode for result in results] == [0, 0], results[0].stderr
    assert results[0].stdout == results[1].stdout
    assert results[0].stderr == ""
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert len(names) == 4  # graph, weights, reference, index entry: nothing temporary is left


@pytest.mark.parametrize(
    ("model", "scheme", "weights", "batch", "expected"),
    [
        ("shufflenet_v2_x1", "dense", None, 1, "did you mean 'shufflenet_v2_x"),
        ("qqqq", "dense", None, 1, "known: shufflenet_v2_x0_5, "),
        (SMALL, "bais:0.2", "load", 1, "did you mean 'basis'"),
        (SMALL, "basis:0.35", "load", 1, "at most 25.7 %"),
        (SMALL, "basis:5/10", "load", 1, "needs 3: stage2/stage3/stage4"),
        (SMALL, "dense", "load", 1, "has no weight mode"),
        (SMALL, "basis:0.2", None, 1, "needs a weight mode (load, runtime, factored)"),
        (SMALL, "basis:0.2", "eager", 1, "not 'eager'"),
        (SMALL, "dense", None, 0, "batch 0"),
    ],
)
def test_wrong_requests_get_one_line(model, scheme, weights, batch, expected, cache) -> None:
    with pytest.raises(ConfigError) as caught:
        export_case(model, scheme, weights, batch, OLD, cache)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("limits", [GraphLimits(12, 7), GraphLimits(13, 6)])
def test_a_board_that_is_too_old_is_unsupported(limits, cache) -> None:
    with pytest.raises(UnsupportedCase) as caught:
        export_case(SMALL, "dense", None, 1, limits, cache)
    text = str(caught.value)
    assert f"opset {limits.opset} and IR {limits.ir_version}" in text
    assert "opset 13 and IR 7" in text


def test_missing_torch_says_what_to_install(tmp_path) -> None:
    code = (
        "import sys, pathlib; sys.modules['torch'] = None\n"
        "from bench.errors import ConfigError\n"
        "from bench.export.cases import export_case\n"
        "from bench.records.recordings import GraphLimits\n"
        "try:\n"
        "    export_case(sys.argv[1], 'dense', None, 1, GraphLimits(13, 7),\n"
        "                pathlib.Path(sys.argv[2]))\n"
        "except ConfigError as error:\n"
        "    print(error)"
    )
    result = run_python(code, SMALL, str(tmp_path))
    assert "-m pip install 'bench-on-device[models]'" in result.stdout, result.stderr


def test_unwritable_cache_is_a_configuration_error(tmp_path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(ConfigError, match="cannot write the artifact cache"):
        export_case(SMALL, "dense", None, 1, OLD, blocked / "cache")


def test_failure_in_the_exporter_is_an_export_error(cache, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("operator missing\nlong story")

    monkeypatch.setattr(graph, "trace", fail)
    with pytest.raises(ExportError) as caught:
        export_case(SMALL, "dense", None, 5, OLD, cache)
    assert str(caught.value) == f"cannot export {SMALL} dense: operator missing"
    assert "long story" in caught.value.detail


def test_graph_that_disagrees_with_torch_is_refused_and_not_cached(tmp_path, monkeypatch) -> None:
    from bench.export import torch_export

    right = torch_export._reference

    def wrong(*arguments):
        inputs, outputs = right(*arguments)
        return inputs, {name: value + 0.01 for name, value in outputs.items()}

    monkeypatch.setattr(torch_export, "_reference", wrong)
    with pytest.raises(ExportError, match="differs from torch by"):
        export_case(SMALL, "dense", None, 1, OLD, tmp_path)
    assert not list(tmp_path.glob("*.onnx"))
    assert not list((tmp_path / "index").iterdir())


class Reductions(torch.nn.Module):
    """Operators whose form changed between opset 13 and 18."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = x.split([2, 2, 1], dim=1)
        pooled = [part.amax((2, 3)) + part.mean((2, 3), keepdim=False) for part in parts]
        joined = torch.cat(pooled, 1).reshape(1, -1, 1)
        return torch.relu(joined.sum(1)) + torch.softmax(x.chunk(3, 1)[2].mean((1, 2)), -1).sum()


def test_other_operators_reach_opset_13_with_the_same_meaning(tmp_path) -> None:
    from bench.export.reference import check_agreement, random_input

    network = Reductions().eval()
    x = random_input((1, 5, 4, 4), torch.zeros(1).numpy().dtype, 0)
    model = graph.convert(graph.trace(network, (torch.from_numpy(x),)), OLD)
    path = Path(tmp_path / "reductions.onnx")
    path.write_bytes(model.SerializeToString())
    check_agreement(path, {"input": x}, {"output": network(torch.from_numpy(x)).numpy()})


def test_operator_without_an_older_form_is_named() -> None:
    tensors = [helper.make_tensor_value_info(name, 1, [2, 3]) for name in "xy"]
    scale = helper.make_tensor_value_info("scale", 1, [3])
    node = helper.make_node("LayerNormalization", ["x", "scale"], ["y"])
    model = helper.make_model(
        helper.make_graph([node], "g", [tensors[0], scale], [tensors[1]]),
        opset_imports=[helper.make_opsetid("", 18)],
    )
    with pytest.raises(ValueError, match="LayerNormalization cannot be written at ONNX opset 13"):
        rewrite_for(model, 13)
