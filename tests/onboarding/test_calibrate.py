"""`bench devices calibrate`: what goes into devices.yaml, and which runs are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trial_figures import energy_stats

from bench.cli import main
from bench.config.devices_file import load_devices
from bench.errors import ConfigError
from bench.onboarding.calibrating import calibration_of
from bench.onboarding.entry import set_calibration
from bench.plan.procedures import find_procedure
from bench.records.case import Case
from bench.records.manifest import Manifest
from bench.records.power import Metered, PowerCalibration, SensorCalibration
from bench.records.status import Reason, Source, Status, Verdict
from bench.records.trial import Trial
from bench.store.reader import open_run
from bench.store.writer import RunWriter

RUN_ID = "20260101-000000-orin-abcd"
CALIBRATION = PowerCalibration(
    gain=0.97,
    offset_w=0.1,
    gain_half_width=0.01,
    offset_half_width_w=0.05,
    middle_w=4.0,
    low_w=2.0,
    high_w=6.0,
    sensor="ina3221",
    total=("VDD_IN",),
    meter="joulescope",
    run=RUN_ID,
)
OTHER = CALIBRATION.model_copy(update={"gain": 1.02, "run": "later"})
TEXT = """\
# My boards.
devices:

  first:            # the old one
    transport: ssh
    host: 'a.lan'   # in the lab
    power:          # its rails
      sensor: ina3221   # by name
      total: [VDD_IN]
    # of first

  # about second
  second:
    transport: local

  third: {transport: local, power: {sensor: rapl}}  # in braces
  # at the end
