"""Tables with plug-ins: names that clash, things of another kind, what fails on the board."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import boards as boards_module
from bench import networks, plugins, runtimes, sensors
from bench.device.deploy import build_agent
from bench.errors import ConfigError
from bench.export.cases import export_case, find_model
from bench.plugins.agent_module import AgentModule, read_agent_module
from bench.records.recordings import Artifact, GraphLimits
from bench.run import provenance
from models import MODELS

from .conftest import announce

TABLES: dict[str, Callable[[], plugins.Table[Any]]] = {
    "boards": boards_module.boards,
    "models": networks.models,
    "runtimes": runtimes.runtimes,
    "sensors": sensors.sensors,
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of packages that this process sees; tables are read anew before and after."""

    def forget() -> None:
        for table in TABLES.values():
            table.cache_clear()  # type: ignore[attr-defined]
        importlib.invalidate_caches()

    path = tmp_path / "site"
    monkeypatch.syspath_prepend(str(path))
    forget()
    yield path
    monkeypatch.undo()
    forget()


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("boards", "jetson-nano"),
        ("models", "resnet34"),
        ("runtimes", "onnxruntime"),
        ("sensors", "ina3221"),
    ],
)
def test_a_name_of_ours_is_refused_with_both_packages(site: Path, table: str, name: str) -> None:
    announce(site, "twin", **{table: {name: "twin:THING"}})
    with pytest.raises(ConfigError) as caught:
        TABLES[table]()
    assert f"{name!r} of package twin 0.1 has the name of a {table[:-1]} of bench-on-device;" in (
        str(caught.value)
    )


def test_a_name_of_two_packages_is_refused_with_both(site: Path) -> None:
    announce(site, "one", models={"net": "one:NET"})
    announce(site, "two", models={"net": "two:NET"})
    with pytest.raises(ConfigError, match=r"of package two 0\.1 has the name of a model of one 0"):
        find_model("resnet34")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("NET = 3", "odd:NET is of type int, not ModelSpec"),
        ("", "AttributeError: module 'odd' has no attribute 'NET'"),
        ("raise SystemExit('bye')", "SystemExit: bye"),
        (
            "from models import MODELS\nNET = MODELS['resnet34']",
            "odd:NET is called 'resnet34'; its entry point must be called so",
        ),
    ],
)
def test_something_of_another_kind_is_told_when_asked_for(
    site: Path, monkeypatch: pytest.MonkeyPatch, source: str, problem: str
) -> None:
    monkeypatch.delitem(sys.modules, "odd", raising=False)
    announce(site, "odd", source, models={"net": "odd:NET"})
    with pytest.raises(ConfigError) as caught:
        find_model("net")
    assert str(caught.value) == f"model 'net' of package odd 0.1 cannot be used: {problem}"
    assert networks.models().problems() == [
        f"model 'net' of package odd 0.1 is left out: {problem}"
    ]
    assert set(networks.models()) == set(MODELS)
    assert provenance.plugins() == ()


NETWORK = """
from models import ModelSpec


def build(outputs):
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(4, outputs))


NET = ModelSpec("my_net", "", "mynet:build", (1, 2, 2), 2, 10, (), "", arguments={"outputs": 2})
"""


def test_an_edited_network_is_exported_anew(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export() -> Artifact:
        limits = GraphLimits(opset=17, ir_version=8)
        return export_case("my_net", "dense", None, 1, limits, tmp_path / "cache")

    monkeypatch.delitem(sys.modules, "mynet", raising=False)
    announce(site, "mynet", NETWORK, models={"my_net": "mynet:NET"})
    first = export()
    assert (first.fresh, export().fresh) == (True, False)
    assert first.facts.parameters == 10
    (site / "mynet.py").write_text(NETWORK.replace("nn.Flatten()", "nn.Flatten(), nn.ReLU()"))
    assert export().fresh
    assert networks.plugin_sources("resnet34") is None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2, 11, ()", "has 10 parameters, its table entry makes 11 of them (scheme dense)"),
        ("3, 10, ()", "its outputs are (1, 2), its table entry says 3 classes for a batch of 1"),
    ],
)
def test_an_entry_that_does_not_tell_the_truth_of_its_network_is_refused(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, expected: str
) -> None:
    monkeypatch.delitem(sys.modules, "mynet", raising=False)
    source = NETWORK.replace("2, 10, ()", said).replace("my_net", "liar")
    announce(site, "mynet", source, models={"liar": "mynet:NET"})
    with pytest.raises(ConfigError) as caught:
        export_case("liar", "dense", None, 1, GraphLimits(opset=17, ir_version=8), tmp_path / "c")
    assert str(caught.value).startswith("model liar: ")
    assert expected in str(caught.value)


