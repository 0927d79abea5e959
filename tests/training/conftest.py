"""A tiny data set, and `bench train` on it within this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import labelled_images
import pytest
import torch
from bench_program import BENCH

from bench.cli import main

LIMIT_S = 200
TOGETHER = (
    *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python"),
    *("--nproc-per-node", "2"),
)
MODEL = "shufflenet_v2_x0_5_fashion_mnist"


@dataclass(frozen=True)
class Train:
    """Calls ``bench train`` on 36 images in batches of 12, for two epochs."""

    data: Path
    folder: Path
    said: Callable[[], str]

    def arguments(self, out: str, *more: str, model: str = MODEL) -> list[str]:
        """The command line; later options win."""
        common = ["--data", f"fashion-mnist:{self.data}", "--out", str(self.folder / out)]
        size = ["--epochs", "2", "--batch", "12", "--train-images", "36"]
        return ["train", model, *common, *size, *more]

    def __call__(self, out: str, *more: str, model: str = MODEL) -> Path:
        """Train and return the folder."""
        assert main(self.arguments(out, *more, model=model)) == 0, self.said()
        return self.folder / out

    def start_together(self, out: str, *more: str) -> subprocess.Popen[str]:
        """Let two processes train."""
        return subprocess.Popen(
            [*TOGETHER, *BENCH, *self.arguments(out, *more)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )

    def together(self, out: str, *more: str) -> str:
        """Train by two processes and return what these said."""
        process = self.start_together(out, *more)
        _, said = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, said
        return said

    def refused(self, out: str, *more: str, model: str = MODEL) -> str:
        """Return the one line that a wrong command line gets."""
        self.said()
        assert main(self.arguments(out, *more, model=model)) == 2
        lines = self.said().splitlines()
        assert len([line for line in lines if line.startswith("bench: ")]) == 1, lines
        return lines[-1]


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 images to train and select on, 20 to test on."""
    return labelled_images.fashion_mnist(tmp_path_factory.mktemp("data"), train=40)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tests run side by side: threads that wait for each other would only stand in the way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def train(tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Train:
    """``bench train`` into folders of this test."""
    return Train(tiny_data, tmp_path, lambda: capsys.readouterr().err)
