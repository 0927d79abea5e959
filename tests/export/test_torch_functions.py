"""``module:function``: a user's own torch network becomes an artifact, or one clear line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from bench.errors import ConfigError, ExportError, UnsupportedCase
from bench.export.functions import checked_spelling, refuse_other_files
from bench.export.inputs import NOTHING_SAID, InputValues
from bench.export.own_artifact import export_function
from bench.export.own_torch import load_network
from bench.export.target import Rounding
from bench.records.recordings import Artifact, GraphLimits

LIMITS = GraphLimits(opset=17, ir_version=8)
SOURCE = """
import torch
from torch import nn


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(100, 16)
        self.convolution = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.last = nn.Linear(20, 5)

    def forward(self, ids, image):
        words = self.embedding(ids).mean(1)
        seen = self.norm(self.convolution(image)).mean((2, 3))
        return self.last(torch.cat([words, seen], 1))


def two():
    return Two(), (torch.full((1, 7), 3), torch.randn(1, 3, 8, 8))


def bare():
    return plain()


def plain():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())


def same_as_plain():
    return plain()


def shared():
    from models.sharing import share

    network = nn.Sequential(*(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()) for _ in range(4)))
    share(network, "soft:1")
    return network


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.line = nn.Linear(4, 4)

    def forward(self, x):
        return {"twice": self.line(x) * 2, "best": self.line(x).argmax(-1)} if len(x) > 1 else x


def branching():
    return Branching(), torch.randn(2, 4)


def number():
    return 3


def strange():
    return plain(), {"x": 1}


def fails():
    raise RuntimeError("no weights\\nhere")


def text():
    return nn.Identity(), ("words",)


constant = 3
net = plain()


def with_arguments(width, depth=1):
    return plain()


def talking():
    print("hello")
    return InPlace(), torch.randn(2, 4)


class InPlace(nn.Module):
    def forward(self, x):
        print("hello again")
        return x.mul_(2).add_(1)


def in_place():
    return InPlace(), torch.full((2, 4), 3.0)


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used = nn.Linear(4, 4)
        self.unused = nn.Linear(100, 100)

    def forward(self, x):
        return self.used(x)


def unused():
    return Unused(), torch.zeros(1, 4)


def used():
    return Unused().used, torch.zeros(1, 4)


def half():
    return nn.Identity(), torch.zeros(1, 4).bfloat16()


class Half(nn.Module):
    def forward(self, x):
        return x.bfloat16()


def half_out():
    return Half(), torch.zeros(1, 4)


