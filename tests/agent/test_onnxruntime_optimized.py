"""ONNX Runtime from a graph that it optimised once on the board: what is stored, when, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from board_folder import LOCK, BoardFolder, make_reference
from onnx import TensorProto, helper, numpy_helper

RUNTIME = "onnxruntime-optimized"
SIZE, RANK = 64, 16


def generating(board: BoardFolder, name: str, *, at_run_time: bool = False) -> dict[str, Any]:
    """A case of a layer whose weight is a product, folded unless its factors are inputs as well."""
    draw = np.random.default_rng(1)
    factors = {
        "c": draw.standard_normal((SIZE, RANK)).astype(np.float32),
        "t": draw.standard_normal((RANK, SIZE)).astype(np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["c", "t"], ["w"], name="generate"),
            helper.make_node("MatMul", ["x", "w"], ["y"], name="layer"),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, SIZE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, SIZE])],
        [numpy_helper.from_array(array, factor) for factor, array in factors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path = board.folder / "artifacts" / f"{name}.onnx"
    onnx.save(model, path)
    reference = make_reference(path, board.folder / "artifacts" / f"{name}.npz")
    if at_run_time:
        for factor, array in factors.items():
            kind = helper.make_tensor_value_info(factor, TensorProto.FLOAT, array.shape)
            model.graph.input.append(kind)
        onnx.save(model, path)
    files = {"graph": path, "reference": reference}
    places = {key: str(file.relative_to(board.folder)) for key, file in files.items()}
    return board.case(name, runtime=RUNTIME, **places)


def solo(records: list[dict[str, Any]]) -> dict[str, Any]:
    assert not [record for record in records if record["kind"] == "failure"], records
    (record,) = [record for record in records if record["kind"] == "solo"]
    return record


def stored(board: BoardFolder) -> list[Path]:
    return sorted((board.folder / "engines").iterdir())


def test_weights_are_generated_once_for_all_jobs(board: BoardFolder) -> None:
    case = generating(board, "load")
    first = solo(board.measure(board.job([case])))
    (folder,) = stored(board)
    graph = onnx.load(folder / "graph.onnx")
    assert [node.op_type for node in graph.graph.node].count("MatMul") == 1
    before = [(path, path.stat().st_mtime_ns) for path in sorted(folder.iterdir())]
    again = solo(board.measure(board.job([case], job_id="again")))
    assert [(path, path.stat().st_mtime_ns) for path in sorted(folder.iterdir())] == before
    assert [record["engine"]["cached"] for record in (first, again)] == [False, True]
    assert first["engine"]["build_s"] == again["engine"]["build_s"] > 0
    assert first["engine"]["engine_bytes"] > SIZE * SIZE * 4
    assert first["parity"]["passed"] and again["parity"]["passed"]


def test_what_must_be_generated_in_every_inference_still_is(board: BoardFolder) -> None:
    record = solo(board.measure(board.job([generating(board, "runtime", at_run_time=True)])))
    assert record["parity"]["passed"]
    (folder,) = stored(board)
    graph = onnx.load(folder / "graph.onnx").graph
    assert [node.op_type for node in graph.node].count("MatMul") == 2
    assert {value.name for value in graph.input} == {"x", "c", "t"}


def test_a_store_that_was_cut_short_is_made_again(board: BoardFolder) -> None:
    case = generating(board, "load")
    board.measure(board.job([case]))
    (folder,) = stored(board)
    part = folder.rename(folder.with_name(folder.name + ".part"))
    (part / "graph.onnx").write_bytes(b"half")
    record = solo(board.measure(board.job([case], job_id="again")))
    assert not record["engine"]["cached"]
    assert record["parity"]["passed"]
    assert stored(board) == [folder]


def test_it_is_cleaned_away_with_its_graph(board: BoardFolder) -> None:
    board.measure(board.job([generating(board, "load")]))
    for job in (board.folder / "jobs").iterdir():
        (job / "collected").touch()
    removed = board.ask("clean", LOCK, "yes")["removable"]
    assert [item["what"] for item in removed].count("engine") == 1
    assert stored(board) == []


def test_a_version_that_cannot_store_says_so(any_board: BoardFolder) -> None:
    """Python 3.6 has ONNX Runtime 1.10."""
    facts = any_board.ask("probe", "/", "{}", LOCK)["runtimes"][RUNTIME]
    records = any_board.measure(any_board.job([any_board.case("a", runtime=RUNTIME)]))
    failures = [record for record in records if record["kind"] == "failure"]
    if facts["version"] == onnxruntime.__version__:
        assert facts["problem"] is None and not failures
    else:
        assert "cannot store an optimised graph, 1.16 and newer can" in facts["problem"]
        assert [record["reason"] for record in failures] == ["unsupported"]
        assert failures[0]["text"] == facts["problem"]
