"""What has to be on a board before it can measure: the agent and the models."""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import bench.agent
from bench.device.transport import Push, Transport
from bench.once import Once
from bench.plugins import Plugin
from bench.plugins.agent_module import AgentModule
from bench.records.recordings import Artifact
from bench.runtimes import runtimes
from bench.sensors import sensors
from bench.store.files import sha256_of

# The oldest time that a zip file can hold; equal sources must give equal bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)
HASH_DIGITS = 16
ARTIFACTS = "artifacts"
PLUGGED = "bench/agent/plugged"

# This text runs on whatever Python the board has, so it says what is wrong in any of them.
_MAIN = b"""\
import sys

if sys.version_info < (3, 6):
    found = "%s is %d.%d" % ((sys.executable,) + sys.version_info[:2])
    sys.exit("the agent needs Python 3.6 or newer, " + found)

from bench.agent.main import main

sys.exit(main())
"""


@dataclass(frozen=True, slots=True)
class Pushed:
    """Where artifacts lie in the board folder, and how many files had to be sent for that."""

    folder: str
    sent: int

    def of(self, artifact: Artifact) -> tuple[str, str]:
        """Return the paths in the board folder of an artifact's graph and of its reference."""
        return self.path(artifact.graph), self.path(artifact.reference)

    def path(self, local: Path) -> str:
        """Return the path in the board folder of a file that was pushed."""
        return posixpath.join(self.folder, local.name)


def build_agent() -> tuple[bytes, str]:
    """Return the agent as a zip file that Python can run, and its sha256.

    The board's side of every plug-in is in it, and so in the hash.

    Equal sources give equal bytes on every machine: fixed times and order, and no compression,
    whose output depends on the library's version.
    """
    package = Path(bench.agent.__file__).parent
    files = {"__main__.py": _MAIN, "bench/__init__.py": b""}
    for source in package.rglob("*.py"):
        files[f"bench/agent/{source.relative_to(package).as_posix()}"] = source.read_bytes()
    files.update(_plugged())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    content = buffer.getvalue()
    return content, hashlib.sha256(content).hexdigest()


def _plugged() -> dict[str, bytes]:
    """The files of plug-ins, and the table that names them: see :mod:`bench.agent.plugged`."""
    added = {
        "SENSORS": (sensors().plugins, dict(sensors().items())),
        "RUNTIMES": (runtimes().plugins, {name: each.module for name, each in runtimes().items()}),
    }
    files: dict[str, bytes] = {}
    table = "# Written by the host.\n"
    for kind, (found, modules) in added.items():
        entries = _entries(kind.lower(), found, modules, files)
        # Names and texts only, in ASCII: as JSON it is Python too.
        table += f"{kind} = {json.dumps(entries, indent=1)}\n"
    files[f"{PLUGGED}/table.py"] = table.encode("ascii")
    return files


def _entries(
    kind: str,
    found: Mapping[str, Plugin],
    modules: Mapping[str, AgentModule | None],
    files: dict[str, bytes],
) -> dict[str, dict[str, str]]:
    """The entries of one table; their modules are put into ``files``."""
    entries = {}
    for number, (name, plugin) in enumerate(sorted(found.items())):
        module = modules[name]
        assert module is not None
        packed = f"{kind}_{number}_{re.sub('[^a-z0-9]', '_', name.lower())}"
        files[f"{PLUGGED}/{packed}.py"] = module.source
        entries[name] = {"module": packed, "package": f"{plugin.package} {plugin.version}"}
    return entries


def push_agent(transport: Transport, work_dir: str) -> str:
    """Put the agent on the board unless it is there; return its path there.

    Raises:
        DeviceError: the board cannot be reached or written to.
    """
    content, sha256 = _agent()
    remote = posixpath.join(work_dir, f"agent-{sha256[:HASH_DIGITS]}.pyz")
    transport.push([Push(content, remote, sha256)])
    return remote


_AGENT: Once[tuple[bytes, str]] = Once()


def _agent() -> tuple[bytes, str]:
    """The agent of this process, built once for all boards."""
    return _AGENT((), build_agent)[0]


def push_artifacts(
    transport: Transport, work_dir: str, artifacts: Sequence[Artifact], others: Sequence[Path] = ()
) -> Pushed:
    """Put the files of artifacts on the board, all in one folder, except those already there;
    and ``others`` beside them, whose names must contain the hash too.

    Raises:
        DeviceError: the board cannot be reached or written to.
    """
    folder = posixpath.join(work_dir, ARTIFACTS)
    hashes: dict[Path, str] = {}
    for artifact in artifacts:
        hashes[artifact.graph] = artifact.facts.graph_sha256
        if artifact.weights is not None and artifact.facts.weights_sha256 is not None:
            hashes[artifact.weights] = artifact.facts.weights_sha256
    bound = [artifact.bound for artifact in artifacts if artifact.bound is not None]
    for local in (*(artifact.reference for artifact in artifacts), *bound, *others):
        if local not in hashes:
            status = local.stat()
            hashes[local] = _sha256(local, status.st_size, status.st_mtime_ns)
    files = [
        Push(local, posixpath.join(folder, local.name), sha256) for local, sha256 in hashes.items()
    ]
    return Pushed(ARTIFACTS, transport.push(files))


@lru_cache(maxsize=1024)
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    """Hash a file; once for all boards, as long as it keeps its size and time."""
    return sha256_of(path)
