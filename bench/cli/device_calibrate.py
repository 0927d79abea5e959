"""``bench devices calibrate``: what a meter said of a board's sensor corrects later runs."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli import options
from bench.cli.output import emit_json, people
from bench.config.devices_file import find_device, load_devices
from bench.errors import ConfigError
from bench.fleet.evaluation import completed
from bench.onboarding.calibrating import calibration_of
from bench.onboarding.entry import file_to_write, set_calibration
from bench.records.power import PowerCalibration
from bench.report import format as fmt
from bench.store.reader import open_run


@click.command()
@click.argument("name")
@click.option("--from", "run_id", metavar="RUN", help="A run with an external meter.")
@click.option(
    "--scope-differs", is_flag=True, help="Also if sensor and meter do not cover the same."
)
@click.option("--remove", "remove_it", is_flag=True, help="Take the calibration out instead.")
@options.results_dir
@options.devices_file
@options.as_json
def calibrate(
    name: str,
    run_id: str | None,
    scope_differs: bool,
    remove_it: bool,
    results_dir: Path,
    devices_path: Path | None,
    as_json: bool,
) -> None:
    """Correct a device's power sensor by what an external meter showed in a run.

    Gain and offset go into devices.yaml. Energy of later runs is corrected by them; what was
    measured before stays as it is.
    """
    if remove_it == (run_id is not None):
        raise ConfigError("give either --from RUN or --remove")
    path = file_to_write(devices_path)
    before = find_device(load_devices(devices_path), name).power.calibration
    after, jobs = None, 0
    if run_id is not None:
        run = completed(open_run(run_id, results_dir))
        found = calibration_of(run, name, scope_differs=scope_differs)
        after, jobs = found.calibration, found.jobs
    set_calibration(path, name, after)
    if as_json:
        both = {"before": before, "after": after}
        told = {key: item and item.model_dump(mode="json") for key, item in both.items()}
        emit_json({"name": name, "file": str(path), **told, "jobs": jobs})
        return
    lines = [f"before: {_words(before)}", f"after: {_words(after)}"]
    if jobs > 1:
        lines.append(f"combined from {jobs} jobs, weighted by their errors")
    if after is not None:
        lines.append(f"written to {path}; runs from now on are corrected by it")
    for line in lines:
        people().print(f"{name}: {line}", markup=False, soft_wrap=True)


def _words(found: PowerCalibration | None) -> str:
    if found is None:
        return "not calibrated"
    middle_w = (found.low_w + found.high_w) / 2
    known = ""
    if middle_w > 0:
        known = f"; power within ±{100 * found.error_at(middle_w):.2g} % at {fmt.watts(middle_w)}"
    own = "" if found.meter_gain_error is not None else ", without the meter's own error"
    return (
        f"{found.sensor} ({', '.join(found.total)}) reads {found.offset_w:.3g} "
        f"± {found.offset_half_width_w:.2g} W + {found.gain:.4g} ± {found.gain_half_width:.2g} "
        f"times the power{known}{own if known else ''} ({found.words})"
    )
