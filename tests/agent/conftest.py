"""Boards in a folder: job folders, tiny models, fake sysfs trees, and the Pythons to run on."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from board_folder import BoardFolder


@pytest.fixture
def board(tmp_path: Path) -> Iterator[BoardFolder]:
    """An empty board folder on the newest Python; nothing of it is left running."""
    yield from _board(tmp_path, Path(sys.executable))


@pytest.fixture
def any_board(tmp_path: Path, python: Path) -> Iterator[BoardFolder]:
    """The same for each Python."""
    yield from _board(tmp_path, python)


def _board(tmp_path: Path, python: Path) -> Iterator[BoardFolder]:
    folder = BoardFolder(tmp_path / "board", python)
    yield folder
    for pid in folder.conductors:
        if folder.is_running(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Make a fake root folder from ``{path: text}``; may be called again to rewrite files."""
    root = tmp_path / "root"

    def write(files: dict[str, str]) -> Path:
        for path, text in files.items():
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("w") as stream:
                stream.write(text)
        root.mkdir(exist_ok=True)
        return root

    yield write
    shutil.rmtree(root, ignore_errors=True)
