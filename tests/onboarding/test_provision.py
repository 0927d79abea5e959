"""`bench devices provision` over a real sshd, on a board without numpy and without a network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from bench_program import PROCEDURE
from board_folder import tiny_model
from new_board import NewBoard, without_network

from bench.cli import main
from bench.onboarding import provisioning

Make = Callable[..., NewBoard]
Capture = pytest.CaptureFixture[str]


@pytest.mark.python36
def test_a_stock_board_measures_after_it_was_provisioned(
    new_board: Make, bare_python36: Path, capsys: Capture
) -> None:
    """From a Python 3.6 that has nothing to a run with parity, and away again."""
    unshare = shutil.which("unshare")
    assert unshare is not None, "util-linux's unshare cuts the board off the network"
    cut = " ".join([unshare, *without_network()[1:]])
    board = new_board(bare_python36, way=f'exec {cut} sh -c "$SSH_ORIGINAL_COMMAND"')
    assert board.add("--name", "nano") == 0
    assert capsys.readouterr().err.splitlines()[-1] == "next: bench devices provision nano"
    tiny_model(board.folder / "one.onnx")
    plan = {"models": "one.onnx", "procedure": PROCEDURE}
    (board.folder / "plan.yaml").write_text(json.dumps(plan))
    run = ["run", "--plan", "plan.yaml", "--device", "nano"]
    assert main(run) == 4
    assert "`bench devices provision nano` puts it there" in capsys.readouterr().err

    assert main(["devices", "provision", "nano", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["versions"] == {"numpy": "1.19.5", "onnxruntime": "1.10.0"} and told["changed"]
    folder = Path(told["folder"])
    assert folder.parent == board.work_dir / "packages" and folder.name.startswith("cp36m-")
    assert not (board.work_dir / "wheels").exists()

    before = board.server.commands()
    assert main(["devices", "provision", "nano", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {**told, "folder": told_again(folder, board),
                                                   "changed": False}  # fmt: skip
    assert board.server.commands() - before == 2  # agent there? probe.

    assert main([*run, "--json"]) == 0
    (trial,) = json.loads(capsys.readouterr().out)["trials"]
    assert trial["facts"]["runtime_version"] == "1.10.0"
    # Only bench's own workers see them.
    alone = subprocess.run([str(bare_python36), "-c", "import numpy"], capture_output=True)
    assert alone.returncode == 1

    assert main(["devices", "clean", "nano", "--yes"]) == 0
    assert folder.exists()
    assert main(["devices", "provision", "nano", "--remove"]) == 0
    assert list((board.work_dir / "packages").iterdir()) == []
    assert main(run) == 4


def told_again(folder: Path, board: NewBoard) -> str:
    """The board folder as it is named in devices.yaml: below the login's home."""
    return os.path.relpath(folder, board.server.home)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("raise ImportError('version GLIBC_2.99 not found')", "numpy 9.9 does not run on this"),
        (None, "cannot be unpacked"),
    ],
)
def test_what_does_not_work_there_is_not_put_into_use(
    new_board: Make,
    bare_python: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    content: str | None,
    said: str,
) -> None:
    wheel = tmp_path / "numpy-9.9-cp311-cp311-linux_x86_64.whl"
    wheel.write_bytes(b"no wheel")
    if content is not None:
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("numpy/__init__.py", content)
    monkeypatch.setattr(provisioning, "download", lambda target, wanted, cache: [wheel])
    board = new_board(bare_python)
    assert board.add("--name", "nano") == 0
    assert main(["devices", "provision", "nano"]) == 4
    assert said in capsys.readouterr().err
    assert list((board.work_dir / "packages").iterdir()) == []
    assert not (board.work_dir / "wheels").exists()


def test_packages_that_are_not_in_use_any_more_are_cleaned_away(
    new_board: Make, capsys: Capture
) -> None:
    board = new_board()
    assert board.add("--name", "pc") == 0
    old = board.work_dir / "packages/cp311-x86_64-0123456789abcdef/numpy"
    old.mkdir(parents=True)
    upload = board.work_dir / "wheels/0123/numpy.whl"
    upload.parent.mkdir(parents=True)
    upload.write_text("half")
    capsys.readouterr()
    assert main(["devices", "clean", "pc", "--json", "--yes"]) == 0
    found = json.loads(capsys.readouterr().out)["removable"]
    assert [item["what"] for item in found] == ["packages", "leftover"]
    assert not old.exists() and not upload.exists()


def test_a_board_that_has_its_own_is_left_alone(new_board: Make, capsys: Capture) -> None:
    board = new_board()
    assert board.add("--name", "pc") == 0
    assert main(["devices", "provision", "pc"]) == 0
    assert "of its own; nothing to do" in " ".join(capsys.readouterr().err.split())
    assert not (board.work_dir / "packages").exists()
