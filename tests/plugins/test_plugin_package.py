"""A package from elsewhere adds a model, a board, a sensor, a meter and a runtime; all are used."""

from __future__ import annotations

import ast
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from .conftest import announce, bench, files_of_docs, install, python

PROCEDURE = {
    "preset": "quick",
    "latency_rounds": 3,
    "latency_round_s": 0.05,
    "energy_rounds": 2,
    "energy_window_s": 0.2,
    "warmup_min_s": 0.05,
    "warmup_max_s": 0.3,
    "idle_s": 0.2,
}
WATTS = 3.25


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a device that is an Acme carrier, by a constructed tree."""
    tree = tmp_path / "tree"
    for name, text in {
        "proc/device-tree/compatible": "acme,carrier-1\0nvidia,p3767-0005\0nvidia,tegra234\0",
        "sys/class/acme/power_uw": f"{WATTS * 1e6:.0f}\n",
    }.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    power = {"sensor": "acme-shunt"}
    (tmp_path / "devices.yaml").write_text(json.dumps({"devices": {"b": _device(tmp_path, power)}}))
    plan = {
        "devices": ["b"],
        "models": ["acme_net"],
        "schemes": ["dense"],
        "runtimes": ["onnxruntime", "onnx-reference"],
        "procedure": PROCEDURE,
    }
    (tmp_path / "plan.yaml").write_text(json.dumps(plan))
    return tmp_path


def _device(folder: Path, power: dict[str, Any]) -> dict[str, Any]:
    return {
        "transport": "local",
        "work_dir": str(folder / "board"),
        "lock": "lock",
        "root": str(folder / "tree"),
        "power": power,
    }


def with_meter(folder: Path) -> None:
    """Give the device of the folder the meter of the page, on a file that says 7.5 W."""
    (folder / "watts").write_text("7.5\n")
    file = folder / "devices.yaml"
    document = json.loads(file.read_text())
    meter = {"kind": "acme-plug", "scope": "wall", "serial": str(folder / "watts")}
    document["devices"]["b"].update(meter=meter)
    file.write_text(json.dumps(document))


def test_the_page_shows_each_in_under_30_lines() -> None:
    files = files_of_docs()
    assert set(files) >= {
        "acme/net.py",
        "acme/boards.py",
        "acme/shunt.py",
        "acme/plug.py",
        "acme/reference.py",
    }
    assert all(len(text.splitlines()) < 30 for text in files.values())


def test_a_run_with_all_that_a_plugin_brings(folder: Path, acme: Path) -> None:
    with_meter(folder)
    done = bench(folder, "run", "--plan", "plan.yaml", "--json", sites=(acme,))
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [trial["case"]["runtime"] for trial in document["trials"]] == [
        "onnxruntime",
        "onnx-reference",
    ]
    for trial in document["trials"]:
        assert trial["case"]["model"] == "acme_net"
        assert trial["parity"]["passed"]
        assert trial["artifact"]["parameters"] == 322
        energy = trial["energy"]
        assert (energy["sensor"], energy["source"]) == ("acme-shunt", "measured")
        assert energy["scope"] == "Acme input"
        assert energy["power_w"] == pytest.approx(WATTS, rel=1e-3)
        # A plug that always says the same sees no load markers: its figures are left open.
        assert trial["meter"]["energy"] is None
        assert trial["meter"]["status"]["reasons"] == ["unaligned"]
        assert "its readings are all the same" in trial["meter"]["status"]["detail"]
    (run,) = (folder / "results").iterdir()
    (stored,) = (run / "meters").glob("*.csv")
    header, *readings = stored.read_text().splitlines()
    assert header == "t_ns,power_w,arrived_ns"
    assert len(readings) > 20 and {line.split(",")[1] for line in readings} == {"7.5"}
    manifest = json.loads((run / "manifest.json").read_text())
    recorded = {(each["kind"], each["name"]): each for each in manifest["plugins"]}
    assert set(recorded) == {
        ("board", "acme-carrier"),
        ("meter", "acme-plug"),
        ("model", "acme_net"),
        ("runtime", "onnx-reference"),
        ("sensor", "acme-shunt"),
    }
    assert {(each["package"], each["version"]) for each in recorded.values()} == {
        ("acme-bench", "1.2")
    }
    assert recorded["sensor", "acme-shunt"]["sha256"] is not None
    assert "acme-bench 1.2" in (run / "report.html").read_text()

    probed = bench(folder, "devices", "probe", "b", sites=(acme,))
    assert "Acme carrier" in probed.stdout, "asked before the Orin Nano, which is there too"


METER = """
import sys
from pathlib import Path
from bench.config.devices_file import find_device, load_devices
from bench.meters import meters
settings = find_device(load_devices(Path("devices.yaml")), "b").meter
meter = meters()[settings.kind].open_meter(settings.options, Path("log"), print)
print(*[reading.power_w for reading in meter.read(1.0)])
"""


def test_a_meter_of_a_plugin_is_known_to_devices_yaml_and_read(folder: Path, acme: Path) -> None:
    with_meter(folder)
    done = python(folder, METER, sites=(acme,))
    assert done.stdout.split() == ["7.5"], done.stderr
    file = folder / "devices.yaml"
    document = json.loads(file.read_text())
    del document["devices"]["b"]["meter"]["serial"]
    file.write_text(json.dumps(document))
    done = bench(folder, "devices", "probe", "b", sites=(acme,))
    assert done.returncode == 2
    assert "a meter of kind acme-plug needs 'serial'" in done.stderr


def test_the_agent_holds_the_plugins_by_name_and_its_hash_changes(
    folder: Path, acme: Path, tmp_path: Path
) -> None:
    assert bench(folder, "devices", "probe", "b", sites=(acme,)).returncode == 0
    (with_it,) = (folder / "board").glob("agent-*.pyz")
    with zipfile.ZipFile(with_it) as archive:
        text = archive.read("bench/agent/plugged/table.py").decode()
        table = {
            node.targets[0].id: ast.literal_eval(node.value)  # type: ignore[attr-defined]
            for node in ast.parse(text).body
            if isinstance(node, ast.Assign)
        }
        assert set(table["SENSORS"]) == {"acme-shunt"}
        assert set(table["RUNTIMES"]) == {"onnx-reference"}
        packed = table["SENSORS"]["acme-shunt"]["module"]
        source = archive.read(f"bench/agent/plugged/{packed}.py")
    assert source == (acme / "acme" / "shunt.py").read_bytes()

    files = files_of_docs()
    files["acme/shunt.py"] += "# another byte\n"
    changed = install({**files, "acme/__init__.py": ""}, tmp_path / "source", tmp_path / "site")
    assert bench(folder, "devices", "probe", "b", sites=(changed,)).returncode == 0
    assert len(list((folder / "board").glob("agent-*.pyz"))) == 2


def test_a_sensor_whose_package_is_gone_is_refused_by_name(folder: Path) -> None:
    done = bench(folder, "run", "--plan", "plan.yaml", sites=())
    assert done.returncode == 2
    assert "device 'b': key 'power.sensor': unknown sensor 'acme-shunt'" in done.stderr


def test_what_cannot_be_imported_costs_itself_alone(
    folder: Path, acme: Path, tmp_path: Path
) -> None:
    broken = announce(
        tmp_path / "site",
        "broken",
        "def describe(root, options, /): pass\nraise RuntimeError('no licence')\n",
        models={"broken_net": "broken:NET", "other_net": "nowhere:NET"},
        runtimes={"broken-engine": "broken:ENGINE"},
        sensors={"new-python": "broken", "no-module": "nowhere.sensor"},
    )
    sites = (acme, broken)
    for arguments, expected in (
        (["--model", "broken_net"], "model 'broken_net' of package broken 0.1 cannot be used: Run"),
        (["--runtime", "broken-engine"], "runtime 'broken-engine' of package broken 0.1"),
    ):
        done = bench(folder, "run", "--device", "b", *arguments, sites=sites)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert expected in line
    listed = bench(folder, "models", "list", "--json", sites=sites)
    assert "warning: model 'broken_net' of package broken 0.1 is left out" in listed.stderr
    assert "acme_net" in {model["name"] for model in json.loads(listed.stdout)}
    rows = json.loads(bench(folder, "plugins", "--json", sites=sites).stdout)
    problems = {row["name"]: row["problem"] for row in rows}
    assert "Python 3.6, which boards have, cannot read it" in problems["new-python"]
    assert problems["acme-shunt"] is None
    probed = bench(folder, "devices", "probe", "b", sites=sites)
    assert probed.returncode == 0
    assert "Acme carrier" in probed.stdout
