"""`bench train --by-sensitivity`: channels per unit from the trained network's own answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models import MODELS, Scheme
from models.sensitivity import measure_sensitivity, scheme_by_sensitivity
from models.training import sensitivity
from models.training.accuracy import accuracy
from models.training.batches import split
from models.training.checkpoint import read_model
from models.training.datasets import open_dataset

MODEL = "shufflenet_v2_x0_5_fashion_mnist"


def test_the_channels_are_those_that_cost_least_on_the_held_out_images(
    train: Any, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = train("dense", "--epochs", "1") / "model.pt"
    wanted = "--scheme", "prune-l1:0.15", "--by-sensitivity", "--init-from", str(dense)
    folder = train("pruned", "--epochs", "1", *wanted)
    result = json.loads((folder / "result.json").read_bytes())

    data = open_dataset(f"fashion-mnist:{tiny_data}")
    rows = split(data.train, 36).held_out
    measured = measure_sensitivity(
        read_model(dense).network(), lambda each: accuracy(each, data, data.train, rows).top1
    )
    expected = scheme_by_sensitivity(measured, MODELS[MODEL].parameters, 0.15)
    assert result["scheme"] == str(expected) != str(Scheme("prune-l1", reduction=0.15))
    assert result["parameters"] <= 0.85 * MODELS[MODEL].parameters
    assert result["wanted_scheme"] == "prune-l1:0.15"
    # A finished training is recognised without measuring anything again.
    monkeypatch.setattr(sensitivity, "measure_sensitivity", None)
    assert train("pruned", "--epochs", "1", *wanted, "--resume") == folder
    line = train.refused("pruned", "--epochs", "1", *wanted, "--resume", "--lr", "0.3")
    assert "with lr 0.1, not 0.3" in line


def test_two_processes_measure_what_one_does(train: Any) -> None:
    dense = train("dense", "--epochs", "1") / "model.pt"
    wanted = "--scheme", "prune-l1:0.15", "--by-sensitivity", "--init-from", str(dense)
    alone = json.loads((train("alone", "--epochs", "1", *wanted) / "result.json").read_bytes())
    train.together("both", "--epochs", "1", *wanted)
    both = json.loads((train.folder / "both" / "result.json").read_bytes())
    assert (both["processes"], both["scheme"]) == (2, alone["scheme"])


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--scheme", "basis:0.25"), "is for prune-l1 with a reduction, such as prune-l1:0.25"),
        (("--scheme", "prune-l1:0.25"), "name its checkpoint with --init-from"),
    ],
)
def test_it_takes_a_reduction_of_prune_l1_and_a_trained_network(
    train: Any, options: tuple[str, ...], line: str
) -> None:
    assert line in train.refused("out", *options, "--by-sensitivity")
    assert not (train.folder / "out" / "training.pt").exists()


def test_what_cannot_be_pruned_away_is_refused(train: Any) -> None:
    dense = train("dense", "--epochs", "1") / "model.pt"
    options = "--scheme", "prune-l1:0.9", "--by-sensitivity", "--init-from", str(dense)
    assert "a reduction of 90 % cannot be reached" in train.refused("out", *options)
