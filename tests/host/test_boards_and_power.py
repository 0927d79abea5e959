"""Which rails make up the total, and where energy comes from when there are none."""

from typing import Any

import pytest

from bench.boards import BOARDS, GENERIC, recognise
from bench.config.power_settings import EstimateModel, PowerSettings
from bench.power.choice import asked, choose_power
from bench.records.status import Reason, Source, Status
from bench.report.status_text import in_words


def rails(*names: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "ina3221",
        "source": "measured",
        "unit": "W",
        "channels": [{"name": name, "resolution_w": 0.04} for name in names],
        "lag_s": 0.43,
        "scope": None,
        "problem": None,
        **more,
    }


ESTIMATE = {
    "name": "estimate",
    "source": "estimated",
    "unit": "J",
    "channels": [{"name": "model", "resolution_w": None}],
    "lag_s": 0.0,
    "scope": "modelled",
    "problem": None,
}
STATED = PowerSettings(estimate=EstimateModel(idle_w=2, busy_w=6))


# Rails, totals and scopes as gathered from public driver sources and vendor documents.
@pytest.mark.parametrize(
    ("compatible", "name", "found", "total"),
    [
        (
            ["nvidia,p3450-0000", "nvidia,tegra210"],
            "jetson-nano",
            ["POM_5V_IN", "POM_5V_GPU", "POM_5V_CPU"],
            ("POM_5V_IN",),
        ),
        (
            ["nvidia,p2771-0000", "nvidia,tegra186"],
            "jetson-tx2",
            ["VDD_SYS_GPU", "VDD_SYS_SOC", "VDD_IN", "VDD_SYS_CPU", "VDD_SYS_DDR"],
            ("VDD_IN",),
        ),
        (
            ["nvidia,p3509-0000+p3668-0001", "nvidia,tegra194"],
            "jetson-xavier-nx",
            ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"],
            ("VDD_IN",),
        ),
        (
            ["nvidia,p2972-0000", "nvidia,tegra194"],
            "jetson-agx-xavier",
            ["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"],
            ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
        ),
        (
            ["nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0005", "nvidia,tegra234"],
            "jetson-orin-nano",
            ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"],
            ("VDD_IN",),
        ),
        (
            ["nvidia,p3768-0000+p3767-0000", "nvidia,tegra234"],
            "jetson-orin-nx",
            ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"],
            ("VDD_IN",),
        ),
        (
            ["nvidia,p3737-0000+p3701-0005", "nvidia,tegra234"],
            "jetson-agx-orin",
            ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"],
            ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
        ),
    ],
)
def test_a_board_is_recognised_and_its_total_counts_nothing_twice(
    compatible: list[str], name: str, found: list[str], total: tuple[str, ...]
) -> None:
    board = recognise(compatible)
    assert board.name == name
    power, verdict = choose_power(board, [rails(*found)], PowerSettings(), estimates=True)
    assert power is not None
    assert power.total == total
    assert power.source is Source.MEASURED
    assert power.scope == board.scope != ""
    assert verdict.status is Status.VALID
    assert power.resolution_w == pytest.approx(0.04 * len(total))


def test_what_a_virtual_board_drew_is_never_called_what_a_module_drew() -> None:
    orin = ["nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0005", "nvidia,tegra234"]
    virtual = recognise(["bench,virtual-board", *orin])
    power, _ = choose_power(virtual, [rails("VDD_IN")], PowerSettings(), estimates=True)
    assert power is not None and power.total == recognise(orin).total
    assert power.scope == "emulated module"


def test_every_board_has_a_name_of_its_own() -> None:
    assert len({board.name for board in BOARDS}) == len(BOARDS)


def test_an_unknown_board_is_generic_and_its_rails_need_a_name() -> None:
    board = recognise(["acme,custom-carrier"])
    assert board is GENERIC
    power, verdict = choose_power(board, [rails("A", "B")], PowerSettings(), estimates=True)
    assert power is None
    assert verdict.reasons == (Reason.NO_SENSOR,)
    assert "power.total" in verdict.detail
    named = PowerSettings(total=("A",))
    power, _ = choose_power(board, [rails("A", "B")], named, estimates=True)
    assert power is not None and power.total == ("A",)


