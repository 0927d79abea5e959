"""`bench train`: what it leaves behind, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import labelled_images
import numpy as np
import pytest
import torch

from bench.cli import main
from bench.store.files import write_atomic
from models import MODELS, Scheme
from models.training.accuracy import accuracy
from models.training.batches import split
from models.training.checkpoint import read_model
from models.training.datasets import open_dataset
from models.training.errors import DataError
from models.training.job import Training
from models.training.loop import train as train_in_process
from models.training.recipe import Recipe

TIMES = ("wall_s", "history")


def _result(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "result.json").read_bytes()))


def test_two_trainings_of_one_seed_are_the_same_and_another_seed_is_not(train: Any) -> None:
    first, second = (train(name, "--scheme", "basis:0.25") for name in ("a", "b"))
    other = train("c", "--scheme", "basis:0.25", "--seed", "1")
    assert (first / "model.pt").read_bytes() == (second / "model.pt").read_bytes()
    assert (first / "model.pt").read_bytes() != (other / "model.pt").read_bytes()
    results = [_result(folder) for folder in (first, second)]
    losses = [[epoch["loss"] for epoch in each["history"]] for each in results]
    assert losses[0] == losses[1]
    for each in results:
        for name in TIMES:
            del each[name]
    assert results[0] == results[1]


def test_the_result_says_what_was_trained_and_what_came_out(train: Any, tiny_data: Path) -> None:
    folder = train("out", "--scheme", "soft:0.150", "--label-smoothing", "0.1")
    found = _result(folder)
    spec = MODELS["shufflenet_v2_x0_5_fashion_mnist"]
    scheme = Scheme.parse("soft:0.15")
    assert (found["model"], found["scheme"]) == (spec.name, "soft:0.15")
    assert found["parameters"] == spec.total(scheme)
    assert found["parameters_dense"] == spec.parameters
    assert found["sizes"] == list(spec.fit(scheme))
    assert (found["train_images"], found["selection_images"], found["test_images"]) == (36, 4, 20)
    assert found["recipe"]["label_smoothing"] == 0.1
    assert found["torch"] == torch.__version__
    assert found["wall_s"] > 0
    assert [epoch["lr"] for epoch in found["history"]] == pytest.approx([0.1, 0.02])
    assert found["selection_top1"] == max(each["selection_top1"] for each in found["history"])
    data = (folder / "model.pt").read_bytes()
    assert found["checkpoint_sha256"] == hashlib.sha256(data).hexdigest()
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "model.pt", "result.json"]

    trained = read_model(folder / "model.pt")
    images = open_dataset(f"fashion-mnist:{tiny_data}")
    again = accuracy(trained.network(), images, images.test, np.arange(20))
    assert (again.top1, again.top5) == (found["test_top1"], found["test_top5"])
    held_out = split(images.train, 36).held_out
    selected = accuracy(trained.network(), images, images.train, held_out)
    assert selected.top1 == found["selection_top1"] == trained.top1


def test_the_images_to_select_on_are_those_of_every_training_and_never_trained_on() -> None:
    class Many:
        labels = np.zeros(60_000, np.int64)

    whole, part = split(Many()), split(Many(), 9_000)  # type: ignore[arg-type]
    assert (len(whole.trained), len(whole.held_out)) == (54_000, 6_000)
    assert (len(part.trained), len(part.held_out)) == (9_000, 1_000)
    assert not set(whole.trained) & set(whole.held_out)
    assert set(part.held_out) <= set(whole.held_out)
    assert not set(part.trained) & set(part.held_out)
    with pytest.raises(DataError, match="the training set has 60000"):
        split(Many(), 59_000)  # type: ignore[arg-type]


def test_from_a_dense_checkpoint_a_scheme_starts_near_it(train: Any) -> None:
    dense = train("dense", "--epochs", "1")
    tuned = train(
        "tuned", "--scheme", "basis:0.15", "--init-from", str(dense / "model.pt"), "--epochs", "1"
    )
    found = _result(tuned)
    assert found["init_from_sha256"] == _result(dense)["checkpoint_sha256"]
    errors = found["init_errors"]
    assert all(0 < error < 1 for error in errors.values())
    _, after = train.said().split("starts from approximated weights: ")
    told = after.splitlines()[0]
    mean, worst = sum(errors.values()) / len(errors), max(errors, key=errors.get)
    assert f"error {100 * mean:.1f} % on average over {len(errors)} layers" in told
    assert f"{100 * errors[worst]:.1f} % at worst ({worst})" in told
    assert "epoch 1 of 1" in after, "before the first epoch"
    pruned = train(
        "pruned",
        "--scheme",
        "prune-l1:0.1",
        "--init-from",
        str(dense / "model.pt"),
        "--epochs",
        "1",
    )
    assert _result(pruned)["parameters"] < 0.9 * _result(dense)["parameters"]
    assert read_model(pruned / "model.pt").network().training is False
    # A state dict alone, as torchvision's, is a dense network's; one's own scheme goes on.
    torch.save(read_model(dense / "model.pt").state_dict, train.folder / "plain.pth")
    train("plain", "--init-from", str(train.folder / "plain.pth"), "--epochs", "1")
    train("on", "--scheme", "basis:0.15", "--init-from", str(tuned / "model.pt"), "--epochs", "1")
    line = train.refused("no", "--scheme", "soft:0.15", "--init-from", str(tuned / "model.pt"))
    assert "is of scheme basis:0.15, not soft:0.15" in line
    other = "shufflenet_v2_x1_0_fashion_mnist"
    line = train.refused("no", "--init-from", str(dense / "model.pt"), model=other)
    assert "is of shufflenet_v2_x0_5_fashion_mnist, not shufflenet_v2_x1_0_fashion_mnist" in line
    line = train.refused("no", "--init-from", str(train.folder / "plain.pth"), model=other)
    assert "of another network" in line
    assert not list((train.folder / "no").glob("*.*t"))


def test_imagenet_folders_train_too(tmp_path: Path) -> None:
    data = open_dataset(f"imagenet:{labelled_images.imagenet(tmp_path / 'images', images=3)}")
    imagenet = MODELS["shufflenet_v2_x0_5"]
    two_classes = replace(imagenet, classes=2, arguments={**imagenet.arguments, "classes": 2})
    job = Training(
        two_classes, Scheme.parse("dense"), data, Recipe(epochs=1, batch=2), train_images=5
    )
    with pytest.raises(DataError, match="5 images to train on and 0 to select on"):
        job.check()
    data = open_dataset(f"imagenet:{labelled_images.imagenet(tmp_path / 'more', images=5)}")
    job = replace(job, data=data, train_images=9)
    assert train_in_process(job, tmp_path / "out", write=write_atomic)["test_images"] == 2
    broken = tmp_path / "more" / "val" / "n00000001" / "0.png"
    broken.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0\.png: is no image that can be read"):
        train_in_process(job, tmp_path / "other", write=write_atomic)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scheme", "basis:0.9"], "cannot be reached"),
        (["--scheme", "bases:0.25"], "did you mean 'basis'"),
        (["--data", "fashion-mnist:nowhere"], "no such folder"),
        (["--train-images", "4000"], "the training set has 40"),
        (["--train-images", "8"], "the training set has 40, and both are needed"),
        (["--batch", "37"], "a batch of 37 takes at least as many images"),
        (["--precision", "16-mixed"], "needs a GPU"),
        (["--init-from", "nowhere.pt"], "no such checkpoint: nowhere.pt"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    train: Any, arguments: list[str], said: str
) -> None:
    assert said in train.refused("out", *arguments)
    assert not list(train.folder.glob("out/*.*t"))


def test_going_on_with_nothing_is_said(train: Any) -> None:
    out = train("new", "--resume", "--epochs", "1")
    said = train.said()
    assert f"{out} has nothing to go on with: begins at the first epoch" in said
    train("other", "--epochs", "1")
    assert "begins at the first epoch" not in train.said()


def test_a_model_for_other_images_is_refused(train: Any) -> None:
    line = train.refused("out", model="shufflenet_v2_x0_5_cifar100")
    assert "is made for images of 3×32×32 in 100 classes, fashion-mnist has 1×28×28 in 10" in line


def test_a_loss_that_is_no_number_ends_the_training(train: Any) -> None:
    assert main(train.arguments("out", "--lr", "1e30")) == 1
    assert "the loss is not a number any more in epoch 1; a lower --lr helps" in train.said()


def test_a_checkpoint_that_would_run_code_is_refused(train: Any) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, (f"touch {train.folder / 'ran'}",)

    torch.save({"state_dict": Evil()}, train.folder / "evil.pt")
    line = train.refused("out", "--init-from", str(train.folder / "evil.pt"))
    assert "refused: it holds more than tensors and plain data" in line
    assert not (train.folder / "ran").exists()
