"""A training that is killed goes on to the same end; several processes train together."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench_program import BENCH

from bench.cli import main
from models.training.accuracy import accuracy
from models.training.checkpoint import read_model
from models.training.datasets import open_dataset

LIMIT_S = 200
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def _killed_after_an_epoch(arguments: list[str], out: Path) -> None:
    process = subprocess.Popen([*BENCH, *arguments], env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + LIMIT_S
    while not (out / "training.pt").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL


def test_a_killed_training_goes_on_to_the_same_end(train: Any) -> None:
    options = ("--scheme", "blocks:0.15", "--epochs", "4")
    out = train.folder / "killed"
    _killed_after_an_epoch(train.arguments("killed", *options), out)
    assert "unfinished training; add --resume" in train.refused("killed", *options)
    for other, said in (
        (("--scheme", "soft:0.15"), "with scheme blocks:0.15, not soft:0.15"),
        (("--seed", "3"), "with seed 0, not 3"),
        (("--lr", "0.05"), "with lr 0.1, not 0.05"),
    ):
        assert said in train.refused("killed", *options, *other, "--resume")
    wider = "shufflenet_v2_x1_0_fashion_mnist"
    line = train.refused("killed", "--scheme", "blocks:0.15", "--resume", model=wider)
    assert "of a training with model shufflenet_v2_x0_5_fashion_mnist, not" in line

    train("killed", *options, "--resume")
    assert "goes on after epoch" in train.said()
    whole = train("whole", *options)
    assert (out / "model.pt").read_bytes() == (whole / "model.pt").read_bytes()
    results = [json.loads((folder / "result.json").read_bytes()) for folder in (out, whole)]
    losses = [[each["loss"] for each in found["history"]] for found in results]
    assert losses[0] == losses[1]
    assert results[0]["test_top5"] == results[1]["test_top5"]

    kept = {path.name: path.read_bytes() for path in out.iterdir()}
    assert "holds a finished training" in train.refused("killed", *options)
    assert "with seed 0, not 3" in train.refused("killed", *options, "--seed", "3", "--resume")
    train("killed", *options, "--resume")
    assert kept == {path.name: path.read_bytes() for path in out.iterdir()}


def test_a_state_that_is_cut_short_is_refused_and_kept(train: Any) -> None:
    out = train.folder / "out"
    out.mkdir()
    for content in (b"", b"PK\x03\x04 not all of it", b"hello"):
        (out / "training.pt").write_bytes(content)
        line = train.refused("out", "--resume")
        assert f"{out / 'training.pt'}: is cut short or damaged" in line
        assert (out / "training.pt").read_bytes() == content


def test_a_model_of_unknown_origin_is_not_overwritten(train: Any) -> None:
    out = train.folder / "out"
    out.mkdir()
    (out / "model.pt").write_bytes(b"dear")
    for more in ((), ("--resume",)):
        assert "holds a model.pt without its result.json" in train.refused("out", *more)
    assert (out / "model.pt").read_bytes() == b"dear"


def test_a_model_that_is_cut_short_or_has_one_wrong_bit_is_refused(train: Any) -> None:
    path = train.folder / "dense.pt"
    torch.save({"weight": torch.zeros(1000)}, path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(b"weight") + 1500] ^= 1
    for content in (whole[: len(whole) // 3], whole[:-3], bytes(flipped)):
        path.write_bytes(content)
        line = train.refused("out", "--init-from", str(path))
        assert "dense.pt: is cut short or damaged" in line


def test_a_folder_that_another_training_is_at_work_in_is_left_alone(train: Any) -> None:
    arguments = train.arguments("out", "--epochs", "50")
    process = subprocess.Popen(
        [*BENCH, *arguments], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("epoch 1 of 50")
        assert "another training is at work there" in train.refused("out", "--resume")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 130
        assert "go on with --resume" in said
    finally:
        process.kill()


def test_a_full_disk_is_said_and_leaves_no_half_file(train: Any) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        line = train.refused("out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot write" in line and "training.pt: File too large" in line
    assert sorted(path.name for path in (train.folder / "out").iterdir()) == [".lock"]


def test_two_processes_train_one_network(train: Any, tiny_data: Path) -> None:
    said = train.together("out", "--scheme", "basis:0.15")
    assert said.count("epoch 2 of 2") == 1
    assert "deprecated" not in said
    found = json.loads((train.folder / "out" / "result.json").read_bytes())
    assert (found["processes"], found["test_images"]) == (2, 20)
    assert all(np.isfinite(epoch["loss"]) for epoch in found["history"])
    trained = read_model(train.folder / "out" / "model.pt")
    data = open_dataset(f"fashion-mnist:{tiny_data}")
    alone = accuracy(trained.network(), data, data.test, np.arange(20))
    assert (alone.top1, alone.top5) == (found["test_top1"], found["test_top5"])
    assert "with processes 2, not 1" in train.refused("out", "--scheme", "basis:0.15", "--resume")


def test_two_processes_in_bf16_that_are_killed_go_on_to_the_same_end(train: Any) -> None:
    options = ("--scheme", "basis:0.15", "--precision", "bf16-mixed", "--epochs", "3")
    out = train.folder / "killed"
    process = train.start_together("killed", *options)
    deadline = time.monotonic() + LIMIT_S
    while not (out / "training.pt").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    assert process.wait(LIMIT_S) != 0
    said = train.together("killed", *options, "--resume")
    assert said.count("goes on after epoch") == 1
    train.together("whole", *options)
    assert (out / "model.pt").read_bytes() == (train.folder / "whole" / "model.pt").read_bytes()


def test_bf16_trains_and_is_evaluated_in_single_precision(train: Any) -> None:
    folder = train("out", "--precision", "bf16-mixed", "--epochs", "1")
    state = read_model(folder / "model.pt").state_dict
    assert {value.dtype for value in state.values()} == {torch.float32, torch.int64}


def test_json_is_the_result(train: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(train.arguments("out", "--epochs", "1", "--json")) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((train.folder / "out" / "result.json").read_bytes())