class Deciding(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def deciding():
    return Deciding(), torch.ones(1, 4)


class Dividing(nn.Module):
    def forward(self, x):
        return x / x


def dividing():
    return Dividing(), torch.zeros(1, 4)


class Solving(nn.Module):
    def forward(self, x):
        return torch.linalg.eigh(x)[0]


def solving():
    return Solving(), torch.eye(4)
"""
DECIDES = SOURCE[: SOURCE.index("return x if x.sum")].count("\n") + 1
"""The line of it that does what no graph can."""


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder, with a module in it and a package."""
    path = tmp_path_factory.mktemp("mine")
    (path / "minenets.py").write_text(SOURCE)
    (path / "minepack").mkdir()
    (path / "minepack" / "inner.py").write_text("from minenets import plain\n")
    (path / "minebroken.py").write_text("import package_that_is_not_there\n")
    (path / "mineexit.py").write_text("raise SystemExit('bye')\n")
    (path / "mineslip.py").write_text("def net(:\n")
    (path / "minedeep.py").write_text("import json\n\njson.loads('{')\n")
    (path / "weights.pt").write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        patch.setattr(sys, "path", list(sys.path))
        yield path


def export(text: str, cache: Path, batch: int | None = None, **changes: Any) -> Artifact:
    arguments: dict[str, Any] = {"shapes": {}, "values": NOTHING_SAID, "limits": LIMITS, **changes}
    return export_function(text, batch, cache=cache, **arguments)


def reference(artifact: Artifact) -> dict[str, np.ndarray[Any, Any]]:
    with np.load(artifact.reference) as arrays:
        names = json.loads(str(arrays["names"]))
        inputs = {name: arrays[f"in{i}"] for i, name in enumerate(names["inputs"])}
        return inputs | {name: arrays[f"out{i}"] for i, name in enumerate(names["outputs"])}


def test_several_inputs_with_examples_and_the_outputs_of_torch(tmp_path: Path) -> None:
    artifact = export("minenets:two", tmp_path)
    own = load_network("minenets:two").network
    arrays = reference(artifact)
    assert set(arrays) == {"ids", "image", "output"}
    assert (arrays["ids"] == 3).all()
    with torch.no_grad():
        expected = own(torch.from_numpy(arrays["ids"]), torch.from_numpy(arrays["image"]))
    np.testing.assert_array_equal(arrays["output"], expected.numpy())
    session = onnxruntime.InferenceSession(str(artifact.graph))
    (found,) = session.run(None, {"ids": arrays["ids"], "image": arrays["image"]})
    np.testing.assert_allclose(found, arrays["output"], atol=1e-5)
    assert artifact.facts.parameters == sum(each.numel() for each in own.parameters())
    assert artifact.weights is not None
    operators = {node.op_type for node in onnx.load(artifact.graph).graph.node}
    assert "BatchNormalization" not in operators, "folded, as in the built-in networks"


def test_it_is_cached_by_what_it_is_and_not_by_its_name(tmp_path: Path) -> None:
    shape = {"shapes": {"input": (1, 3, 9, 9)}}
    first = export("minenets:plain", tmp_path, **shape)
    second = export("minenets:same_as_plain", tmp_path, **shape)
    assert (first.fresh, second.fresh) == (True, False)
    assert second.graph == first.graph
    assert export("minepack.inner:plain", tmp_path, **shape).graph == first.graph
    other = export("minenets:plain", tmp_path, values=InputValues({"input": (0, 1)}), **shape)
    assert other.fresh
    assert (reference(other)["input"] >= 0).all()


def test_a_network_that_shares_is_told_from_a_dense_one(tmp_path: Path) -> None:
    shapes = {"input": (1, 3, 8, 8)}
    for _ in ("exported", "from the cache"):
        assert export("minenets:shared", tmp_path, shapes=shapes).facts.shares
        assert not export("minenets:plain", tmp_path, shapes=shapes).facts.shares


def test_batches_repeat_the_examples(tmp_path: Path) -> None:
    artifact = export("minenets:two", tmp_path, batch=3)
    arrays = reference(artifact)
    assert artifact.batch == 3
    assert arrays["image"].shape == (3, 3, 8, 8)
    np.testing.assert_array_equal(arrays["image"][2], arrays["image"][0])
    assert export("minenets:two", tmp_path).facts.macs == artifact.facts.macs, "per input"


def test_a_sample_takes_the_place_of_an_example(tmp_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.arange(5).reshape(1, 5))
    values = InputValues(samples={"ids": tmp_path / "ids.npy"})
    arrays = reference(export("minenets:two", tmp_path, values=values))
    np.testing.assert_array_equal(arrays["ids"], [[0, 1, 2, 3, 4]])


def test_a_network_whose_code_branches_gives_several_outputs(tmp_path: Path) -> None:
    arrays = reference(export("minenets:branching", tmp_path))
    assert set(arrays) == {"x", "output0", "output1"}
    assert arrays["output1"].dtype == np.int64


def test_an_old_board_gets_an_old_opset(tmp_path: Path) -> None:
    limits = GraphLimits(opset=13, ir_version=7, engine="tensorrt", computed_weights=False)
    facts = export("minenets:two", tmp_path, limits=limits).facts
    assert (facts.opset, facts.ir_version) == (13, 7)


def test_rounding_by_the_graph_itself(tmp_path: Path) -> None:
    limits = GraphLimits(17, 8, "tensorrt", strong_types=True)
    shape = {"shapes": {"input": (1, 3, 9, 9)}, "limits": limits}
    artifact = export("minenets:plain", tmp_path, rounding=Rounding("fp16"), **shape)
    kinds = {node.op_type for node in onnx.load(artifact.graph).graph.node}
    assert "Cast" in kinds
    with pytest.raises(UnsupportedCase, match="int8 is calibrated on one input, it has 2"):
        export("minenets:two", tmp_path, rounding=Rounding("int8", tmp_path), limits=limits)


@pytest.mark.parametrize(
    ("text", "shapes", "values", "expected"),
    [
        ("minenets:number", {}, {}, "it returned int; it must return a torch nn.Module, or"),
        ("minenets:strange", {}, {}, "its example inputs are dict; give a tensor, or a tuple of"),
        ("minenets:text", {}, {}, "its example inputs are a tuple of str"),
        ("minenets:fails", {}, {}, "fails() failed: RuntimeError: no weights (minenets.py, line"),
        ("minenets:plane", {}, {}, "minenets has no function 'plane'; did you mean 'plain'"),
        ("minenets:constant", {}, {}, "constant is no function but int"),
        (
            "nowhere.at_all:net",
            {},
            {},
            "cannot import nowhere.at_all: ModuleNotFoundError: No module named 'nowhere'; it must "
            "lie in the current folder or be installed",
        ),
        (
            "minebroken:net",
            {},
            {},
            "'package_that_is_not_there' (minebroken.py, line 1); install it for",
        ),
        (
            "mineslip:net",
            {},
            {},
            "import mineslip: SyntaxError: invalid syntax (mineslip.py, line 1)",
        ),
        ("minedeep:net", {}, {}, "line 1 column 2 (char 1) (minedeep.py, line 3)"),
        (
            "minenets:net",
            {},
            {},
            "net is no function but Sequential; name one that returns the net",
        ),
        (
            "minenets:with_arguments",
            {},
            {},
            "with_arguments() is called without arguments and needs width; give them defaults, or",
        ),
        (
            "minenets:half",
            {},
            {},
            "an example input is of type bfloat16; only dense tensors of floa",
        ),
        (
            "minenets:half_out",
            {},
            {},
            "an output is of type bfloat16; only dense tensors of floats",
        ),
        (
            "minenets:deciding",
            {},
            {},
            f"(minenets.py, line {DECIDES}); write that part in another way, or export the network "
            "yourself and give the .onnx file",
        ),
        (
            "minenets:solving",
            {},
            {},
            "DispatchError: No ONNX function found for <OpOverload(op='at",
        ),
        ("mineexit:net", {}, {}, "cannot import mineexit: SystemExit: bye"),
        ("models.mine:net", {}, {}, "the name 'models' is taken by bench, give yours another"),
        ("minenets:plain", {}, {}, "nothing says the shape of input 'input'; give it with --shape"),
        ("minenets:two", {"x": (1, 2)}, {}, "has no input 'x' (named in --shape); its inputs: ids"),
        ("minenets:two", {}, {"ids": (0, 200)}, "cannot be run with ids int64 (1, 7), image"),
        (
            "minenets:two",
            {},
            {"ids": (0, 200)},
            "; --range ids=0:200 holds more than the model takes; use smaller numbers",
        ),
        (
            "minenets:bare",
            {"input": (1, 4, 9, 9)},
            {},
            "4 channels instead (without example inputs they",
        ),
        ("minenets:two", {"ids": (1, 9)}, {}, "input 'ids' takes whole numbers (int64), and"),
    ],
)
def test_what_cannot_be_used_gets_one_line(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    text: str,
    shapes: dict[str, tuple[int, ...]],
    values: dict[str, tuple[float, float]],
    expected: str,
) -> None:
    with pytest.raises(ConfigError) as caught:
        export(text, tmp_path, shapes=shapes, values=InputValues(values))
    assert expected in str(caught.value)
    assert str(caught.value).isprintable(), "one line, without escapes"
    assert len(str(caught.value)) < 500
    assert caught.value.detail == ""
    assert capfd.readouterr() == ("", "")


def test_what_the_code_prints_does_not_get_into_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_network.cache_clear()
    export("minenets:talking", tmp_path)
    said = capsys.readouterr()
    assert said.out == ""
    assert set(said.err.splitlines()) == {"hello", "hello again"}


def test_a_network_that_works_in_place_leaves_its_inputs_as_they_are_fed(tmp_path: Path) -> None:
    arrays = reference(export("minenets:in_place", tmp_path))
    assert (arrays["x"] == 3).all()
    assert (arrays["output"] == 7).all()


def test_parameters_without_a_part_in_the_graph_are_counted_all_the_same(tmp_path: Path) -> None:
    counts = [export(f"minenets:{name}", tmp_path).facts.parameters for name in ("unused", "used")]
    assert counts == [20 + 10_100, 20]


def test_outputs_that_are_no_numbers_say_so_and_what_helps(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"is not finite in torch already.*--range, --in"):
        export("minenets:dividing", tmp_path)
    export("minenets:dividing", tmp_path, values=InputValues({"x": (1, 2)}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("minenets.py", "name the function in it that returns the network, as minenets:FUNCTION"),
        ("minepack/inner.py", "as minepack.inner:FUNCTION"),
        ("../other.py", "as other:FUNCTION"),
        ("minepack", "a folder; give an ONNX file, or package.module:function"),
        ("weights.pt", "no ONNX file (FILE.onnx); give an ONNX file, or package.module:function"),
        ("gone/nets", "no ONNX file"),
        ("gone.engine", "no ONNX file"),
    ],
)
def test_files_that_are_no_models_say_what_can_be_given(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        refuse_other_files(text)
    assert str(caught.value).startswith(f"--model {text}: ")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("minenets.py:two", "here minenets:two"),
        ("./minepack/inner.py:plain", "here minepack.inner:plain"),
        ("minepack/inner:plain", "here minepack.inner:plain"),
    ],
)
def test_a_file_and_its_function_are_spelt_for_the_user(text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        checked_spelling(text)


@pytest.mark.parametrize("text", ["a:", ":b", "a b:c", "a..b:c", "1a:b", "a:b.c", "a:b:c", "a/b:c"])
def test_spellings_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write it as package\.module:function"):
        checked_spelling(text)


def test_torchs_random_state_is_left_alone(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    load_network.cache_clear()
    first = load_network("minenets:plain").network[0].weight  # type: ignore[index]
    load_network.cache_clear()
    second = load_network("minenets:plain").network[0].weight  # type: ignore[index]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first, second)
