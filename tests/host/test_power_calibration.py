"""A calibration in devices.yaml: what is accepted, and for which sensor it is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.boards import recognise
from bench.config.devices_file import load_devices
from bench.config.power_settings import EstimateModel, PowerSettings, ReplayFile
from bench.errors import ConfigError
from bench.power.choice import choose_power
from bench.records.power import PowerCalibration
from bench.records.status import Source

ORIN = recognise(["nvidia,p3767-0005", "nvidia,tegra234"])
RAILS = ("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC")
FIELDS = {
    "gain": 0.97,
    "offset_w": 0.1,
    "gain_half_width": 0.01,
    "offset_half_width_w": 0.05,
    "low_w": 2.0,
    "high_w": 6.0,
    "sensor": "ina3221",
    "total": ["VDD_IN"],
    "meter": "joulescope",
    "run": "20260101-000000-orin-abcd",
}
CALIBRATION = PowerCalibration.model_validate(FIELDS)


def sensor(name, source="measured", channels=RAILS):
    return {
        "name": name,
        "source": source,
        "unit": "W",
        "channels": [{"name": each, "resolution_w": None} for each in channels],
        "lag_s": 0.0,
        "scope": None,
        "problem": None,
    }


def chosen(found, **settings):
    asked = PowerSettings(calibration=settings.pop("calibration", CALIBRATION), **settings)
    power, _ = choose_power(ORIN, [found], asked, estimates=True)
    assert power is not None
    return power


def test_it_is_taken_for_the_sensor_and_rails_it_was_made_for() -> None:
    power = chosen(sensor("ina3221"))
    assert power.calibration == CALIBRATION
    assert "calibrated against joulescope in 20260101-000000-orin-abcd" in power.note
    assert "whose own gain error is not stated" in power.note
    stated = CALIBRATION.model_copy(update={"meter_gain_error": 0.001})
    assert "not stated" not in chosen(sensor("ina3221"), calibration=stated).note


def test_another_sensor_or_total_is_not_corrected_and_says_so() -> None:
    power = chosen(sensor("ina3221"), total=("VDD_CPU_GPU_CV", "VDD_SOC"))
    assert power.calibration is None
    assert (
        "power.calibration is not applied: it was made for ina3221 (VDD_IN), not for "
        "ina3221 (VDD_CPU_GPU_CV, VDD_SOC)" in power.note
    )
    jtop = chosen(sensor("jtop"), sensor="jtop")
    assert jtop.calibration is None
    assert "not for jtop (VDD_IN)" in jtop.note


@pytest.mark.parametrize("name", ["estimate", "replay"])
def test_what_is_no_sensor_is_never_corrected(name) -> None:
    settings = {
        "estimate": EstimateModel(idle_w=1, busy_w=2),
        "replay": ReplayFile(path="trace.csv"),
        "calibration": CALIBRATION.model_copy(update={"sensor": name, "total": ("one",)}),
    }
    power = chosen(sensor(name, "estimated", ("one",)), sensor=name, **settings)
    assert power.source is Source.ESTIMATED
    assert power.calibration is None
    assert "is not applied" in power.note


def test_a_counter_is_corrected() -> None:
    made_for = CALIBRATION.model_copy(update={"sensor": "rapl", "total": ("package",)})
    found = {**sensor("rapl", "counter", ("package",)), "unit": "J", "scope": "CPU package"}
    assert chosen(found, calibration=made_for).calibration == made_for


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gain": 0}, "power.calibration.gain"),
        ({"gain": -1.0}, "power.calibration.gain"),
        ({"gain": float("nan")}, "power.calibration.gain"),
        ({"offset_w": float("inf")}, "power.calibration.offset_w"),
        ({"gain_half_width": -0.1}, "power.calibration.gain_half_width"),
        ({"total": []}, "power.calibration.total"),
        ({"run": ""}, "power.calibration.run"),
        ({"gian": 1}, "did you mean 'gain'"),
    ],
)
def test_a_bad_calibration_names_the_key(tmp_path: Path, change, said) -> None:
    words = {**FIELDS, **change}
    lines = "".join(f"        {key}: {value!r}\n" for key, value in words.items())
    lines = lines.replace(": nan", ": .nan").replace(": inf", ": .inf")
    path = tmp_path / "devices.yaml"
    head = "devices:\n  orin:\n    transport: local\n    power:\n      calibration:\n"
    path.write_text(head + lines)
    with pytest.raises(ConfigError, match=r"devices\.yaml: device 'orin'") as refused:
        load_devices(path)
    assert said in str(refused.value)
