"""Names of jetson-stats that are used, and the shape of its ``power``, by release.

Older releases are fetched from the package index, as the wheels for boards are in other tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import jtop as library
import pytest

from bench.agent.sensors import jtop

PROJECT = Path(__file__).parents[2]
NAMES = """
import inspect
import jtop as library
from bench.agent.sensors import jtop
from jtop import service

client = library.jtop
assert "interval" in inspect.signature(client).parameters
assert list(inspect.signature(client.attach).parameters) == ["self", "observer"]
for name in ("start", "close"):
    assert list(inspect.signature(getattr(client, name)).parameters) == ["self"]
assert isinstance(client.interval, property)
assert service.JTOP_PIPE == jtop.SOCKET
unit = "%s.service" % service.JTOP_USER
assert (unit, service.JTOP_USER) == jtop._service(library.__version__)
bare = client.__new__(client)
tot, rail = {"name": "VDD_IN", "power": 5000, "cur": 5000}, {"power": 300, "cur": 300}
# What the service sends: in 3 and 4.0 "all" and "power", later "tot" and "rail".
bare._stats = {"power": {"all": tot, "power": {"GPU": rail}, "tot": tot, "rail": {"GPU": rail}}}
print(library.__version__, type(bare.power).__name__, jtop.rails_w(bare.power))
"""


@pytest.mark.parametrize(
    ("version", "shape", "input_name"),
    [
        ("3.1.4", "tuple", jtop.INPUT),
        ("4.0.0", "tuple", jtop.INPUT),
        ("4.3.2", "dict", "VDD_IN"),
        (library.__version__, "dict", "VDD_IN"),
    ],
)
def test_the_names_that_are_used_are_those_of_the_library(
    tmp_path: Path, version: str, shape: str, input_name: str
) -> None:
    path = [PROJECT] if version == library.__version__ else [released(version, tmp_path), PROJECT]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    argv = [sys.executable, "-c", NAMES]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rails = {"GPU": 0.3, input_name: 5.0}
    assert done.stdout == f"{version} {shape} {rails}\n"


def released(version: str, folder: Path) -> Path:
    """Fetch a release of jetson-stats from the package index; it has no wheels."""
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    argv += ["--no-build-isolation", "--dest", str(folder), f"jetson-stats=={version}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"jetson-stats-{version}"
