"""The doubles of TensorRT and cuda-python have the names and arguments of the real ones.

There is no check of the double of pycuda here: that package is only installed where CUDA is.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from board_folder import PROJECT
from tensorrt_board import DOUBLES

BEFORE_10 = {
    ("ICudaEngine", name)
    for name in (
        "num_bindings",
        "get_binding_name",
        "get_binding_shape",
        "get_binding_dtype",
        "binding_is_input",
    )
} | {("IExecutionContext", "execute_async_v2")}
"""What TensorRT 8 had and the stubs, which are of 10, do not."""


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def arguments(function: ast.FunctionDef) -> list[str]:
    return [argument.arg for argument in function.args.args if argument.arg != "self"]


def stubbed(name: str) -> dict[str, list[list[str]]]:
    """Members of a class of the stubs, with the arguments of each overload."""
    import tensorrt_stubs

    path = Path(tensorrt_stubs.__file__).parents[1] / "tensorrt_bindings" / "tensorrt.pyi"
    # Taken out of the file, since other classes have arguments called ``in``, which is no Python.
    found = re.search(rf"^class {name}\b.*?(?=^\S)", path.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, name
    (body,) = ast.parse(found.group().replace(": Weights = None", "")).body
    assert isinstance(body, ast.ClassDef)
    members: dict[str, list[list[str]]] = {}
    for node in body.body:
        if isinstance(node, ast.FunctionDef):
            members.setdefault(node.name, []).append(arguments(node))
        elif isinstance(node, ast.ClassDef):
            members[node.name] = []
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            members[node.target.id] = []
    return members


def test_tensorrt() -> None:
    checked = 0
    for double in parsed(DOUBLES / "tensorrt_here" / "tensorrt.py").body:
        if not isinstance(double, ast.ClassDef) or double.name == "Severity":
            continue
        real = stubbed(double.name)
        for node in double.body:
            if isinstance(node, ast.FunctionDef):
                name, found = node.name, arguments(node)
                if name.startswith("_") or (double.name, name) in BEFORE_10:
                    continue
                wanted = real.get(name)
                assert wanted is not None, (double.name, name)
                assert any(found == each[: len(found)] for each in wanted), (name, wanted)
                checked += 1
            elif isinstance(node, ast.Assign):
                (target,) = node.targets
                assert isinstance(target, ast.Name)
                assert target.id in real or target.id == "OTHER", (double.name, target.id)
    assert checked > 25


def test_cuda_python() -> None:
    from cuda.bindings import runtime

    checked = 0
    for double in parsed(DOUBLES / "cuda_python_here/cuda/bindings/runtime.py").body:
        if isinstance(double, ast.FunctionDef):
            line = str(getattr(runtime, double.name).__doc__).splitlines()[0]
            inside = line[line.index("(") + 1 : line.rindex(")")]
            real = [part.split(":")[0].split()[-1] for part in inside.split(",") if part.strip()]
            assert arguments(double) == real
            checked += 1
        elif isinstance(double, ast.ClassDef) and not double.name.startswith("_"):
            real_class = getattr(runtime, double.name)
            for node in double.body:
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    assert hasattr(real_class, node.targets[0].id), node.targets[0].id
    assert checked > 20


@pytest.mark.parametrize("name", ["cuda_pycuda", "cuda_python"])
def test_both_ways_to_the_gpu_offer_what_is_told_of_them(name: str) -> None:
    package = PROJECT / "bench" / "agent" / "tensorrt"
    (device,) = (
        node
        for node in parsed(package / f"{name}.py").body
        if isinstance(node, ast.ClassDef) and node.name.endswith("Device")
    )
    methods = {node.name for node in device.body if isinstance(node, ast.FunctionDef)}
    told = set(re.findall(r"``([a-z_]+)\(", str(ast.get_docstring(parsed(package / "cuda.py")))))
    graphs = {"begin_capture", "end_capture", "launch", "free_graph"}
    assert graphs < told
    assert methods - {"__init__"} == (told if name == "cuda_python" else told - graphs)