def test_a_total_that_is_named_is_not_replaced_by_an_estimate() -> None:
    nano = recognise(["nvidia,jetson-nano"])
    named = STATED.model_copy(update={"total": ("VDD_X",)})
    for found, said in (
        ([ESTIMATE], "no sensor has the rails of power.total: VDD_X"),
        ([ESTIMATE, rails("POM_5V_IN")], "rail VDD_X of the total is not there"),
    ):
        power, verdict = choose_power(nano, found, named, estimates=True)
        assert power is None and named.is_named
        assert said in verdict.detail and verdict.reasons == (Reason.NO_SENSOR,)


@pytest.mark.parametrize(
    ("total", "said"),
    [
        (("POM_5V_IN", "POM_5V_GPU"), "counts POM_5V_GPU twice, since POM_5V_IN feeds it"),
        (("POM_5V_CPU", "POM_5V_CPU"), "names POM_5V_CPU twice"),
    ],
)
def test_a_total_of_rails_that_feed_each_other_is_refused(
    total: tuple[str, ...], said: str
) -> None:
    nano = recognise(["nvidia,jetson-nano"])
    found = [rails("POM_5V_IN", "POM_5V_GPU", "POM_5V_CPU")]
    power, verdict = choose_power(nano, found, PowerSettings(total=total), estimates=False)
    assert power is None and said in verdict.detail
    parts = PowerSettings(total=("POM_5V_GPU", "POM_5V_CPU"))
    apart, _ = choose_power(nano, found, parts, estimates=False)
    assert apart is not None and apart.total == ("POM_5V_GPU", "POM_5V_CPU")


def test_a_missing_rail_is_not_replaced_by_what_is_there() -> None:
    board = recognise(["nvidia,p3450-0000"])
    power, verdict = choose_power(board, [rails("POM_5V_GPU")], PowerSettings(), estimates=True)
    assert power is None
    assert "POM_5V_IN" in verdict.detail


def test_the_nano_without_a_sensor_says_so() -> None:
    board = recognise(["nvidia,p3450-0000+p3448-0003", "nvidia,tegra210"])
    assert board.name == "jetson-nano-2gb"
    _, verdict = choose_power(board, [], PowerSettings(), estimates=True)
    assert "no power sensor" in verdict.detail


def test_measured_comes_before_estimated() -> None:
    board = recognise(["nvidia,p3450-0000"])
    power, _ = choose_power(board, [ESTIMATE, rails("POM_5V_IN")], STATED, estimates=True)
    assert power is not None and power.source is Source.MEASURED


def test_an_estimate_states_its_assumption_and_can_be_declined() -> None:
    power, _ = choose_power(GENERIC, [ESTIMATE], STATED, estimates=True)
    assert power is not None and power.source is Source.ESTIMATED
    assert "2 W idle and 6 W" in power.note and "assumptions" in power.note
    power, verdict = choose_power(GENERIC, [ESTIMATE], STATED, estimates=False)
    assert power is None
    assert (verdict.status, verdict.reasons) == (Status.UNMEASURED, (Reason.DECLINED,))


def test_energy_that_was_not_asked_for_is_not_called_declined() -> None:
    settings = asked(STATED, "none")
    power, verdict = choose_power(GENERIC, [ESTIMATE], settings, estimates=True)
    assert power is None
    assert (verdict.status, verdict.reasons) == (Status.UNMEASURED, (Reason.NOT_ASKED,))
    assert in_words(verdict) == "not measured (not asked for)"


def test_an_unreadable_counter_is_passed_over_with_its_reason() -> None:
    locked = {**ESTIMATE, "name": "rapl", "source": "counter", "problem": "needs root to read"}
    power, verdict = choose_power(GENERIC, [locked, ESTIMATE], STATED, estimates=True)
    assert power is not None and power.sensor == "estimate"
    assert "needs root" in verdict.detail


def test_a_sensor_that_was_named_is_never_replaced() -> None:
    settings = PowerSettings(sensor="ina3221", estimate=STATED.estimate)
    power, verdict = choose_power(GENERIC, [ESTIMATE], settings, estimates=True)
    assert power is None
    assert "ina3221: not found" in verdict.detail
