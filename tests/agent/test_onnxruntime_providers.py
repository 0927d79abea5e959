"""ONNX Runtime's GPU providers, as far as a machine without a GPU can show them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from board_folder import LOCK, PROJECT, BoardFolder, make_reference, tiny_model
from cuda_stand_in import CPU, CUDA, TENSORRT, CudaStandIn, TensorrtStandIn

from bench.agent.failure import Failure
from bench.agent.runtimes import onnxruntime_gpu, onnxruntime_tensorrt
from bench.agent.runtimes.onnxruntime_binding import BoundSession


@pytest.fixture
def graph(tmp_path: Path) -> str:
    return str(tiny_model(tmp_path / "tiny.onnx"))


def inputs(factor: float = 1.0) -> dict[str, Any]:
    return {"x": factor * np.arange(64, dtype=np.float32)[None]}


def expected(graph: str, factor: float = 1.0) -> Any:
    session = onnxruntime.InferenceSession(graph, providers=[CPU])
    return session.run(["y"], inputs(factor))[0]


@pytest.mark.parametrize("runtime", ["onnxruntime-cuda", "onnxruntime-tensorrt"])
def test_the_cpu_wheel_says_which_package_has_the_gpu(any_board: BoardFolder, runtime: str) -> None:
    """The real package; both the oldest and the newest would take the CPU without an error."""
    problem = any_board.ask("probe", "/", "{}", LOCK)["runtimes"][runtime]["problem"]
    assert "onnxruntime-gpu" in problem and "JetPack" in problem
    records = any_board.measure(any_board.job([any_board.case("a", runtime=runtime)]))
    (failure,) = [record for record in records if record["kind"] == "failure"]
    assert failure["reason"] == "unsupported"
    assert failure["text"] == problem


BOUND = """
import json, sys
import numpy
from bench.agent.runtimes import onnxruntime
from bench.agent.runtimes.onnxruntime_binding import BoundSession
from bench.agent.runtimes.onnxruntime_profile import Profile