def test_what_an_agent_module_must_have_may_be_annotated(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(site, "noted", "PROBE: str = 'print(1)'\n")
    assert read_agent_module("noted", ("PROBE",)).module == "noted"
    with pytest.raises(plugins.Unusable, match="noted lacks open_model"):
        read_agent_module("noted", ("PROBE", "open_model"))


def test_the_reading_function_serves_any_group(site: Path) -> None:
    """That of the meters, with a table made up here."""
    announce(site, "wattly", "METER = 'a meter'", meters={"wattly": "wattly:METER"})
    table = plugins.joined(plugins.METERS, {"joulescope": "ours"}, lambda entry: str(entry.load()))
    assert dict(table) == {"joulescope": "ours", "wattly": "a meter"}
    assert table.plugins["wattly"].package == "wattly"
    with pytest.raises(ConfigError, match="unknown meter 'watly'; did you mean 'wattly'"):
        table.find("watly")


SENSORS = {
    "needs-a-driver": "import driver_that_is_not_there\n",
    "raises": "def describe(root, options):\n    return 1 / 0\n",
    "odd-facts": "def describe(root, options):\n    return [{'lag_s': 'short', 'channels': []}]\n",
    "odd-reading": (
        "def describe(root, options):\n    return [{'channels': [{'name': 'A'}]}]\n"
        "def open_sensor(root, options, channels):\n    return 3\n"
    ),
}
RUNTIMES = {
    "raises": "raise KeyError('x')\n",
    "odd-version": 'PROBE = \'print("{\\\\"version\\\\": \\\\"new\\\\"}")\'\n',
}


def table_of(group: str, sources: dict[str, str]) -> plugins.Table[Any]:
    found = {name: plugins.Plugin(group, name, "acme", "1", name) for name in sources}
    modules = {name: AgentModule(name, source.encode()) for name, source in sources.items()}
    return plugins.Table(group, modules, found, {})


def test_what_fails_on_the_board_costs_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: Path
) -> None:
    monkeypatch.setattr("bench.device.deploy.sensors", lambda: table_of("bench.sensors", SENSORS))
    engines = table_of("bench.runtimes", RUNTIMES)
    spec = {name: runtimes.RuntimeSpec(name, "", {}, "", module=engines[name]) for name in engines}
    table = plugins.Table("bench.runtimes", spec, engines.plugins, {})
    monkeypatch.setattr("bench.device.deploy.runtimes", lambda: table)
    folder = tmp_path / "board"
    folder.mkdir(mode=0o700)
    agent = folder / "agent-1.pyz"
    agent.write_bytes(build_agent()[0])
    command = [str(python), str(agent), "probe", str(tmp_path / "tree"), "{}", "lock"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    probe = json.loads(done.stdout)
    problems = {each["name"]: each["problem"] for each in probe["sensors"]}
    assert (
        "the plug-in of package acme 1 cannot be used with Python 3" in (problems["needs-a-driver"])
    )
    assert "driver_that_is_not_there" in problems["needs-a-driver"]
    assert problems["raises"].startswith("ZeroDivisionError")
    assert problems["odd-facts"] == "ValueError: lag_s is 'short'"
    assert "'int' object has no attribute 'read'" in problems["odd-reading"]
    assert "KeyError" in probe["runtimes"]["raises"]["problem"]
    assert "'new' for its version" in probe["runtimes"]["odd-version"]["problem"]
    assert probe["runtimes"]["onnxruntime"]["problem"] is None
