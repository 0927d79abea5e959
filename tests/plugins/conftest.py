"""The package of docs/plugins.md, really built and installed into a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench_program import BENCH

DOCS = Path(__file__).parents[2] / "docs" / "plugins.md"
_BLOCK = re.compile(r"^`([\w./]+)`:\n\n```(?:python|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files_of_docs() -> dict[str, str]:
    """The files that the page shows, by name."""
    return dict(_BLOCK.findall(DOCS.read_text(encoding="utf-8")))


def install(files: dict[str, str], source: Path, site: Path) -> Path:
    """Build a package of these files and install it into ``site``."""
    for name, text in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return site


def announce(site: Path, package: str, source: str = "", **groups: dict[str, str]) -> Path:
    """Put into ``site`` what installing a package of one module leaves there, version 0.1."""
    info = site / f"{package}-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n")
    lines = []
    for group, entries in groups.items():
        lines += [f"[bench.{group}]", *(f"{key} = {value}" for key, value in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (site / f"{package}.py").write_text(source)
    return site


@pytest.fixture(scope="session")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package of the page."""
    folder = tmp_path_factory.mktemp("acme")
    files = {**files_of_docs(), "acme/__init__.py": ""}
    return install(files, folder / "source", folder / "site")


def bench(
    folder: Path, *arguments: str, sites: tuple[Path, ...]
) -> subprocess.CompletedProcess[str]:
    """Call bench in a folder, with the packages of ``sites`` beside it."""
    return python(folder, BENCH[-1], *arguments, sites=sites)


def python(
    folder: Path, code: str, *arguments: str, sites: tuple[Path, ...]
) -> subprocess.CompletedProcess[str]:
    """Run a few lines in a folder, with the packages of ``sites`` beside bench."""
    environment = {
        **os.environ,
        "BENCH_CACHE": str(folder / "cache"),
        "PYTHONPATH": os.pathsep.join(map(str, sites)),
    }
    environment.pop("BENCH_DEVICES", None)
    done = subprocess.run(
        [*BENCH[:-1], code, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done