engine = onnxruntime.import_engine()
options, _ = onnxruntime.settings(engine, {})
profile = Profile(options)
session = engine.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
run = BoundSession(engine, session, "cpu", False)
first = numpy.load(sys.argv[2])["in0"]
kept = first.copy()
outputs = [run(["y"], {"x": array})[0].copy() for array in (first, 2 * first, -first)]
plain = [session.run(["y"], {"x": array})[0] for array in (first, 2 * first, -first)]
split = run.take_split()
print(json.dumps({
    "errors": [float(abs(a - b).max()) for a, b in zip(outputs, plain)],
    "differ": float(abs(outputs[0] - outputs[1]).max()),
    "input_changed": bool((kept != first).any()),
    "split": {name: len(values) for name, values in split.items()},
    "positive": all(value > 0 for values in split.values() for value in values),
    "empty": run.take_split(),
    "nodes": profile.end(session),
}))
"""


def test_bound_inference_on_the_cpu_device_gives_what_plain_inference_gives(
    python: Path, tmp_path: Path, graph: str
) -> None:
    reference = make_reference(Path(graph), tmp_path / "tiny.npz")
    done = subprocess.run(
        [python, "-c", BOUND, graph, reference],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["errors"] == [0.0, 0.0, 0.0]
    assert said["differ"] > 0
    assert not said["input_changed"]
    assert said["split"] == {"copy_ns": 3, "compute_ns": 3}
    assert said["positive"]
    assert said["empty"] == {"copy_ns": [], "compute_ns": []}
    assert said["nodes"] == {CPU: 2}


def test_a_session_on_the_gpu_keeps_its_inputs_there_and_records_its_options(graph: str) -> None:
    engine = CudaStandIn()
    run, facts = onnxruntime_gpu.CUDA.open_model(engine, graph, {"cuda_graph": True})
    for factor in (1.0, -2.0, 3.0):
        (output,) = run(["y"], inputs(factor))
        assert np.array_equal(output, expected(graph, factor))
    assert engine.devices == ["cuda", "cuda"]  # an output and an input, once
    ((chosen, fallback),) = engine.asked
    assert chosen == (CUDA, {"device_id": "0", "enable_cuda_graph": "1"})
    assert fallback == CPU
    assert facts["provider_options"] == {"device_id": "0", "enable_cuda_graph": "1"}
    assert facts["cuda_graph"] is True
    assert facts["nodes"] == {CUDA: 2}
    assert facts["first_s"] > 0
    assert [len(values) for values in run.take_split().values()] == [3, 3]


def test_nodes_on_the_cpu_are_counted_and_all_of_them_are_an_error(graph: str) -> None:
    run, facts = onnxruntime_gpu.CUDA.open_model(CudaStandIn(on_cpu=["Relu"]), graph, {})
    run(["y"], inputs())
    assert facts["nodes"] == {CUDA: 1, CPU: 1}
    run, _ = onnxruntime_gpu.CUDA.open_model(CudaStandIn(on_cpu=["Relu", "MatMul"]), graph, {})
    with pytest.raises(Failure) as caught:
        run(["y"], inputs())
    assert caught.value.reason == "unsupported"
    assert "2 on CPUExecutionProvider" in caught.value.text


def test_a_provider_that_does_not_load_is_no_reason_to_take_the_cpu(graph: str) -> None:
    with pytest.raises(Failure) as caught:
        onnxruntime_gpu.CUDA.open_model(CudaStandIn(left_out=True), graph, {})
    assert caught.value.reason == "load"
    assert "would have used the CPU" in caught.value.text


def test_the_profile_leaves_nothing_behind(graph: str, monkeypatch: Any, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    run, _ = onnxruntime_gpu.CUDA.open_model(CudaStandIn(), graph, {})
    run(["y"], inputs())
    assert list((tmp_path / "temporary").iterdir()) == []


def test_what_a_cuda_graph_cannot_replay_is_refused(graph: str) -> None:
    class Dynamic:
        name, shape, type = "y", ["N", 64], "tensor(float)"

    class Session:
        def get_outputs(self) -> list[Any]:
            return [Dynamic()]

        def io_binding(self) -> None:
            return None

    run = BoundSession(CudaStandIn(), Session(), "cuda", fixed=True)
    with pytest.raises(Failure, match="fixed shapes"):
        run(["y"], inputs())

    class Old:
        __version__ = "1.10.0"
        OrtValue = object

    with pytest.raises(Failure, match=r"1\.10\.0 has no CUDA graphs"):
        BoundSession(Old(), Session(), "cuda", fixed=True)


def test_fp16_is_the_graphs_own_with_the_cuda_provider(graph: str) -> None:
    with pytest.raises(Failure, match="not in fp16"):
        onnxruntime_gpu.CUDA.open_model(CudaStandIn(), graph, {"precision": "fp16"})


def test_the_tensorrt_provider_takes_every_option_that_is_asked_of_it(
    graph: str, tmp_path: Path
) -> None:
    cache = str(tmp_path / "engines")
    options = {"precision": "fp16", "cuda_graph": True, "engine_cache": cache}
    engine = TensorrtStandIn()
    assert onnxruntime_tensorrt.TENSORRT.build(engine, graph, options) == {"cached": False}
    run, facts = onnxruntime_tensorrt.TENSORRT.open_model(engine, graph, options)
    assert np.array_equal(run(["y"], inputs())[0], expected(graph))
    for chosen, *others in engine.asked:
        assert chosen == (TENSORRT, facts["provider_options"])
        assert others == [(CUDA, {"device_id": "0"}), CPU]
    enabled = {"fp16", "cuda_graph", "engine_cache"}
    assert facts["provider_options"] == {
        "device_id": "0",
        "trt_engine_cache_path": str(next(Path(cache).iterdir())),
        **{f"trt_{what}_enable": "True" for what in enabled},
    }
    assert facts["cuda_graph"] is True
    assert facts["nodes"] == {TENSORRT: 2}
    with pytest.raises(RuntimeError, match="'trt_fp16_enable' should be 'True' or 'False'"):
        engine.require_options({"trt_fp16_enable": "1"})


def test_engines_of_two_graphs_never_share_a_folder(tmp_path: Path) -> None:
    cache = {"engine_cache": str(tmp_path / "engines")}
    asked = [
        (graph, precision)
        for graph in ("artifacts/net-0a1b.onnx", "artifacts/net-2c3d.onnx")
        for precision in ("fp32", "fp16")
    ]
    chosen = [
        onnxruntime_tensorrt.TENSORRT.provider_options(graph, {**cache, "precision": precision})
        for graph, precision in asked
    ]
    folders = {options["trt_engine_cache_path"] for options in chosen}
    assert len(folders) == len(asked)
    assert all(Path(folder).is_dir() for folder in folders)
    assert [options.get("trt_fp16_enable") for options in chosen] == [None, "True", None, "True"]
    facts = onnxruntime_tensorrt.TENSORRT.engine_facts(chosen[0])
    assert facts["engine"] == {"cached": False, "engine_bytes": None}
    Path(chosen[0]["trt_engine_cache_path"], "a.engine").write_bytes(b"12345")
    facts = onnxruntime_tensorrt.TENSORRT.engine_facts(chosen[0])
    assert facts["engine"] == {"cached": True, "engine_bytes": 5}
