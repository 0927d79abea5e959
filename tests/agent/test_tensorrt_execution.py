"""How an engine is run, and how it is found again: with doubles of the GPU and of the engine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from gpu_doubles import BindingEngine, Gpu, NamedContext, NamedEngine, pycuda_double
from onnx import TensorProto, helper

from bench.agent.failure import Failure
from bench.agent.tensorrt import build, cuda, session
from bench.agent.tensorrt.execution import Execution
from bench.agent.tensorrt.library import LOG, trt

SIZE, RANK = 32, 8
GENERATED = np.random.default_rng(3)
C = GENERATED.standard_normal((SIZE, RANK)).astype(np.float32)
T = GENERATED.standard_normal((RANK, SIZE)).astype(np.float32)
API = [NamedEngine, BindingEngine]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    found = Gpu()
    for name, module in pycuda_double(found).items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "bench.agent.tensorrt.cuda_pycuda", raising=False)
    return found


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A layer whose weight is generated from two bound inputs, and a second output."""
    nodes = [
        helper.make_node("MatMul", ["c", "t"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("Relu", ["y"], ["z"]),
    ]
    sizes = {"x": [1, SIZE], "c": [SIZE, RANK], "t": [RANK, SIZE], "y": [1, SIZE], "z": [1, SIZE]}
    values = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in sizes.items()}
    inputs, outputs = [[values[name] for name in names] for names in ("xct", "yz")]
    model = helper.make_model(
        helper.make_graph(nodes, "g", inputs, outputs),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    path = tmp_path / "g.onnx"
    onnx.save(model, path)
    return path


def x(seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((1, SIZE)).astype(np.float32)


def execution(gpu: Gpu, graph: Path, api: Any = NamedEngine, **bound: Any) -> Execution:
    engine = api(gpu, str(graph), trt)
    return Execution(cuda.open_device(), engine, bound or {"c": C, "t": T})


@pytest.mark.parametrize("api", API)
def test_outputs_are_those_of_the_graph(gpu: Gpu, graph: Path, api: Any) -> None:
    run = execution(gpu, graph, api)
    reference = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    for seed in range(3):
        y, z = run(["y", "z"], {"x": x(seed)})
        expected = reference.run(["y", "z"], {"x": x(seed), "c": C, "t": T})
        np.testing.assert_array_equal(y, expected[0])
        np.testing.assert_array_equal(z, expected[1])
    assert run(["z"], {"x": x(2)})[0].tobytes() == z.tobytes()


def test_what_was_returned_stays_when_the_next_inference_runs(gpu: Gpu, graph: Path) -> None:
    run = execution(gpu, graph)
    (first,) = run(["y"], {"x": x(0)})
    kept = first.copy()
    run(["y"], {"x": x(1)})
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("api", API)
def test_bound_inputs_are_copied_once_and_all_else_in_order(
    gpu: Gpu, graph: Path, api: Any
) -> None:
    run = execution(gpu, graph, api)
    assert gpu.calls == ["upload", "upload"]
    run(["y", "z"], {"x": x()})
    assert gpu.calls[2:] == [
        "record",
        "copy in",
        "record",
        "compute",
        "record",
        "copy out",
        "copy out",
        "record",
        "synchronize",
    ]


def test_copies_and_computation_are_told_apart_by_events(gpu: Gpu, graph: Path) -> None:
    run = execution(gpu, graph)
    for _ in range(3):
        run(["y", "z"], {"x": x()})
    # In the double each queued piece of work takes a millisecond: one copy in, two copies out.
    assert run.take_split() == {"copy_ns": [3_000_000] * 3, "compute_ns": [1_000_000] * 3}
    assert run.take_split() == {"copy_ns": [], "compute_ns": []}


@pytest.mark.parametrize("api", API)
def test_everything_is_given_back_once(gpu: Gpu, graph: Path, api: Any) -> None:
    run = execution(gpu, graph, api)
    assert sorted(map(len, gpu.memory.values())) == sorted(
        4 * size for size in (SIZE, SIZE * RANK, RANK * SIZE, SIZE, SIZE)
    )
    assert len(gpu.pinned) == 3  # the fed input and both outputs
    run.close()
    run.close()
    assert gpu.memory == {}
    assert all(each.freed for each in gpu.pinned)


def test_what_does_not_fit_is_told_and_leaves_no_memory(gpu: Gpu, graph: Path) -> None:
    for bound, text in (
        ({"c": C, "t": T.T}, "bound input t has shape (32, 8), the engine wants (8, 32)"),
        ({"c": C, "u": T}, "the engine has no input u to bind"),
    ):
        with pytest.raises(Failure) as raised:
            execution(gpu, graph, **bound)
        assert raised.value.text == text
        assert gpu.memory == {}
    run = execution(gpu, graph)
    for feed, text in (
        ({}, "input x is neither fed nor bound"),
        ({"x": x().T}, "input x has shape (32, 1), the engine wants (1, 32)"),
    ):
        with pytest.raises(Failure) as raised:
            run(["y"], feed)
        assert raised.value.text == text


@pytest.mark.parametrize("api", API)
def test_an_engine_that_cannot_run_says_so_in_tensorrts_words(
    gpu: Gpu, graph: Path, api: Any
) -> None:
    engine = api(gpu, str(graph), trt)
    run = Execution(cuda.open_device(), engine, {"c": C, "t": T})
    engine.refuses = True
    LOG.clear()
    LOG.log(trt.ILogger.Severity.ERROR, "illegal memory access")
    with pytest.raises(Failure) as raised:
        run(["y"], {"x": x()})
    assert raised.value.text == "TensorRT could not run the engine: illegal memory access"


def test_without_pycuda_and_cuda_python_the_fix_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pycuda", "cuda"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("cuda_pycuda", "cuda_python"):
        monkeypatch.delitem(sys.modules, f"bench.agent.tensorrt.{name}", raising=False)
    with pytest.raises(Failure, match="python3 -m pip install pycuda, or cuda-python"):
        cuda.open_device()


def test_the_double_of_an_engine_has_no_name_of_its_own() -> None:
    """Against the real module; the names before 8.5 are in no package that can be had here."""
    for double, real in ((NamedEngine, trt.ICudaEngine), (NamedContext, trt.IExecutionContext)):
        names = {name for name in vars(double) if not name.startswith("_")}
        assert names and not [name for name in names if not hasattr(real, name)]


class Engines:
    """A session over NVIDIA's real builder, whose plans a double turns into engines."""

    def __init__(self, gpu: Gpu, graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refused = 0
        self.built = 0
        options, really = build.builder_options, build.build

        def for_another_gpu(*arguments: Any) -> dict[str, Any]:
            return {**options(*arguments), "capability": "SM86"}

        def counted(*arguments: Any) -> Any:
            self.built += 1
            return really(*arguments)

        def deserialize(plan: bytes) -> Any:
            if self.refused:
                self.refused -= 1
                LOG.log(trt.ILogger.Severity.ERROR, "engine plan of another version")
                return None
            return NamedEngine(gpu, str(graph), trt)

        monkeypatch.setattr(build, "builder_options", for_another_gpu)
        monkeypatch.setattr(build, "build", counted)
        runtime = SimpleNamespace(deserialize_cuda_engine=deserialize)
        library = SimpleNamespace(
            Runtime=lambda log: runtime, __name__=trt.__name__, __version__=trt.__version__
        )
        monkeypatch.setattr(session, "trt", library)


@pytest.fixture
def engines(gpu: Gpu, graph: Path, monkeypatch: pytest.MonkeyPatch) -> Engines:
    return Engines(gpu, graph, monkeypatch)


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """Options of a case whose coefficients and templates are bound from a weights file."""
    (tmp_path / "w.weights").write_bytes(C.tobytes() + T.tobytes())
    places = {"c": (0, C), "t": (C.nbytes, T)}
    inputs = {
        name: {
            "file": "w.weights",
            "offset": offset,
            "bytes": array.nbytes,
            "shape": array.shape,
            "dtype": "float32",
        }
        for name, (offset, array) in places.items()
    }
    (tmp_path / "bound.json").write_text(json.dumps({"inputs": inputs}))
    return {
        "precision": "fp32",
        "bound": str(tmp_path / "bound.json"),
        "engine_cache": str(tmp_path / "engines"),
    }


def test_an_engine_is_built_once_and_found_again(
    engines: Engines, graph: Path, options: dict[str, Any], gpu: Gpu
) -> None:
    opened = [session.Session().open(str(graph), options) for _ in range(2)]
    assert engines.built == 1
    facts = [found["engine"] for _, found in opened]
    assert [each["cached"] for each in facts] == [False, True]
    assert facts[0]["build_s"] == facts[1]["build_s"] > 0
    assert facts[0]["device"] == "no GPU at all" and facts[0]["compute_capability"] == "8.6"
    assert facts[0]["engine_bytes"] > 1000
    assert opened[0][1]["gpu_memory_bytes"] == 4 * (3 * SIZE + 2 * SIZE * RANK)
    (y,) = opened[1][0](["y"], {"x": x()})
    np.testing.assert_allclose(y, x() @ (C @ T), rtol=1e-4, atol=1e-4)


def test_a_cached_engine_that_is_refused_is_built_again(
    engines: Engines, graph: Path, options: dict[str, Any]
) -> None:
    session.Session().open(str(graph), options)
    engines.refused = 1
    _, facts = session.Session().open(str(graph), options)
    assert engines.built == 2
    assert not facts["engine"]["cached"]
    assert any("engine plan of another version" in line for line in facts["engine"]["log"])


def test_a_damaged_engine_is_built_again(
    engines: Engines, graph: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    session.Session().open(str(graph), options)
    (plan,) = (tmp_path / "engines").glob("*.engine")
    plan.write_bytes(plan.read_bytes()[:-1])
    _, facts = session.Session().open(str(graph), options)
    assert engines.built == 2
    assert any("bytes" in line for line in facts["engine"]["log"])


def test_a_fresh_engine_that_is_refused_ends_the_case(
    engines: Engines, graph: Path, options: dict[str, Any]
) -> None:
    engines.refused = 1
    with pytest.raises(Failure) as raised:
        session.Session().open(str(graph), options)
    assert raised.value.reason == "load"
    assert "engine plan of another version" in raised.value.text


def test_a_cuda_graph_needs_cuda_python(
    engines: Engines, graph: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(Failure, match="CUDA graphs need cuda-python"):
        session.Session().open(str(graph), {**options, "cuda_graph": True})


def test_int8_without_calibration_or_quantized_graph_says_what_it_takes(
    engines: Engines, graph: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(Failure) as raised:
        session.Session().open(str(graph), {**options, "precision": "int8"})
    assert raised.value.reason == "unsupported"
    assert "Q/DQ nodes" in raised.value.text
