"""Counting on the board what a network gets right of a labelled set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from board_folder import BoardFolder
from labelled import MEAN, STD, classifier, labelled

from bench.agent import accuracy
from bench.agent.failure import Failure


@pytest.mark.parametrize("batch", [1, 4])
def test_a_labelled_set_is_counted_as_numpy_does(any_board: BoardFolder, batch: int) -> None:
    board = any_board
    weight = classifier(board.folder / "artifacts" / "net.onnx", batch)
    parts, images, labels = labelled(board.folder, (30, 21))
    case = board.case(
        "a", graph="artifacts/net.onnx", reference="artifacts/net.npz", accuracy=parts
    )
    records = board.measure(board.job([case]))
    counted = [record for record in records if record["kind"] == "accuracy"]
    assert [record["part"] for record in counted] == [0, 1]
    assert [record["images"] for record in counted] == [30, 21]
    scores = ((images / 255 - 0.3) / 0.2).reshape(len(images), -1) @ weight
    order = np.argsort(-scores, axis=1)
    top1 = int((order[:, 0] == labels).sum())
    top5 = int((order[:, :5] == labels[:, None]).any(axis=1).sum())
    assert sum(record["top1"] for record in counted) == top1
    assert sum(record["top5"] for record in counted) == top5
    # All that is timed comes first.
    kinds = [record["kind"] for record in records]
    assert kinds.index("accuracy") > max(i for i, kind in enumerate(kinds) if kind == "round")


def test_a_model_that_gives_no_scores_keeps_its_other_numbers(board: BoardFolder) -> None:
    parts, _, _ = labelled(board.folder, (5,))
    # Of another shape than the images.
    records = board.measure(board.job([board.case("a", accuracy=parts), board.case("b")]))
    (told,) = [record for record in records if record["kind"] == "accuracy"]
    assert told["case"] == "a"
    assert told["problem"]
    assert "part" not in told
    assert not [record for record in records if record["kind"] == "failure"]
    assert records[-1]["reason"] == "finished"


def test_a_part_outside_of_the_board_folder_is_refused(board: BoardFolder) -> None:
    outside = {"path": "../outside.npz", "images": 1}
    answer = board.start(board.job([board.case("a", accuracy=[outside])]))
    assert "outside of" in answer["refused"]["text"]


def test_ties_go_to_the_lower_class_and_no_number_is_wrong() -> None:
    scores = np.float32([[1, 1, 0], [1, 1, 0], [np.nan, 2, 0], [0, np.inf, 1]])
    labels = np.array([0, 1, 1, 2])
    assert accuracy.ranks_of(scores, labels).tolist() == [0, 1, 3, 3]


def test_fewer_scores_than_classes_are_no_accuracy(tmp_path: Path) -> None:
    part = tmp_path / "part.npz"
    images = np.zeros((2, 1, 1, 1), np.uint8)
    np.savez(part, images=images, labels=np.array([0, 7]), mean=MEAN, std=STD)
    with pytest.raises(Failure) as failed:
        accuracy.count(str(part), lambda x: np.zeros((len(x), 5), np.float32), 2)
    assert "classes up to 7" in failed.value.text
