"""The page, the charts and the table of stored runs."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from bench.errors import StoreError
from bench.records.case import Case
from bench.report.page import write_report
from bench.report.table import summary_table
from bench.store.reader import Run

from .conftest import Synthetic

EVIL = "<script>alert(1)</script>"
CRASH = {"reason": "crash", "text": "worker ended by SIGSEGV in round 7", "detail": "x"}
PARITY = {"reason": "parity", "text": "outputs differ: cosine 0.31"}


class Page(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def images(self) -> list[bytes]:
        uris = [attrs["src"] for tag, attrs in self.tags if tag == "img"]
        return [base64.b64decode(uri.split(",", 1)[1]) for uri in uris]

    def drawings(self) -> list[ET.Element]:
        """Those of the images that are SVG."""
        return [ET.fromstring(image) for image in self.images() if image.startswith(b"<?xml")]


def table_text(run, width=160) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(summary_table(run))
    return console.file.getvalue()


def report(run) -> tuple[Page, str]:
    paths = write_report(run)
    text = paths.page.read_text()
    for path in paths.files:
        assert path.is_relative_to(run.path)
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert min(image.size) > 200
        elif path.suffix == ".svg":
            ET.parse(path)
    return Page(text), text


ALWAYS = {
    "distribution",
    "energy",
    "energy-parts",
    "latency",
    "memory",
    "over-time",
    "pareto",
    "power",
}
"""Charts of a run without accuracies, power modes and lasting load."""


def charts(run) -> set[str]:
    """The names of the charts, each of which is there in both kinds."""
    names = {path.name for path in (run.path / "charts").iterdir()}
    stems = {Path(name).stem for name in names}
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}
    return stems


@pytest.fixture(scope="module")
def default(tmp_path_factory) -> tuple[Run, Page, str]:
    """The default run with its page, for tests that only read: drawing takes longest."""
    synthetic = Synthetic(tmp_path_factory.mktemp("default"))
    run = synthetic.write(synthetic.cases())
    return run, *report(run)


def test_the_default_run(default):
    run, page, _ = default
    assert charts(run) == ALWAYS
    assert len(page.images()) == len(ALWAYS)
    for words in (
        "basis:0.25 factored",
        "est. ",
        "estimated · model of CPU time",
        "10 W idle and 25 W busy are assumptions",
        "is a first look",
        "bench run",
        "ac3b5c6f0c2e4b7d9a1f",
        "1.32.0",
        "generic Linux",
        "7.34 MiB",
    ):
        assert words in page.text


def test_what_is_inconclusive_is_explained_in_words(default):
    run, page, _ = default
    verdicts = [trial.energy_status for trial in run.trials if trial.energy_status.reasons]
    assert verdicts
    for verdict in verdicts:
        assert verdict.detail in page.text


def test_the_page_needs_nothing_else(default):
    _, page, text = default
    assert not re.search(r"https?://|@import|url\(|<link", text)
    for tag, attrs in page.tags:
        for name in ("src", "href", "srcset", "action"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:image/", "#")), tag
    policy = next(attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'; img-src data:;")
    scripts = policy.partition("script-src ")[2].partition(";")[0].split()
    assert len(scripts) == 2
    assert all(allowed.startswith("'sha256-") for allowed in scripts)
    assert page.drawings()
    for image in page.drawings():
        for element in image.iter():
            for name, value in element.attrib.items():
                if name.endswith("href"):
                    assert value.startswith("#")


def test_names_from_models_and_boards_are_escaped(synthetic):
    cases = [
        Case(device=EVIL, model=EVIL, scheme="dense"),
        Case(device=EVIL, model='x$\\frac{1}$&amp;"><img src=x onerror=alert(1)>', scheme="--><b>"),
    ]
    run = synthetic.write(
        cases,
        failures={1: {"reason": "load", "text": f"{EVIL}\n&amp;", "detail": ""}},
        probes={EVIL: {EVIL: [{"name": EVIL, "scope": EVIL}]}},
        command=("bench", EVIL),
        device_errors={EVIL: EVIL},
    )
    page, text = report(run)
    assert EVIL not in text
    assert not [attrs for tag, attrs in page.tags if "onerror" in attrs]
    assert len([tag for tag, _ in page.tags if tag == "img"]) == len(page.images())
    assert EVIL in page.text
    assert page.drawings()
    for image in page.drawings():
        assert "script" not in {element.tag.rpartition("}")[2] for element in image.iter()}
    for path in (run.path / "charts").iterdir():
        assert re.fullmatch(r"[\w.-]+", path.name)
    assert EVIL in table_text(run)


def test_measured_energy_with_a_failed_and_a_missing_case(synthetic):
    run = synthetic.write(
        [*synthetic.cases("nano"), Case(device="nano", model="other")],
        power=synthetic.ina3221,
        load_w=3.0,
        failures={3: CRASH},
        skip=(4,),
        interrupted=True,
        finished_at=None,
    )
    page, _ = report(run)
    assert "measured · module · ina3221" in page.text
    assert "est. " not in page.text.replace("“est.” marks", "")
    assert "failed: crash" in page.text
    assert CRASH["text"] in page.text
    assert "This run was interrupted" in page.text
    assert "1 of 5 cases have no trial" in page.text
    text = table_text(run)
    assert "failed: crash" in text
    assert "not measured: interrupted" in text
    assert text.count("measured") >= 4


def test_all_failed(synthetic):
    run = synthetic.write(synthetic.cases(), failures=dict.fromkeys(range(4), PARITY))
    page, text = report(run)
    assert text.count('<span class="figure">failed: parity</span>') == 4
    assert "Nothing to say" not in page.text
    assert "No comparison: the dense case gave no figures (failed: parity)." in page.text
    assert PARITY["text"] in page.text
    assert not charts(run)
    assert not page.images()
    assert " ms" not in page.text


def test_no_energy_is_a_dash(synthetic):
    run = synthetic.write(synthetic.cases(), power=None)
    page, _ = report(run)
    assert "estimate declined" in page.text
    assert " mJ" not in page.text
    assert " W" not in page.text
    assert charts(run) == ALWAYS - {"energy", "energy-parts", "pareto", "power"}
    text = table_text(run)
    assert "—" in text
    assert "0 J" not in text


def test_one_case(synthetic):
    run = synthetic.write(synthetic.cases()[:1])
    report(run)
    assert charts(run) == ALWAYS


def test_many_cases_on_two_devices(synthetic, twenty_four):
    # Pages of more are in test_page_of_odd_runs.py; drawing is what takes long.
    cases = [twenty_four[0], *twenty_four[12:14], *synthetic.cases("pi")[:2]]
    run = synthetic.write(cases, power=synthetic.ina3221)
    page, _ = report(run)
    assert charts(run) == {f"{stem}-{device}" for stem in ALWAYS for device in ("orin", "pi")}
    assert len(page.images()) == 2 * len(ALWAYS)
    assert "pi · shufflenet_v2_x1_0" in page.text
    assert "shufflenet_v2_x2_0 basis:26/53/106 runtime b8" in page.text


def test_cases_that_differ_only_in_threads_keep_different_names(synthetic):
    cases = [Case(device="local", model="net", threads=threads) for threads in (1, 2)]
    text = table_text(synthetic.write(cases))
    assert "b1/t1" in text
    assert "b1/t2" in text


@pytest.mark.parametrize("width", [80, 104, 160])
def test_the_table_fits_and_loses_nothing(synthetic, width):
    text = table_text(synthetic.write(synthetic.cases()), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    letters = "".join(re.sub(r"[^0-9A-Za-z.:]", "", line) for line in text.splitlines())
    for words in ("est.", "6.40", "7.34", "112"):
        assert words in letters


def test_a_report_can_be_written_again_and_is_the_same(synthetic):
    run = synthetic.write(synthetic.cases()[:1])
    first = {path: path.read_bytes() for path in write_report(run).files}
    second = {path: path.read_bytes() for path in write_report(run).files}
    assert first == second


def test_lost_raw_samples_do_not_cost_the_report(synthetic):
    run = synthetic.write(synthetic.cases()[:2])
    (run.path / "raw" / "t001.latency.parquet").write_bytes(b"nonsense")
    (run.path / "raw" / "t002.power.parquet").unlink()
    page, _ = report(run)
    assert "cannot read" in page.text
    # The distribution is drawn of what is left.
    assert charts(run) == ALWAYS


def test_a_page_that_cannot_be_written_is_one_line(synthetic):
    run = synthetic.write(synthetic.cases()[:1])
    (run.path / "charts").write_text("in the way")
    with pytest.raises(StoreError) as error:
        write_report(run)
    assert "\n" not in str(error.value)
