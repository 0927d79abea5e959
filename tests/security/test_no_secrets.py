"""What lets a person in is nowhere in what a run leaves behind or says."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from board_folder import tiny_model
from sshd import Sshd

from bench.cli import main

PLAN = """
models: tiny.onnx
procedure:
  {preset: quick, latency_rounds: 3, latency_round_s: 0.02, energy_rounds: 2, energy_window_s: 0.1,
   idle_s: 0.1, warmup_min_s: 0.05, warmup_max_s: 0.1}
"""
TOKEN = "tok-3f9c1d7e5b"


def test_a_run_over_ssh_keeps_keys_sockets_and_the_environment_to_itself(
    sshd: Sshd,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SOME_API_TOKEN", TOKEN)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent-socket-of-mine"))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    tiny_model(tmp_path / "tiny.onnx")
    (tmp_path / "plan.yaml").write_text(PLAN)
    (tmp_path / "devices.yaml").write_text(
        f"devices:\n  board:\n    transport: ssh\n    host: {sshd.host}\n    port: {sshd.port}\n"
        f"    user: {sshd.user}\n    identity_file: {sshd.key}\n    python: {sys.executable}\n"
        f"    known_hosts: {sshd.known_hosts}\n    work_dir: {tmp_path}/board\n    lock: lock\n"
        "    power: {estimate: {idle_w: 1, busy_w: 2}}\n"
    )
    files = ["--plan", str(tmp_path / "plan.yaml"), "--devices", str(tmp_path / "devices.yaml")]
    results = tmp_path / "results"
    assert main(["run", "--device", "board", *files, "--results", str(results)]) == 0

    said = "".join(capfd.readouterr()) + caplog.text
    left = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    left[Path("said")] = said.encode()
    assert any(path.name == "report.html" for path in left)
    assert any(path.name == "journal.jsonl" for path in left)
    key_lines = sshd.key.read_bytes().splitlines()[1:-1]
    secrets = [TOKEN.encode(), b"agent-socket-of-mine", b"PRIVATE KEY", *key_lines]
    for path, content in left.items():
        assert not any(secret in content for secret in secrets), path


def test_no_option_takes_a_secret() -> None:
    """``manifest.command`` holds the command line as it was typed."""
    import click

    from bench.cli import cli

    def options(command: click.Command | None) -> set[str]:
        assert command is not None
        found = {name for p in command.params for name in (*p.opts, p.name or "")}
        if isinstance(command, click.Group):
            within = click.Context(command)
            for name in command.list_commands(within):
                found |= options(command.get_command(within, name))
        return found

    names = options(cli)
    assert {"--power", "--since"} <= names
    # The path of a key file, and the fingerprint of a public key.
    names -= {"--identity", "identity_file", "--accept-key"}
    assert not any(
        word in name for name in names for word in ("pass", "token", "secret", "identity", "key")
    )