"""
VALID = Verdict(status=Status.VALID)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "devices.yaml"
    made.write_text(TEXT)
    return made


@pytest.mark.parametrize("name", ["first", "second"])
def test_what_was_there_stays_to_the_letter(path: Path, name: str) -> None:
    set_calibration(path, name, CALIBRATION)
    text = path.read_text()
    assert load_devices(path)[name].power.calibration == CALIBRATION
    assert "total: [VDD_IN]\n" in text
    left = text.splitlines()
    for line in TEXT.splitlines():
        assert line in left
        del left[: left.index(line) + 1]
    set_calibration(path, name, OTHER)
    assert load_devices(path)[name].power.calibration == OTHER
    assert path.read_text().count("calibration:") == 1
    set_calibration(path, name, None)
    assert path.read_text() == TEXT
    set_calibration(path, name, None)
    assert path.read_text() == TEXT


def test_settings_in_braces_stay_there(path: Path) -> None:
    set_calibration(path, "third", CALIBRATION)
    devices = load_devices(path)
    assert devices["third"].power.calibration == CALIBRATION
    assert devices["third"].power.sensor == "rapl"
    text = path.read_text()
    for comment in ("# in braces", "# at the end", "# by name", "# of first", "# about second"):
        assert comment in text
    set_calibration(path, "third", None)
    assert load_devices(path)["third"].power.calibration is None


@pytest.mark.parametrize(
    "text",
    [
        "devices:\n  a: {transport: local, power: &x {sensor: rapl}}\n"
        "  b: {transport: local, power: *x}\n",
        "devices:\n  a: &x\n    transport: local\n    power:\n      sensor: rapl\n"
        "  b:\n    <<: *x\n    threads: 2\n",
    ],
)
@pytest.mark.parametrize("name", ["a", "b"])
def test_what_devices_share_is_not_changed_for_one(path: Path, text: str, name: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError, match="left as it was"):
        set_calibration(path, name, CALIBRATION)
    assert path.read_text() == text
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_file_behind_a_link_with_relative_paths(path: Path, tmp_path: Path) -> None:
    path.write_text(TEXT.replace("    host: 'a.lan'", "    identity_file: key\n    host: 'a.lan'"))
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.yaml"
    link.symlink_to(path)
    set_calibration(link, "first", CALIBRATION)
    assert link.is_symlink()
    assert load_devices(path)["first"].power.calibration == CALIBRATION


LINE = SensorCalibration(
    sensor="ina3221",
    sensor_scope="module",
    meter="joulescope",
    meter_scope="module",
    gain=0.97,
    gain_low=0.96,
    gain_high=0.98,
    offset_w=0.1,
    offset_low_w=0.05,
    offset_high_w=0.15,
    windows=8,
    low_w=2.0,
    high_w=6.0,
    scatter_w=0.02,
    middle_w=4.0,
)


def metered(line=LINE, status=VALID) -> Metered:
    return Metered(
        status=status,
        energy=energy_stats(0.05, sensor="joulescope", gain_error=0.002),
        calibration=line,
    )


def stored(folder: Path, *trials: dict) -> Path:
    """A run on disk with a trial of the device `orin` each; the folder of results."""
    cases = [Case(device="orin", model=f"net{number}") for number in range(len(trials))]
    manifest = Manifest(
        run_id=RUN_ID,
        started_at="2026-01-01T00:00:00+00:00",
        finished_at="2026-01-01T00:01:00+00:00",
        command=("bench", "run"),
        git_revision=None,
        versions={},
        procedure=find_procedure("quick"),
        devices={"orin": {"transport": "local"}},
        cases=tuple(cases),
    )
    writer = RunWriter.create(folder, manifest)
    for number, changes in enumerate(trials):
        fields = {
            "trial_id": f"t{number + 1:03d}",
            "run_id": RUN_ID,
            "case": cases[number],
            "latency_status": VALID,
            "energy_status": VALID,
            "memory_status": VALID,
            "energy": energy_stats(0.05),
            "meter": metered(),
            "facts": {"power_source": {"total": ["VDD_IN"]}},
        }
        writer.append(Trial(**{**fields, **changes}), None)
    writer.close()
    return folder


def of(folder: Path, *trials: dict, device: str = "orin", **options):
    stored(folder, *trials)
    return calibration_of(open_run(RUN_ID, folder), device, **options)


def test_all_trials_of_a_job_are_one_line(tmp_path: Path) -> None:
    found = of(tmp_path, {}, {})
    assert found.jobs == 1
    expected = CALIBRATION.model_copy(update={"meter_gain_error": 0.002})
    assert found.calibration == expected


def test_jobs_are_combined(tmp_path: Path) -> None:
    again = LINE.model_copy(update={"low_w": 1.5, "windows": 9})
    found = of(tmp_path, {}, {"meter": metered(again)})
    assert found.jobs == 2
    assert found.calibration.gain == pytest.approx(0.97)
    assert found.calibration.gain_half_width < 0.01
    assert (found.calibration.low_w, found.calibration.high_w) == (1.5, 6.0)


DOUBT = Verdict(status=Status.INCONCLUSIVE, reasons=(Reason.THROTTLED,), detail="it was too hot")


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        ({"meter": None}, "no external meter was attached to orin"),
        ({"energy_status": DOUBT}, "the sensor's energy is inconclusive (it was too hot)"),
        ({"meter": metered(status=DOUBT)}, "the meter's energy is inconclusive (it was too hot)"),
        ({"meter": metered(None)}, "no line between sensor and meter"),
        ({"energy": energy_stats(0.05, source=Source.ESTIMATED)}, "is an estimate"),
        (
            {"meter": metered(LINE.model_copy(update={"meter_scope": "wall"}))},
            "ina3221 covers module and joulescope wall",
        ),
        (
            {"meter": metered(LINE.model_copy(update={"gain_low": -0.1, "gain_high": 2.04}))},
            "the gain of ina3221 is not known well enough",
        ),
    ],
)
def test_a_run_that_must_not_be_used(tmp_path: Path, trial: dict, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        of(tmp_path, trial)
    assert said in str(refused.value)
    assert RUN_ID in str(refused.value)


def test_trials_that_do_not_count_leave_the_others(tmp_path: Path) -> None:
    bad = LINE.model_copy(update={"gain": 3.0, "gain_high": 4.0})
    found = of(tmp_path, {}, {"meter": metered(bad), "energy_status": DOUBT})
    assert (found.jobs, found.calibration.gain) == (1, 0.97)


def test_jobs_by_different_rails_are_not_mixed(tmp_path: Path) -> None:
    other = {"facts": {"power_source": {"total": ["VDD_SOC"]}}}
    with pytest.raises(ConfigError, match="different sensors, rails or meters"):
        of(tmp_path, {}, other)


def test_another_scope_is_taken_when_asked_for(tmp_path: Path) -> None:
    wall = {"meter": metered(LINE.model_copy(update={"meter_scope": "wall"}))}
    assert of(tmp_path, wall, scope_differs=True).calibration.gain == 0.97


def test_the_command_shows_before_and_after(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = stored(tmp_path / "results", {})
    path = tmp_path / "devices.yaml"
    path.write_text("devices:\n  orin:\n    transport: local\n")
    where = ["--devices", str(path), "--results", str(results)]
    command = ["devices", "calibrate", "orin"]
    assert main([*command, "--from", RUN_ID, *where]) == 0
    said = capsys.readouterr().err
    assert "before: not calibrated" in said
    assert (
        "after: ina3221 (VDD_IN) reads 0.1 ± 0.05 W + 0.97 ± 0.01 times the power; power within "
        "±0.8 % at 4.0" in said
    )
    calibration = load_devices(path)["orin"].power.calibration
    assert calibration is not None and calibration.run == RUN_ID
    assert main([*command, "--remove", "--json", *where]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["before"]["gain"], told["after"]) == (0.97, None)
    assert path.read_text() == "devices:\n  orin:\n    transport: local\n"
    for words, hint in (
        (["orin"], "either --from RUN or --remove"),
        (["orin", "--remove", "--from", RUN_ID], "either --from RUN or --remove"),
        (["orion", "--from", RUN_ID], "did you mean 'orin'"),
    ):
        assert main(["devices", "calibrate", *words, *where]) == 2
        assert hint in capsys.readouterr().err
    assert main([*command, "--from", "no-such-run", *where]) != 0
    assert "no run no-such-run" in capsys.readouterr().err
    path.write_text("devices:\n  nano:\n    transport: local\n")
    assert main(["devices", "calibrate", "nano", "--from", RUN_ID, *where]) == 2
    assert "has no trial of nano" in capsys.readouterr().err
