"""The doubles of TensorRT, cuda-python and pycuda have the names and arguments of the real ones.

pycuda can only be installed where CUDA is: its names are read from its sources, which
``scripts/setup`` fetches.
"""

from __future__ import annotations

import ast
import re
import sys
import tarfile
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


def pycuda_sources() -> dict[str, str]:
    """Sources of the pinned pycuda by their path in it."""
    pinned = re.search(r"^pycuda==(\S+)$", (PROJECT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    name = f"pycuda-{pinned.group(1)}"
    path = Path(sys.prefix) / "share" / "pycuda-sdist" / f"{name}.tar.gz"
    fix = f"{sys.executable} -m pip download --no-deps --no-binary pycuda --no-build-isolation"
    fix += f" --dest {path.parent} {name.replace('-', '==')}"
    assert path.is_file(), f"the sources of pycuda are missing; type: {fix}"
    wanted = ("src/wrapper/wrap_cudadrv.cpp", "pycuda/__init__.py", "pycuda/driver.py")
    with tarfile.open(path) as archive:
        members = {each: archive.extractfile(f"{name}/{each}") for each in wanted}
        return {each: stream.read().decode() for each, stream in members.items() if stream}


def pycuda_names() -> dict[str, list[str]]:
    """Names of pycuda.driver and of the members of its classes (``Event``, ``Event.record``, ...);
    for each the names of its arguments, as far as the wrapper has them."""
    sources = pycuda_sources()
    found: dict[str, list[str]] = {}
    cls = ""
    # A statement ends a class: members of one are one chain of calls.
    for statement in sources["src/wrapper/wrap_cudadrv.cpp"].split(";"):
        cls = ""
        declared = re.search(r"py::class_<.*?>\s*(?:\w+\s*)?\(\s*\"(\w+)\"", statement, re.DOTALL)
        if declared:
            cls = declared.group(1)
            found[cls] = []
        parts = re.split(r"(?=\.def\(|\.DEF_SIMPLE|\.add_property\(|\bpy::def\()", statement)
        for part in parts:
            member = re.match(
                r"(?:py::|\.)def\(\s*\"(\w+)\"|\.add_property\(\s*\"(\w+)\"|"
                r"\.DEF_SIMPLE_METHOD(?:_WITH_ARGS)?\(\s*(\w+)",
                part,
            )
            if member:
                (name,) = filter(None, member.groups())
                owner = "" if part.startswith("py::def") or not cls else f"{cls}."
                text = " ".join(re.findall(r"py::args?\((.*?)\)", part, re.DOTALL))
                found[owner + name] = re.findall(r"\"(\w+)\"", text)
        for simple in re.findall(r"DEF_SIMPLE_FUNCTION\((\w+)\)", statement):
            found[simple] = []
        for exception in re.findall(r"DECLARE_EXC\((\w+),", statement):
            found[exception] = []
    return found


def test_pycuda() -> None:
    sources, names = pycuda_sources(), pycuda_names()
    # pycuda.driver has the wrapper's names as its own.
    assert "from pycuda._driver import *" in sources["pycuda/driver.py"]
    checked = 0
    for double in parsed(DOUBLES / "pycuda_here/pycuda/driver.py").body:
        if not isinstance(double, ast.FunctionDef | ast.ClassDef):
            continue
        assert double.name in names, double.name
        checked += 1
        if isinstance(double, ast.FunctionDef):
            real = names[double.name]
            assert not real or arguments(double) == real[: len(arguments(double))], double.name
            continue
        for node in double.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("__"):
                assert f"{double.name}.{node.name}" in names
                checked += 1
    assert checked > 20


def test_the_agent_uses_what_pycuda_has() -> None:
    names = pycuda_names()
    members = {name.rpartition(".")[2] for name in names if "." in name}
    device = parsed(PROJECT / "bench" / "agent" / "tensorrt" / "cuda_pycuda.py")
    used = [node for node in ast.walk(device) if isinstance(node, ast.Attribute)]
    of_driver = {node.attr for node in used if ast.unparse(node.value) == "driver"}
    assert of_driver >= {"init", "Device", "Stream", "Event", "mem_alloc", "memcpy_htod_async"}
    assert of_driver <= set(names)
    assert [node.attr for node in used if ast.unparse(node.value) == "pycuda"] == ["VERSION_TEXT"]
    assert re.search(r"^VERSION_TEXT = ", pycuda_sources()["pycuda/__init__.py"], re.MULTILINE)
    # What is asked of the driver's objects: all that is neither the driver's nor the agent's own.
    own = {"self", "driver", "pycuda"}
    of_objects = {node.attr for node in used if ast.unparse(node.value) not in own} - {"base"}
    assert of_objects >= {"push", "pop", "detach", "free", "handle", "synchronize", "time_till"}
    assert of_objects <= members


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
