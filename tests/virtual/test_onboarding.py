"""From a virtual board that nobody knows to one that can measure: aarch64, without internet."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from board_program import BoardProgram
from virtual_board.board import Board
from virtual_board.build import build
from virtual_board.cli import main as command

pytestmark = [pytest.mark.virtual_board, pytest.mark.timeout(1200)]

BARE = "/root/bare"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BoardProgram]:
    """`bench` with a home of its own and a board that is on, with a Python without numpy."""
    made = build(print)
    board = Board(f"test-{os.getpid()}-new")
    try:
        board.up(made)
        # Boards lie below HOME too: it has to be the old one again when this one is forgotten.
        with monkeypatch.context() as patch:
            patch.setenv("HOME", str(tmp_path))
            patch.delenv("SSH_AUTH_SOCK", raising=False)
            program = BoardProgram(tmp_path, board=board)
            program.on_board(f"python3 -m venv --without-pip {BARE}")
            yield program
    finally:
        assert command(["down", "--forget", board.name]) == 0
        assert not board.folder.exists()


def test_add_provision_and_doctor(bench: BoardProgram) -> None:
    bench.write_devices()
    entry = json.loads((bench.folder / "devices.yaml").read_text())["devices"]["board"]
    (bench.folder / "devices.yaml").unlink()
    argv = ["ssh-keygen", "-lf", entry["known_hosts"]]
    key = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[1]
    address = f"{entry['user']}@{entry['host']}:{entry['port']}"
    options = ["--identity", entry["identity_file"], "--accept-key", key]
    added = bench.run("devices", "add", address, *options, "--python", f"{BARE}/bin/python")
    assert added.returncode == 0, added.stderr
    assert "VDD_IN" in added.stdout
    assert f"next: {shlex.join(['bench', 'devices', 'provision', 'virtual-orin-nano'])}" in (
        added.stderr
    )
    done = bench.run("devices", "provision", "virtual-orin-nano", "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["versions"]) == {"numpy", "onnxruntime"}
    doctor = bench.run("doctor", "virtual-orin-nano")
    assert doctor.returncode == 0, doctor.stdout
