"""Names from boards, files and other people: on pages, in file names, on terminals, in commands."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from sshd import Sshd

from bench.agent import wire
from bench.analysis.journal import recordings
from bench.analysis.validity import evaluate
from bench.cli import main
from bench.cli.output import people, tables
from bench.config.device_settings import SshDevice
from bench.device.local import LocalTransport
from bench.errors import AgentError, ConfigError
from bench.fleet.connection import open_transport
from bench.plan.procedures import PROCEDURES
from bench.records.case import Case
from bench.records.manifest import Manifest
from bench.records.power import PowerSource
from bench.records.status import Source
from bench.report.canvas import paper
from bench.report.material import material_of
from bench.report.page import ReportPaths, write_report
from bench.report.plots import PLOTS, draw_plot
from bench.store.reader import Run, open_run
from bench.store.writer import RunWriter

SCRIPT = "<script>alert(1)</script>"
IMAGE = "\"'><img src=x onerror=alert(1)>"
PATH = "../../../../tmp/bench-was-here"
ESCAPE = "\x1b]0;owned\x07\x1b[2J\x9b31m"
TURNED = "\u202egnp.exe\u2066\u200b"
COMMAND = "$(touch bench-was-here)`touch bench-was-here`;touch bench-was-here"
EVIL = [SCRIPT, IMAGE, PATH, ESCAPE, TURNED, COMMAND, "a\nb\0c", "--help", "]]>-->", "x" * 3000]
ALL = " ".join(EVIL[:-1])
RECORDED = Path(__file__).with_name("recorded-journal.jsonl").read_bytes()
OURS = re.compile(r"\x1b\[[0-9;]*m")
"""Colours of rich."""


def renamed(value: Any, names: dict[str, str]) -> Any:
    """JSON with some of its texts, keys included, replaced."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, list):
        return [renamed(item, names) for item in value]
    if isinstance(value, dict):
        return {renamed(k, names): renamed(v, names) for k, v in value.items()}
    return value


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A stored run in which everything that has a name has a bad one."""
    cases = [
        Case(device=ALL, model=SCRIPT, power_mode=ESCAPE),
        Case(device=PATH, model=PATH, scheme=IMAGE, weights=COMMAND),
        Case(device=PATH, model="x" * 3000, scheme=TURNED),
    ]
    names = {
        "VDD_IN": ESCAPE + SCRIPT,
        "CPU-therm": IMAGE,
        "cpu0": TURNED,
        "schedutil": ESCAPE,
        "MAXN": SCRIPT,
        "1.32.0": ESCAPE,
        "CPUExecutionProvider": IMAGE,
        "file artifacts/none.onnx is not on the board": ALL,
        "load": SCRIPT,
        "max-rounds": ESCAPE + IMAGE,
        "net/dense/onnxruntime/fp32/b1/t1": cases[0].key,
        "broken/dense/onnxruntime/fp32/b1/t1": cases[1].key,
    }
    records = renamed(wire.decode_records(RECORDED)[0], names)
    power = PowerSource(
        sensor="ina3221",
        source=Source.MEASURED,
        scope=ESCAPE + SCRIPT,
        total=(ESCAPE + SCRIPT,),
        channels=(ESCAPE + SCRIPT, "VDD_CPU"),
        unit="W",
        lag_s=0.05,
        resolution_w=0.04,
        gain_error=0.05,
        note=ALL,
    )
    facts = {"board": {"model": ALL, "compatible": EVIL}, "temperature_c": {SCRIPT: 1.0, TURNED: 2}}
    manifest = Manifest(
        run_id="20261124-035012-x-a1b2",
        started_at=f"2026-11-24T03:50:12{SCRIPT}",
        command=("bench", *EVIL),
        git_revision=IMAGE,
        versions={ESCAPE: SCRIPT},
        procedure=PROCEDURES["quick"],
        devices={ALL: {"transport": "local"}},
        cases=tuple(cases),
        probes={ALL: facts, PATH: facts},
        device_errors={ALL: ALL, ESCAPE: IMAGE},
    )
    writer = RunWriter.create(tmp_path / "results", manifest)
    found = recordings(records, [], [case.key for case in cases])
    for number, case in enumerate(cases[:2]):
        trial = evaluate(
            found[case.key],
            case,
            PROCEDURES["quick"],
            power,
            run_id=manifest.run_id,
            trial_id=f"t00{number}",
        )
        assert (trial.latency is None) == (number == 1)
        writer.append(trial, found[case.key])
    writer.close()
    return open_run(writer.path, tmp_path / "results")


@pytest.fixture
def report(run: Run) -> ReportPaths:
    return write_report(run)


@pytest.mark.parametrize("chart", PLOTS)
def test_charts_hold_names_as_text(run: Run, chart: str) -> None:
    form = paper(3.5)
    try:
        drawn = draw_plot(chart, material_of((run,)), "svg", form)
    except ConfigError as error:
        assert "nothing to draw" in str(error)
        return
    assert {element.tag.rpartition("}")[2] for element in ET.fromstring(drawn.figure).iter()} <= {
        *("svg", "metadata", "RDF", "Work", "type", "format", "defs", "style", "clipPath", "rect"),
        *("g", "path", "use", "text", "tspan", "pattern"),
    }
    assert list(csv.DictReader(io.StringIO(drawn.data.decode(), newline="")))


class Elements(HTMLParser):
    """Collects the elements of a page and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_names_and_obeys_none(report: ReportPaths) -> None:
    page = Elements(report.page.read_text(encoding="utf-8"))
    assert "<script>alert(1)</script>" in page.text
    assert "onerror=alert(1)" in page.text
    for tag, attributes in page.found:
        assert tag not in ("iframe", "object", "embed", "link", "base")
        assert not any(name.startswith("on") for name in attributes)
        assert tag != "img" or (attributes["src"] or "").startswith("data:image/")
        assert tag != "a" or (attributes["href"] or "").startswith("#")
        assert "action" not in attributes
    assert all(letter.isprintable() or letter in "\n\t" for letter in page.text)


