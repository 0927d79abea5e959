"""Finds a real Python 3.6 and makes a cached environment with ONNX Runtime 1.10 in it.

JetPack 4 boards have Python 3.6 and nothing newer for their vendor packages, so what runs on
the board is tested with the real thing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import platformdirs

PIP = "pip==21.3.1"
PACKAGES = ("numpy==1.19.5", "onnxruntime==1.10.0")
HELP = (
    "no Python 3.6 found: set BENCH_PYTHON36 to its executable, or install one with "
    "'pyenv install 3.6.15'"
)


def find_python36() -> Path | None:
    """The interpreter named by BENCH_PYTHON36, else the newest 3.6 that pyenv has."""
    named = os.environ.get("BENCH_PYTHON36")
    if named:
        return Path(named)
    found = sorted(_pyenv_root().glob("versions/3.6.*/bin/python"))
    return found[-1] if found else None


def environment36() -> Path:
    """Interpreter of a virtual environment with numpy and ONNX Runtime 1.10; made once.

    Raises:
        RuntimeError: there is no Python 3.6; the message says how to get one.
    """
    base = find_python36()
    if base is None:
        raise RuntimeError(HELP)
    folder = Path(platformdirs.user_cache_dir("bench-tests")) / "python36"
    marker = folder / "complete"
    wanted = "\n".join((str(base), PIP, *PACKAGES))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "python36.lock").open("w") as lock:
        # Several test processes may come here at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (marker.exists() and marker.read_text() == wanted):
            shutil.rmtree(folder, ignore_errors=True)
            _run(str(base), "-m", "venv", str(folder))
            # The pip that comes with 3.6 picks wheels that it cannot use.
            for packages in ((PIP,), PACKAGES):
                _run(str(folder / "bin/python"), "-m", "pip", "install", "-q", *packages)
            marker.write_text(wanted)
    return folder / "bin/python"


def _pyenv_root() -> Path:
    pyenv = shutil.which("pyenv")
    if pyenv:
        done = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return Path(done.stdout.strip())
    return Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)} failed: {done.stderr.strip()}")
