"""What an engine cannot do of what is asked: one line each, before any board is contacted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_folder import tiny_model
from onnx import TensorProto, helper, save

from bench.board_runtimes import require_any, runtime_problem
from bench.errors import AgentError, ConfigError
from bench.plan.file import load_plan
from bench.plan.plan import expand, make_plan, refusal

SMALL = "shufflenet_v2_x0_5_cifar100"


def quantised_model(path: Path) -> Path:
    """A graph that rounds its input to 8 bits and back."""
    scale = helper.make_tensor("s", TensorProto.FLOAT, [], [0.1])
    zero = helper.make_tensor("z", TensorProto.INT8, [], [0])
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
        ],
        "rounded",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])],
        [scale, zero],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), path)
    return path


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"runtimes": ("onnxruntime-cuda",), "precisions": ("fp16",)}, "use fp32, int8"),
        ({"runtimes": ("onnxruntime-cuda",), "precisions": ("int8",)}, "takes a quantised ONNX"),
        ({"runtimes": ("onnxruntime-tensorrt",), "precisions": ("int8",)}, "runtime tensorrt with"),
        ({"runtimes": ("tensorrt",), "precisions": ("int8",)}, "--calibration FOLDER"),
        ({"cuda_graph": True}, "'onnxruntime' has no CUDA graph; leave out --cuda-graph"),
        ({"runtimes": ("onnxruntime-cuda",), "layer_profile": True}, "or use tensorrt"),
        ({"runtimes": ("tensorrt-rtx",)}, "did you mean 'tensorrt'"),
        ({"calibration": Path("nowhere")}, "--calibration nowhere: no such file or folder"),
    ],
)
def test_what_an_engine_cannot_do_is_one_line_with_the_fix(
    given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        make_plan(models=(SMALL,), **given)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_quantised_file_needs_no_calibration(tmp_path: Path) -> None:
    runtimes = ("onnxruntime-cuda", "onnxruntime-tensorrt", "tensorrt")
    quantised = str(quantised_model(tmp_path / "rounded.onnx"))
    plan = make_plan(models=(quantised,), runtimes=runtimes, precisions=("int8",))
    assert len(expand(plan, "board", threads=1)) == 3
    plain = str(tiny_model(tmp_path / "tiny.onnx"))
    plan = make_plan(models=(plain,), runtimes=runtimes, precisions=("int8",), skips=True)
    reasons = [refusal(plan, case) for case in expand(plan, "board", threads=1)]
    assert ["quantised ONNX file" in str(reason) for reason in reasons] == [True] * 3


def test_a_plan_file_gives_the_same_options(tmp_path: Path) -> None:
    np.save(tmp_path / "inputs.npy", np.zeros((2, 3, 32, 32), np.float32))
    path = tmp_path / "plan.yaml"
    path.write_text(
        f"models: {SMALL}\nschemes: dense\nruntimes: tensorrt\nprecisions: [fp32, int8]\n"
        "cuda_graph: true\nlayer_profile: true\ncalibration: inputs.npy\n"
    )
    plan = make_plan(**load_plan(path).arguments())
    assert (plan.engine.cuda_graph, plan.engine.layer_profile) == (True, True)
    assert plan.engine.calibration == tmp_path / "inputs.npy"


GOOD = {"version": "1.32.0", "problem": None}


def probe(**runtimes: Any) -> dict[str, Any]:
    return {"python": {"executable": "/opt/my python"}, "numpy": GOOD, "runtimes": runtimes}


def test_a_missing_runtime_is_named_with_what_to_install() -> None:
    said = runtime_problem("tensorrt", probe(tensorrt=None), "orin")
    assert said is not None
    assert "python3-libnvinfer" in said and "pycuda" in said
    assert "'/opt/my python' -m pip install" in said
    lacking = {"version": "1.32.0", "problem": "no CUDAExecutionProvider: install onnxruntime-gpu"}
    said = runtime_problem("onnxruntime-cuda", probe(**{"onnxruntime-cuda": lacking}), "orin")
    assert said is not None
    assert said.endswith("install onnxruntime-gpu")


def test_one_runtime_of_several_is_enough() -> None:
    require_any(["onnxruntime", "tensorrt"], probe(onnxruntime=GOOD), "orin")
    with pytest.raises(AgentError, match="has no tensorrt"):
        require_any(["tensorrt"], probe(onnxruntime=GOOD), "orin")
    without_numpy = {**probe(onnxruntime=GOOD), "numpy": None}
    with pytest.raises(AgentError, match="has no numpy"):
        require_any(["onnxruntime"], without_numpy, "orin")