def test_only_the_page_s_own_script_may_run(report: ReportPaths) -> None:
    text = report.page.read_text(encoding="utf-8")
    page = Elements(text)
    run = [attributes for tag, attributes in page.found if tag == "script" and not attributes]
    assert len(run) == 1, "the others hold data"
    script = text.rpartition("<script>")[2].rpartition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(found["content"] for _, found in page.found if "http-equiv" in found) or ""
    assert "default-src 'none'" in policy
    scripts = policy.partition("script-src ")[2].partition(";")[0].split()
    assert f"'sha256-{digest}'" in scripts
    # The other one is Bokeh's.
    assert all(found.startswith("'sha256-") for found in scripts) and len(scripts) <= 2


def test_charts_are_well_formed_and_hold_no_script(report: ReportPaths) -> None:
    charts = [path for path in report.charts if path.suffix == ".svg"]
    assert charts
    for path in charts:
        elements = list(ET.parse(path).iter())
        assert not any(str(item.tag).endswith("}script") for item in elements)
        assert not any(name.lower().startswith("on") for item in elements for name in item.attrib)


def test_files_stay_in_the_run_s_folder(run: Run, report: ReportPaths, tmp_path: Path) -> None:
    for path in report.files:
        assert path.resolve().is_relative_to(run.path)
    for path in tmp_path.rglob("*"):
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,120}", path.name)
        assert path.resolve().is_relative_to(run.path.parent)
    assert not Path("/tmp/bench-was-here").exists()


@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize(
    "command",
    [
        ["results", "show", "2026"],
        ["results", "show", "2026", "--json"],
        ["results", "list"],
        ["report"],
        ["compare", "2026#t000", "2026#t001", "--explain"],
        ["compare", "2026#t000", "2026#t001", "--format", "markdown"],
        ["compare", "2026#t000", "2026#t001", "--format", "junit"],
        ["compare", "2026#nothing", "2026#t001"],
    ],
    ids=" ".join,
)
def test_a_terminal_is_told_nothing_but_text_and_colours(
    run: Run,
    command: list[str],
    colours: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if colours:
        monkeypatch.setenv("FORCE_COLOR", "1")
    main([*command, "--results", str(run.path.parent)])
    said = capsys.readouterr()
    text = OURS.sub("", said.out + said.err)
    assert text
    assert all(letter.isprintable() or letter in "\n\t" for letter in text)
    if "--json" in command:
        document = json.loads(said.out)
        assert document["manifest"]["device_errors"][ALL] == ALL


def test_errors_with_the_words_of_a_board_are_text_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AgentError(ALL, detail=ALL)

    monkeypatch.setattr("bench.cli.cli.main", fail)
    assert main(["results", "list"]) == 4
    for console in (people(), tables()):
        console.print(ALL, markup=False)
    said = capsys.readouterr()
    assert all(letter.isprintable() or letter in "\n\t" for letter in said.out + said.err)


def test_a_board_with_such_names_is_probed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    chip = root / "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    zone = root / "sys/class/thermal/thermal_zone0"
    for path, text in {
        chip / "in1_label": ESCAPE + SCRIPT,
        chip / "in1_input": "5000",
        chip / "curr1_input": "800",
        chip / "in2_label": COMMAND,
        chip / "in2_input": "5000",
        chip / "curr2_input": "800",
        zone / "type": IMAGE + TURNED,
        zone / "temp": "41000",
        root / "proc/device-tree/model": ALL,
        root / "proc/device-tree/compatible": PATH + "\0" + SCRIPT,
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    devices = tmp_path / "devices.yaml"
    work_dir = tmp_path / "board"
    devices.write_text(
        f"devices: {{here: {{transport: local, root: {root}, work_dir: {work_dir}, lock: lock}}}}\n"
    )
    assert main(["devices", "probe", "here", "--devices", str(devices)]) == 0
    said = capsys.readouterr()
    assert SCRIPT in said.out and "$(touch" in said.out
    assert all(letter.isprintable() or letter == "\n" for letter in said.out + said.err)
    assert not list(tmp_path.rglob("bench-was-here"))


@pytest.mark.parametrize("way", ["local", "ssh"])
def test_arguments_reach_a_program_as_they_are(
    way: str, sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.chdir(tmp_path)
    words = [*(text.replace("\0", "") for text in EVIL), "", " ", "'", '"', "\\", "*", "~", "é\n"]
    if way == "local":
        transport: Any = LocalTransport()
    else:
        transport = open_transport(SshDevice(**sshd.device()))
    try:
        code = "import os, sys, json; print(json.dumps([os.fsencode(x).hex() for x in sys.argv]))"
        done = transport.run([sys.executable, "-c", code, *words], timeout_s=30)
    finally:
        transport.close()
    assert done.status == 0, done.stderr
    assert [bytes.fromhex(x).decode() for x in json.loads(done.stdout)[1:]] == words
    assert not list(tmp_path.rglob("bench-was-here"))
    assert not (Path.home() / "bench-was-here").exists()


def test_names_are_kept_whole_where_they_are_data(run: Run) -> None:
    trial = run.trials[0]
    assert trial.case.model == SCRIPT and trial.case.device == ALL
    (channels,) = {segment.trace.channels for segment in run.power(trial.trial_id)}
    assert channels == (ESCAPE + SCRIPT, "VDD_CPU")
    assert trial.facts["runtime_version"] == ESCAPE
