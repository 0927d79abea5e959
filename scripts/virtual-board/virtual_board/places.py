"""Where builds and boards lie, and which build belongs to these scripts."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bench.export.cache import default_cache

SCRIPTS = Path(__file__).resolve().parents[1]
ON_BOARD = SCRIPTS / "on_board"
CONSTRAINTS = SCRIPTS.parents[1] / "constraints.txt"

WHEELS = ("onnxruntime", "numpy", "flatbuffers", "packaging", "protobuf")
"""What the board's Python needs for ONNX Runtime, without the packages that it never imports."""


def home() -> Path:
    """Return the folder of all builds and boards, inside bench's own cache folder."""
    return default_cache().resolve() / "virtual-board"


def boards() -> Path:
    """Return the folder that has a folder for each board."""
    return home() / "boards"


def pins() -> list[str]:
    """Return ``name==version`` of the board's wheels: the versions that the host has, too."""
    wanted = tuple(f"{name}==" for name in WHEELS)
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.startswith(wanted)]


def scripts_hash() -> str:
    """Return a hash of everything that decides what a build holds."""
    package = SCRIPTS / "virtual_board"
    sources = [*ON_BOARD.iterdir(), *(package / "build").glob("*.py"), package / "machine.py"]
    digest = hashlib.sha256("\n".join(pins()).encode())
    for source in sorted(path for path in sources if path.is_file()):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:12]


def find_build() -> Path | None:
    """Return the newest build that these scripts made, ``None`` when there is none.

    Its name is ``<kernel ABI>-<hash of the scripts>``. Only whole builds have such a name.
    """
    found = [path for path in home().glob(f"*-{scripts_hash()}") if path.is_dir()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)
