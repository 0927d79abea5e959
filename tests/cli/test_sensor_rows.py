"""What `bench devices probe` says of a sensor: what is unknown is called unknown."""

from __future__ import annotations

from pathlib import Path

from constructed import build
from descriptions import NANO

from bench.agent import probe
from bench.boards import GENERIC, recognise
from bench.cli.board_rows import sensor_row


def test_a_step_that_nobody_tells_is_unknown(tmp_path: Path) -> None:
    root = build(tmp_path, NANO)
    board = recognise(probe.identify(root)["compatible"])
    (found,) = (each for each in probe.sensors(root, {}) if each["name"] == "ina3221")
    said = sensor_row(found, board)[1]
    assert "POM_5V_IN (step unknown)" in said
    assert "gain within 5%" in said


def test_a_counter_has_steps_of_energy_and_an_estimate_has_none() -> None:
    facts = {
        "name": "nvml",
        "source": "counter",
        "scope": "GPU (X)",
        "channels": [{"name": "GPU", "resolution_w": None, "resolution_j": 1e-3}],
        "problem": None,
        "read_s": None,
    }
    assert sensor_row(facts, GENERIC)[1].startswith("GPU in steps of 1.0 mJ (counter;")
    channels = [{"name": "cpu-model", "resolution_w": None}]
    estimate = {**facts, "name": "estimate", "source": "estimated", "channels": channels}
    assert "step" not in sensor_row(estimate, GENERIC)[1]
