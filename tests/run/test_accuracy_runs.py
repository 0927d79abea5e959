"""`bench run --accuracy` and `--trained`: the artifact that is deployed, counted on the board."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from labelled import classifier

from bench.analysis.accuracy import training_mismatch
from bench.cli import main
from bench.records.artifact import AccuracyStats, LabelledFacts, TrainingFacts
from bench.store.reader import Run, open_run
from models import MODELS, Scheme
from models.training.checkpoint import TrainedModel, packed_model

IMAGES = 60
QUICK = ["--rounds", "3", "--window", "0.1", "--json", "--results", "results"]
MODEL = "shufflenet_v2_x0_5_fashion_mnist"


def idx(path: Path, array: np.ndarray) -> None:
    """Write an array as Fashion-MNIST is distributed."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """A folder laid out as Fashion-MNIST, with a few random images."""
    draw, folder = np.random.default_rng(5), tmp_path / "fashion"
    folder.mkdir()
    for part in ("train", "t10k"):
        idx(folder / f"{part}-images-idx3-ubyte.gz", draw.integers(0, 256, (IMAGES, 28, 28)))
        idx(folder / f"{part}-labels-idx1-ubyte.gz", draw.integers(0, 10, IMAGES))
    return folder


def checkpoint(folder: Path, scheme: str, seed: int, change: float, **result: object) -> None:
    """What `bench train` leaves, with weights that differ from those of the table.

    ``result``: more of its result.
    """
    network = MODELS[MODEL].build(Scheme.parse(scheme))
    state = {name: value.clone() for name, value in network.state_dict().items()}
    state["fc.bias"] += change * torch.arange(10)
    folder.mkdir(parents=True)
    fields = {"mean": (0.3,), "std": (0.35,), "seed": seed, "epoch": 1, "top1": 0.5}
    trained = TrainedModel(
        model=MODEL, scheme=scheme, data="fashion-mnist", state_dict=state, **fields
    )
    (folder / "model.pt").write_bytes(packed_model(trained))
    result |= {"model": MODEL, "scheme": scheme, "seed": seed, "checkpoint": "model.pt"}
    (folder / "result.json").write_text(json.dumps(result))


def measured(tmp_path: Path) -> Run:
    (path,) = (tmp_path / "results").glob("2*")
    return open_run(path, path.parent)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    devices = {"local": {"transport": "local", "work_dir": str(tmp_path / "board"), "lock": "lock"}}
    Path("devices.yaml").write_text(json.dumps({"devices": devices}))


def test_trained_networks_are_deployed_and_counted(tmp_path: Path, fashion: Path) -> None:
    checkpoint(tmp_path / "trained" / "dense", "dense", 0, 0.3)
    checkpoint(tmp_path / "trained" / "dense-1", "dense", 1, 0.0)
    checkpoint(tmp_path / "trained" / "basis", "basis:0.15", 0, 0.3)
    arguments = ["run", "--model", MODEL, "--scheme", "dense,basis:0.15", "--weights", "load"]
    arguments += ["--trained", "trained", "--accuracy", f"fashion-mnist:{fashion}", *QUICK]
    assert main(arguments) == 0
    run = measured(tmp_path)
    raw = gzip.decompress((fashion / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    images = np.frombuffer(raw, np.uint8).reshape(-1, 1, 28, 28)
    raw = gzip.decompress((fashion / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    labels = torch.from_numpy(np.frombuffer(raw, np.uint8).astype(np.int64))
    from models.training.checkpoint import read_model
    from models.training.datasets import open_dataset

    data = open_dataset(f"fashion-mnist:{fashion}")
    x = (torch.from_numpy(images.astype(np.float32)) / 255 - data.mean[0]) / data.std[0]
    for trial, name in zip(run.trials, ("dense", "basis"), strict=True):
        with torch.no_grad():
            scores = read_model(tmp_path / "trained" / name / "model.pt").network()(x)
        right = scores.topk(5).indices == labels[:, None]
        assert trial.accuracy is not None
        expected = right[:, 0].float().mean().item()
        assert trial.accuracy.top1 == pytest.approx(expected, abs=1.01 / IMAGES)
        expected = right.any(1).float().mean().item()
        assert trial.accuracy.top5 == pytest.approx(expected, abs=1.01 / IMAGES)
        assert trial.accuracy.dataset.images == IMAGES
        assert trial.accuracy.top1_low <= trial.accuracy.top1 <= trial.accuracy.top1_high
    page = (run.path / "report.html").read_text()
    assert "top-1" in page
    assert "top-5 on the board" in page


def test_the_training_is_shown_beside_what_its_weights_reach_on_the_board(
    tmp_path: Path, fashion: Path
) -> None:
    told = {"data": "fashion-mnist", "epochs": 3, "test_images": IMAGES, "test_top1": 0.87}
    checkpoint(tmp_path / "trained" / "dense", "dense", 4, 0.3, **told)
    arguments = ["run", "--model", MODEL, "--scheme", "dense", "--trained", "trained"]
    assert main([*arguments, "--accuracy", f"fashion-mnist:{fashion}", *QUICK]) == 0
    run = measured(tmp_path)
    (trial,) = run.trials
    assert trial.artifact is not None and trial.artifact.training is not None
    assert trial.artifact.training.model_dump() == {**told, "seed": 4}
    page = (run.path / "report.html").read_text()
    assert "seed 4, 3 epochs, 87.00 % top-1 of 60 test images" in page
    # Drawn at random, the labels cannot be met so often.
    assert "accuracy inconclusive (not the training" in page


@pytest.mark.parametrize(
    ("top1", "training", "differs"),
    [
        (0.900, {"test_top1": 0.9049}, False),
        (0.900, {"test_top1": 0.9051}, True),
        (0.900, {"test_top1": 0.9}, False),
        (0.900, {}, False),
        (0.500, {"test_top1": 0.9, "test_images": 9_999}, False),
        (0.500, {"test_top1": 0.9, "data": "digits"}, False),
        (None, {"test_top1": 0.9}, False),
    ],
)
def test_only_the_same_whole_set_is_held_against_the_training(
    top1: float | None, training: dict[str, Any], differs: bool
) -> None:
    facts = LabelledFacts(name="fashion-mnist", images=10_000, classes=10, sha256="0" * 64)
    told = TrainingFacts(**{"seed": 0, "data": "fashion-mnist", "test_images": 10_000, **training})
    said = training_mismatch(AccuracyStats(dataset=facts, top1=top1), told)
    assert bool(said) == differs


def test_a_model_of_ones_own_is_counted_without_training(
    tmp_path: Path, fashion: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier(tmp_path / "mine.onnx", batch=1)
    arguments = ["run", "--model", "mine.onnx", "--accuracy", f"fashion-mnist:{fashion}"]
    assert main([*arguments, "--accuracy-images", "9", *QUICK]) == 0
    # It takes 8×8 images, the set has 28×28: no figure, and the rest is kept.
    (trial,) = measured(tmp_path).trials
    assert trial.accuracy is not None and trial.accuracy.top1 is None
    assert trial.accuracy.problem
    assert trial.latency is not None
    assert trial.accuracy.dataset.images == 9


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", MODEL, "--accuracy", "fashion-mnist:fashion"], "add --trained DIR"),
        (["--accuracy-images", "5"], "is for --accuracy"),
        (["--trained", "nowhere"], "no such folder"),
        (["--trained", "fashion"], "no finished training"),
        (["--model", "mine.onnx", "--accuracy", "fashion:x"], "did you mean 'fashion-mnist'"),
        (["--model", "mine.onnx", "--accuracy", "fashion-mnist:nowhere"], "no such folder"),
        (["--model", MODEL, "--scheme", "soft:0.15", "--trained", "trained"], "no training of"),
        (["--model", MODEL, "--trained", "odd"], "odd/result.json: is no result of bench train"),
    ],
)
def test_what_cannot_be_counted_is_refused_before_a_board_is_asked(
    tmp_path: Path,
    fashion: Path,
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    classifier(tmp_path / "mine.onnx", batch=1)
    checkpoint(tmp_path / "trained" / "dense", "dense", 0, 0.3)
    checkpoint(tmp_path / "odd", "dense", 0, 0.3, test_top1=88.4)
    assert main(["run", *arguments, "--results", "results"]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert len(told.strip().splitlines()) == 1
    assert not (tmp_path / "results").exists()
