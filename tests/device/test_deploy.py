"""The agent as one file, and the files of artifacts on a board."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from python36 import find_python36

from bench.device.client import AgentClient
from bench.device.deploy import build_agent, push_agent, push_artifacts
from bench.device.transport import Transport
from bench.errors import AgentError
from bench.records.artifact import ArtifactFacts
from bench.records.recordings import Artifact

OLD_PYTHON = Path.home() / ".pyenv/versions/2.7.18/bin/python"


def hashed(folder: Path, stem: str, suffix: str, content: bytes) -> tuple[Path, str]:
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / f"{stem}-{sha256[:16]}{suffix}"
    path.write_bytes(content)
    return path, sha256


def artifact(folder: Path, name: str, weights: bytes | None) -> Artifact:
    graph, graph_sha256 = hashed(folder, name, ".onnx", name.encode())
    reference, _ = hashed(folder, name, ".npz", b"same for all")
    path, sha256 = (None, None) if weights is None else hashed(folder, "w", ".weights", weights)
    return Artifact(
        graph=graph,
        weights=path,
        reference=reference,
        facts=ArtifactFacts(
            graph_sha256=graph_sha256,
            weights_sha256=sha256,
            file_bytes=1,
            opset=13,
            ir_version=7,
        ),
        batch=1,
        classifier=True,
        fresh=True,
    )


def test_equal_sources_give_equal_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_agent()
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert build_agent() == first
    monkeypatch.undo()
    time.tzset()
    assert first[1] == hashlib.sha256(first[0]).hexdigest()


def test_the_agent_is_pushed_once_and_answers_there(transport: Transport, tmp_path: Path) -> None:
    work_dir = f"{tmp_path}/board"
    remote = push_agent(transport, work_dir)
    assert Path(remote).name == f"agent-{build_agent()[1][:16]}.pyz"
    assert stat.S_IMODE(Path(work_dir).stat().st_mode) == 0o700
    written = Path(remote).stat().st_mtime_ns
    assert push_agent(transport, work_dir) == remote
    assert Path(remote).stat().st_mtime_ns == written
    facts = AgentClient(transport, sys.executable, remote, work_dir, f"{tmp_path}/lock").probe(
        "/", {}
    )
    assert "python" in facts and "runtimes" in facts
    assert {path.name for path in Path(work_dir).iterdir()} == {Path(remote).name}


def test_the_agent_runs_without_the_host_package(tmp_path: Path) -> None:
    """Nothing but the zip file and the standard library is there for it."""
    path = tmp_path / "agent.pyz"
    path.write_bytes(build_agent()[0])
    for python in filter(None, [sys.executable, find_python36()]):
        code = (
            f"import sys; sys.path.insert(0, {str(path)!r}); import bench.agent.wire as w; "
            f"print(w.__file__)"
        )
        found = subprocess.run(
            [str(python), "-ISc", code], check=True, capture_output=True, text=True, cwd="/"
        )
        assert found.stdout.startswith(f"{path}/bench/agent/wire.py")


def test_artifacts_lie_in_one_folder_and_are_sent_once(
    transport: Transport, tmp_path: Path
) -> None:
    work_dir = f"{tmp_path}/board"
    shared = os.urandom(100_000)
    both = [artifact(tmp_path, "load", shared), artifact(tmp_path, "runtime", shared)]
    pushed = push_artifacts(transport, work_dir, both)
    # Two graphs, their common weights and their common reference's two names.
    assert pushed.sent == 5
    # Within the board folder, as a job names its files wherever that folder is.
    assert pushed.folder == "artifacts"
    for one in both:
        graph, reference = (Path(work_dir, path) for path in pushed.of(one))
        assert graph.read_bytes() == one.graph.read_bytes()
        assert reference.read_bytes() == one.reference.read_bytes()
        assert one.weights is not None
        assert (graph.parent / one.weights.name).read_bytes() == shared
    more = artifact(tmp_path, "dense", None)
    assert push_artifacts(transport, work_dir, [*both, more]).sent == 2
    assert push_artifacts(transport, work_dir, [*both, more]).sent == 0


def test_a_python_that_is_too_old_says_so(transport: Transport, tmp_path: Path) -> None:
    """Where no old one is installed, a new one that gives an old version stands in for it."""
    python = tmp_path / "python-old"
    if OLD_PYTHON.exists():
        python.symlink_to(OLD_PYTHON)
    else:
        old = "import sys, runpy; sys.version_info = (2, 7); "
        run = "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{old}{run}" "$@"\n')
        python.chmod(0o700)
    remote = push_agent(transport, f"{tmp_path}/board")
    client = AgentClient(transport, str(python), remote, f"{tmp_path}/board", "lock")
    with pytest.raises(AgentError, match=r"needs Python 3\.6 or newer, .* is 2\.7") as e:
        client.probe()
    assert "\n" not in str(e.value)
