"""Boards that cannot be used as they are, and logins that are unusual: over a real sshd."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from new_board import NewBoard, script

from bench.cli import main
from bench.device.remedies import remedy

Make = Callable[..., NewBoard]
Capture = pytest.CaptureFixture[str]
AS_ROOT = [] if os.getuid() == 0 else ["sudo", "-n"]
CAN_BE_ROOT = not AS_ROOT or (
    shutil.which("sudo") is not None
    and subprocess.run([*AS_ROOT, "true"], capture_output=True, check=False).returncode == 0
)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A small file system of its own in a folder."""
    folder.mkdir(parents=True)
    options = f"{options},mode=0700,uid={os.getuid()}"
    subprocess.run([*AS_ROOT, "mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)
    try:
        yield
    finally:
        subprocess.run([*AS_ROOT, "umount", "-l", folder], check=True)


@contextmanager
def open_to_others(folder: Path) -> Iterator[None]:
    """Let others look into a folder of a test; nobody but its owner may write there."""
    top = Path(tempfile.gettempdir())
    closed = [path for path in (folder, *folder.parents) if top in path.parents]
    modes = {path: path.stat().st_mode for path in closed}
    for path in closed:
        path.chmod(0o755)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def last_line(capsys: Capture) -> str:
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("bench: ")
    return line


def test_a_board_that_is_no_linux(new_board: Make, capsys: Capture) -> None:
    board = new_board()
    (board.bin / "uname").unlink()
    script(board.bin / "uname", "echo FreeBSD")
    assert board.add() == 4
    assert "runs FreeBSD; bench measures on Linux boards only" in last_line(capsys)
    assert not board.devices.exists()


def test_doctor_names_the_system_of_a_board_that_is_no_linux(
    new_board: Make, capsys: Capture
) -> None:
    board = new_board()
    assert board.add("--name", "pc") == 0
    (board.bin / "uname").unlink()
    script(board.bin / "uname", "echo FreeBSD")
    capsys.readouterr()
    assert main(["doctor", "pc", "--json"]) == 1
    last = json.loads(capsys.readouterr().out)["checks"][-1]
    assert (last["name"], last["result"], last["prevents"]) == ("system", "failed", True)
    assert "runs FreeBSD" in last["found"]
    assert last["fix"].startswith("name a board that runs Linux as `host` of pc")


@pytest.mark.parametrize("python", [None, "too-old"])
def test_a_board_without_a_python_that_will_do(
    new_board: Make, tmp_path: Path, capsys: Capture, python: str | None
) -> None:
    """Too old is one that refuses the question for its version."""
    board = new_board(None if python is None else script(tmp_path / python, "exit 1"))
    assert board.add() == 4
    assert "has no Python 3.6 or newer" in last_line(capsys)
    assert not board.devices.exists()


def test_a_python_under_another_name_is_found_and_written_down(new_board: Make) -> None:
    board = new_board(None)
    script(board.bin / "python3", "exit 1")
    script(board.bin / "python3.12", f'exec {sys.executable} "$@"')
    assert board.add("--name", "pc") == 0
    assert "python: python3.12\n" in board.devices.read_text()


@pytest.mark.skipif(not CAN_BE_ROOT, reason="a file system cannot be mounted by this user")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("size=64k", "No space left on device; free space there (`bench devices clean NAME`)"),
        ("size=64k,ro", "Read-only file system; its file system is mounted read-only"),
    ],
    ids=["full", "read-only"],
)
def test_a_disk_that_takes_nothing(
    new_board: Make, capsys: Capture, options: str, said: str
) -> None:
    board = new_board()
    with mounted(board.server.home / ".cache", options):
        assert board.add() == 4
        assert said in last_line(capsys)
        assert not list((board.server.home / ".cache").rglob("*.part"))


def test_words_of_the_system_have_a_remedy_of_their_own() -> None:
    assert "work_dir" in remedy("cat: write error: No space left on device")
    assert "dmesg" in remedy("mkdir: cannot create directory 'x': Read-only file system")
    assert "work_dir" in remedy("mkdir: cannot create directory 'x': Permission denied")
    for shell in ("sh: 7: sha256sum: not found", "bash: line 7: sha256sum: command not found"):
        assert "`sudo apt-get install coreutils`" in remedy(shell)
    assert remedy("cat: something else") == ""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a login without rights")
def test_a_login_that_may_write_nowhere(new_board: Make, capsys: Capture) -> None:
    setpriv = shutil.which("setpriv")
    drop = f"{setpriv} --reuid=65534 --regid=65534 --clear-groups"
    # The interpreter of the tests may lie where nobody else can look.
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    board = new_board(python, way=f'exec {drop} sh -c "$SSH_ORIGINAL_COMMAND"')
    with open_to_others(board.server.home):
        assert board.add() == 4
    said = last_line(capsys)
    assert "Permission denied" in said and "set `work_dir` of this device" in said


def test_a_forced_command_is_told_with_what_it_said(new_board: Make, capsys: Capture) -> None:
    board = new_board(way="echo 'this account only gets mail'; exit 3")
    assert board.add() == 4
    said = last_line(capsys)
    assert "this account only gets mail" in said and "no forced command" in said


def test_talkative_logins_do_no_harm(new_board: Make, tmp_path: Path) -> None:
    """A banner before the login, a greeting of .bashrc, and one of BASH_ENV in every bash."""
    (tmp_path / "banner").write_text("*** authorised use only ***\n")
    (tmp_path / "noise").write_text("echo noise; echo noise >&2\n")
    bash = shutil.which("bash")
    board = new_board(
        lines=[f"Banner {tmp_path}/banner"],
        way=f'export BASH_ENV={tmp_path}/noise; exec {bash} -c "$SSH_ORIGINAL_COMMAND"',
    )
    (board.server.home / ".bashrc").write_text("echo welcome\necho warning >&2\n")
    assert board.add("--name", "pc") == 0
    assert main(["devices", "probe", "pc"]) == 0


@pytest.mark.parametrize("language", ["de_DE.UTF-8", "POSIX", "xx_XX.nonsense"])
def test_locales_do_no_harm(new_board: Make, language: str) -> None:
    board = new_board(way=f'export LC_ALL={language}; exec sh -c "$SSH_ORIGINAL_COMMAND"')
    assert board.add("--name", "pc") == 0


def test_fish_as_a_login_shell(new_board: Make) -> None:
    """Also with a backslash in an argument, which fish reads in its own way."""
    fish = shutil.which("fish")
    assert fish is not None, "install it with: sudo apt-get install -y fish"
    board = new_board(way=f'exec {fish} -c "$SSH_ORIGINAL_COMMAND"')
    assert board.add("--name", "pc") == 0
    text = board.devices.read_text()
    board.devices.write_text(f"{text}    work_dir: .cache/a\\\\b'c\n")
    assert main(["devices", "probe", "pc"]) == 0
    assert list((board.server.home / ".cache/a\\\\b'c").glob("agent-*.pyz"))
