from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.agent.sensors import rapl

Tree = Callable[[dict[str, str]], Path]

BASE = "/sys/class/powercap"
RANGE_UJ = 262_143_328_850


def zone(name: str, kind: str, energy_uj: int) -> dict[str, str]:
    folder = f"{BASE}/{name}"
    return {
        f"{folder}/name": kind + "\n",
        f"{folder}/energy_uj": f"{energy_uj}\n",
        f"{folder}/max_energy_range_uj": f"{RANGE_UJ}\n",
    }


ZONES = {
    **zone("intel-rapl:0", "package-0", 1_000_000),
    **zone("intel-rapl:0:0", "core", 7),
    **zone("intel-rapl:0:1", "uncore", 7),
    **zone("intel-rapl:0:2", "dram", 500_000),
    **zone("intel-rapl:1", "psys", 7),
}
COUNTER = f"{BASE}/intel-rapl:0/energy_uj"


def test_only_packages_and_dram_count(tree: Tree) -> None:
    (description,) = rapl.describe(str(tree(ZONES)), {})
    assert [c["name"] for c in description["channels"]] == ["package-0", "package-0 dram"]
    assert (description["unit"], description["source"]) == ("J", "counter")
    assert description["problem"] is None


def test_reads_joules_since_the_opening(tree: Tree) -> None:
    sensor = rapl.open_sensor(str(tree(ZONES)), {}, ["package-0"])
    assert sensor.read() == [0.0]
    tree({COUNTER: "3500000\n"})
    assert sensor.read() == [2.5]


def test_a_wrap_is_counted_once_even_when_reads_around_it_fail(tree: Tree) -> None:
    root = tree({**ZONES, COUNTER: f"{RANGE_UJ - 2_000_000}\n"})
    sensor = rapl.open_sensor(str(root), {}, ["package-0"])
    tree({COUNTER: f"{RANGE_UJ - 1_000_000}\n"})
    assert sensor.read() == [1.0]
    tree({COUNTER: ""})
    assert sensor.read() == [None]
    tree({COUNTER: "3000000\n"})
    assert sensor.read() == [pytest.approx(5.0)]
    tree({COUNTER: "4000000\n"})
    assert sensor.read() == [pytest.approx(6.0)]


def test_a_failed_read_without_a_wrap_loses_nothing(tree: Tree) -> None:
    sensor = rapl.open_sensor(str(tree(ZONES)), {}, ["package-0"])
    tree({COUNTER: ""})
    assert sensor.read() == [None]
    tree({COUNTER: "2000000\n"})
    assert sensor.read() == [1.0]


def test_a_counter_that_cannot_be_read_is_a_problem_with_its_fix(tree: Tree) -> None:
    counter = tree(ZONES) / COUNTER.lstrip("/")
    counter.unlink()
    counter.mkdir()  # like a missing permission, an OSError even for root
    (description,) = rapl.describe(str(tree({})), {})
    assert "sudo chmod a+r" in description["problem"]
    with pytest.raises(OSError, match="energy_uj"):
        rapl.open_sensor(str(tree({})), {}, ["package-0"])


def test_no_rapl_no_sensor(tree: Tree) -> None:
    assert rapl.describe(str(tree({})), {}) == []


def test_without_a_range_the_counter_is_refused(tree: Tree) -> None:
    root = tree({**ZONES, f"{BASE}/intel-rapl:0/max_energy_range_uj": ""})
    with pytest.raises(OSError, match="max_energy_range_uj"):
        rapl.open_sensor(str(root), {}, ["package-0"])
