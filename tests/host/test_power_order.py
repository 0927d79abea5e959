"""Which sensor is taken when several are there, and what is said about the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.agent.sensors import SENSORS
from bench.boards import GENERIC, recognise
from bench.config.power_settings import EstimateModel, MeterCommand, PowerSettings, ReplayFile
from bench.errors import ConfigError
from bench.plan.file import load_plan
from bench.plan.plan import make_plan
from bench.power.choice import AUTO_ORDER, ONLY_WHEN_NAMED, choose_power
from bench.records.status import Status
from bench.sensors import OURS

ORIN = recognise(["nvidia,p3767-0005", "nvidia,tegra234"])
RAILS = ("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC")
PARTS = {"rapl": "CPU package", "nvml": "GPU (double)", "battery": "whole machine"}


def sensor(name: str, *channels: str, **more: Any) -> dict[str, Any]:
    estimated = name in ("estimate", "replay")
    return {
        "name": name,
        "source": "estimated" if estimated else "measured",
        "unit": "W",
        "channels": [{"name": each, "resolution_w": None} for each in channels or ("one",)],
        "lag_s": 0.0,
        "scope": PARTS.get(name),
        "problem": None,
        **more,
    }


def every(*without: str) -> list[dict[str, Any]]:
    """All sensors there are, on an Orin Nano, in no useful order."""
    rails = {"ina3221": RAILS, "jtop": RAILS, "ina2xx": ("ina226",)}
    names = [name for name in sorted(SENSORS, reverse=True) if name not in without]
    return [sensor(name, *rails.get(name, ())) for name in names]


def test_every_sensor_has_its_place_or_a_reason_why_it_has_none() -> None:
    assert set(AUTO_ORDER) | set(ONLY_WHEN_NAMED) == set(SENSORS)
    assert not set(AUTO_ORDER) & set(ONLY_WHEN_NAMED)
    assert set(OURS) == set(SENSORS)


def test_auto_goes_down_the_stated_order_as_sensors_are_missing() -> None:
    settings = PowerSettings(estimate=EstimateModel(idle_w=1, busy_w=2))
    missing: list[str] = []
    taken = []
    while True:
        power, _ = choose_power(ORIN, every(*missing), settings, estimates=True)
        if power is None:
            break
        taken.append(power.sensor)
        missing.append(power.sensor)
    # The INA226 on it is wired to nobody knows what, so that it never gives the total.
    assert taken == [name for name in AUTO_ORDER if name != "ina2xx"]


def test_what_does_not_cover_the_machine_is_never_taken_by_itself() -> None:
    only = [sensor(name) for name in ONLY_WHEN_NAMED]
    power, verdict = choose_power(GENERIC, only, PowerSettings(), estimates=True)
    assert power is None
    for name in ONLY_WHEN_NAMED:
        assert f"{name} is there, but only used when named" in verdict.detail


@pytest.mark.parametrize("name", sorted(SENSORS))
def test_a_sensor_that_is_named_is_taken_whatever_else_is_there(name: str) -> None:
    total = ("ina226",) if name == "ina2xx" else None
    settings = PowerSettings(
        sensor=name,
        total=total,
        estimate=EstimateModel(idle_w=1, busy_w=2),
        replay=ReplayFile(path="trace.csv"),
        command=MeterCommand(run=("meter",), scope="wall"),
    )
    power, _ = choose_power(ORIN, every(), settings, estimates=True)
    assert power is not None and power.sensor == name
    assert power.why == f"{name} was asked for by name"


def test_why_names_what_was_passed_over_and_what_is_left_to_be_named() -> None:
    found = [
        sensor("ina3221", *RAILS, problem="no rail can be read"),
        sensor("rapl"),
        sensor("nvml"),
    ]
    power, verdict = choose_power(ORIN, found, PowerSettings(), estimates=False)
    assert power is not None and power.sensor == "rapl"
    assert power.why == (
        "auto: a counter of the processor comes before an estimate; passed over: ina3221: no rail "
        "can be read; only when named: nvml (it covers the GPU alone)"
    )
    assert verdict.status is Status.VALID


def test_scopes_stay_what_they_are() -> None:
    for name, scope in PARTS.items():
        power, _ = choose_power(ORIN, [sensor(name)], PowerSettings(sensor=name), estimates=False)
        assert power is not None and power.scope == scope


def test_a_gain_error_is_the_boards_for_its_rails_and_unknown_for_others() -> None:
    rails, _ = choose_power(ORIN, every(), PowerSettings(), estimates=False)
    rapl, _ = choose_power(ORIN, every(), PowerSettings(sensor="rapl"), estimates=False)
    told = [sensor("rapl", gain_error=0.02)]
    stated, _ = choose_power(ORIN, told, PowerSettings(), estimates=False)
    assert rails is not None and rails.gain_error == 0.05
    assert rapl is not None and rapl.gain_error is None
    assert stated is not None and stated.gain_error == 0.02


def test_a_plan_names_a_sensor_that_exists() -> None:
    assert make_plan(power="rapl").power == "rapl"
    with pytest.raises(ConfigError, match="did you mean 'rapl'"):
        make_plan(power="rapll")


def test_a_plan_file_may_name_it_too(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("power: battery\n")
    assert load_plan(path).arguments()["power"] == "battery"


def test_every_sensor_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs/power.md").read_text(encoding="utf-8")
    for name in SENSORS:
        assert f"| `{name}` |" in text
    order = ", ".join(f"`{name}`" for name in AUTO_ORDER)
    assert f"takes the first of {order}" in text
