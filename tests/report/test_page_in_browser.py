"""The page in a real browser: what a person does with it, and what it must never do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, start_browser
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from bench.records.case import Case
from bench.report.page import write_joint_report, write_report
from bench.store.reader import Run

from .conftest import Synthetic

EVIL = "<script>alert(1)</script>"
MORE_EVIL = '"><img src=https://example.org/x onerror=alert(2)>'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = start_browser()
    yield found
    found.close()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two runs with figures, a failure and names that want to be more than names."""
    synthetic = Synthetic(tmp_path_factory.mktemp("results"))
    cases = [
        *synthetic.cases("nano"),
        Case(device="nano", model=EVIL, scheme="dense"),
        Case(device=EVIL, model=MORE_EVIL, scheme="dense"),
    ]
    return [
        synthetic.write(
            cases,
            power=synthetic.ina3221,
            load_w=3.0,
            failures={4: {"reason": "load", "text": EVIL, "detail": ""}},
            probes={EVIL: {"board": {"model": MORE_EVIL}}},
            command=("bench", "run", "--model", EVIL),
            device_errors={EVIL: MORE_EVIL},
            run_id=f"202611{day}-nano",
            started_at=f"2026-11-{day}T03:50:12+00:00",
        )
        for day in (20, 24)
    ]


@pytest.fixture(scope="module")
def page(runs: list[Run]) -> Path:
    """The page of one run."""
    return write_report(runs[0]).page


@pytest.fixture(scope="module")
def joint_page(runs: list[Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page over both."""
    return write_joint_report(runs, tmp_path_factory.mktemp("pages") / "joint.html").page


@pytest.fixture(params=["page", "joint_page"])
def either(request: pytest.FixtureRequest) -> Path:
    """The page of one run, then that of several."""
    found: Path = request.getfixturevalue(request.param)
    return found


def shown(browser: Browser) -> list[str]:
    """The cases in the table that can be seen, in order."""
    rows = browser.driver.find_elements(By.CSS_SELECTOR, "#cases tbody tr")
    return [row.find_element(By.TAG_NAME, "th").text for row in rows if row.is_displayed()]


def head(browser: Browser, name: str) -> Any:
    return browser.driver.find_element(By.XPATH, f"//thead//button[text()='{name}']")


def open_power(browser: Browser) -> None:
    """Open power to zoom into, which only the page of one run has."""
    for button in browser.driver.find_elements(By.CSS_SELECTOR, ".timeline .open")[:1]:
        button.click()
        WebDriverWait(browser.driver, 60).until(lambda _, it=button: not it.is_displayed())


def test_nothing_is_asked_for_and_nothing_goes_wrong(browser: Browser, either: Path) -> None:
    browser.open(either)
    open_power(browser)
    asked = browser.requests()
    assert either.as_uri() in asked
    outside = [url for url in asked if url != either.as_uri() and not url.startswith("data:")]
    assert [url for url in outside if not url.startswith("blob:")] == []
    assert browser.messages() == []


def test_names_are_inert(browser: Browser, either: Path) -> None:
    browser.open(either)
    assert browser.messages() == []
    assert (
        browser.run("return document.querySelectorAll('[onerror], tbody script, tbody img').length")
        == 0
    )
    assert f"{EVIL} dense" in shown(browser)
    text = browser.run("return document.body.innerText")
    assert MORE_EVIL in text
    # Nor would one run that got through: only the page's own script is allowed.
    browser.run(
        "const made = document.createElement('script');"
        "made.textContent = 'window.broken = 1'; document.body.append(made);"
    )
    assert browser.run("return window.broken === undefined")
    assert any("Content Security Policy" in message for message in browser.messages())


def test_the_table_sorts_by_number_and_back(browser: Browser, page: Path) -> None:
    browser.open(page)
    before = shown(browser)
    head(browser, "latency p50").click()
    rising = shown(browser)
    medians_s = browser.run(
        "return [...document.querySelectorAll('#cases tbody tr')]"
        ".map((row) => row.cells[2].dataset.sort)"
    )
    known = [float(value) for value in medians_s if value is not None]
    assert known == sorted(known)
    assert medians_s[-1] is None, "a case without a figure comes last"
    assert rising != before
    head(browser, "latency p50").click()
    falling = shown(browser)
    assert falling[: len(known)] == rising[: len(known)][::-1]
    assert falling[-1] == rising[-1] == f"{EVIL} dense"
    column = browser.driver.find_element(By.XPATH, "//thead//th[.//button[text()='latency p50']]")
    assert column.get_attribute("aria-sort") == "descending"


def test_the_table_is_filtered_by_words_and_by_status(browser: Browser, page: Path) -> None:
    browser.open(page)
    every = shown(browser)
    words = browser.driver.find_element(By.NAME, "words")
    words.send_keys("basis runtime")
    assert shown(browser) == ["shufflenet_v2_x1_0 basis:0.25 runtime"]
    count = browser.driver.find_element(By.ID, "count")
    assert count.text == f"1 of {len(every)} cases"
    words.clear()
    words.send_keys(Keys.SPACE, Keys.BACKSPACE)
    assert shown(browser) == every
    Select(browser.driver.find_element(By.NAME, "status")).select_by_visible_text("failed")
    assert shown(browser) == [f"{EVIL} dense"]
    Select(browser.driver.find_element(By.NAME, "status")).select_by_visible_text("all")
    Select(browser.driver.find_element(By.NAME, "device")).select_by_visible_text("nano")
    assert len(shown(browser)) == len(every) - 1


def test_all_of_it_can_be_reached_with_the_keyboard(browser: Browser, either: Path) -> None:
    browser.open(either)
    active = browser.driver.switch_to.active_element
    active.send_keys(Keys.TAB)
    focused = browser.driver.switch_to.active_element
    assert focused.text == "Skip to the answer"
    assert focused.is_displayed() and focused.location["x"] >= 0
    focused.send_keys(Keys.ENTER)
    assert browser.driver.current_url.endswith("#answer")
    button = head(browser, "file size")
    browser.run("arguments[0].focus()", button)
    outline = browser.run("return getComputedStyle(arguments[0]).outlineStyle", button)
    assert outline == "solid"
    button.send_keys(Keys.ENTER)
    assert browser.driver.find_elements(By.CSS_SELECTOR, "th[aria-sort='ascending']")
    reached = set()
    for _ in range(80):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.add(
            browser.run("return document.activeElement.id || document.activeElement.className")
        )
    # Power to zoom into is on the page of one run alone.
    zoomable = browser.driver.find_elements(By.CSS_SELECTOR, ".timeline .open")
    assert {"scroll", *(["open"] if zoomable else ["pan"])} <= reached


def test_colours_follow_the_system_and_the_switch(browser: Browser, either: Path) -> None:
    def background() -> str:
        return browser.run("return getComputedStyle(document.body).backgroundColor")

    browser.open(either)
    light = background()
    browser.open(either, scheme="dark")
    dark = background()
    assert light != dark
    switch = browser.driver.find_element(By.ID, "theme")
    assert switch.text == "Light colours"
    switch.click()
    assert background() == light
    switch.click()
    assert background() == dark
    figure = browser.driver.find_element(By.TAG_NAME, "figure")
    assert "invert" in browser.run("return getComputedStyle(arguments[0]).filter", figure)
    browser.command("Emulation.setEmulatedMedia", media="print", features=[])
    assert background() == light, "paper is white"
    browser.command("Emulation.setEmulatedMedia", media="", features=[])


def test_what_is_folded_away_is_printed(browser: Browser, either: Path) -> None:
    closed = "document.querySelectorAll('details:not([open])').length"
    browser.open(either)
    before = browser.run(f"return {closed}")
    assert before > 0
    browser.run(f"addEventListener('beforeprint', () => {{ window.onPaper = {closed}; }})")
    browser.command("Page.printToPDF")
    assert browser.run("return window.onPaper") == 0
    assert browser.run(f"return {closed}") == before, "as they were before"


def test_it_is_printed_without_script_too(browser: Browser, either: Path) -> None:
    def hidden() -> int:
        return browser.run(
            "return [...document.querySelectorAll('details:not([open]) > dl')]"
            ".filter((it) => !it.checkVisibility()).length"
        )

    browser.open(either)
    assert hidden() > 0
    # Without the event, which script waits for.
    browser.command("Emulation.setEmulatedMedia", media="print", features=[])
    assert hidden() == 0
    browser.command("Emulation.setEmulatedMedia", media="", features=[])


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_no_serious_fault_for_those_who_cannot_see_it(
    browser: Browser, either: Path, width: int, scheme: str
) -> None:
    browser.open(either, width, scheme)
    open_power(browser)
    assert browser.faults() == []


def test_a_narrow_window_needs_no_scrolling_sideways(browser: Browser, either: Path) -> None:
    browser.open(either, 390)
    open_power(browser)
    width = browser.run("return document.documentElement.scrollWidth")
    wide = browser.run(
        "return [...document.querySelectorAll('body *')].filter((it) =>"
        " it.getBoundingClientRect().right > 391 && !it.closest('.scroll, .pan'))"
        ".map((it) => it.outerHTML.slice(0, 80))"
    )
    assert width <= 390, wide


def test_power_can_be_zoomed_into_and_cases_shown_alone(browser: Browser, page: Path) -> None:
    browser.open(page)
    open_power(browser)
    plot = "Bokeh.documents[0].get_model_by_name(document.querySelector('.timeline').dataset.name)"

    def span_s() -> float:
        start, end = browser.run(f"const x = {plot}.x_range; return [x.start, x.end]")
        return float(end - start)

    whole_s = span_s()
    press = {
        name: browser.driver.find_element(By.CSS_SELECTOR, f".timeline [data-move='{name}']")
        for name in ("in", "left", "all")
    }
    press["in"].click()
    assert span_s() == pytest.approx(whole_s / 2)
    press["left"].click()
    assert span_s() == pytest.approx(whole_s / 2)
    press["all"].click()
    assert span_s() == pytest.approx(whole_s)
    Select(browser.driver.find_element(By.CSS_SELECTOR, ".timeline select")).select_by_index(1)
    visible = browser.run(
        f"return {plot}.renderers.filter((it) => it.visible && it.tags.length)"
        ".map((it) => it.tags[0])"
    )
    assert set(visible) == {"t001"}
    assert browser.messages() == []


def test_without_script_the_page_still_says_it_all(browser: Browser, page: Path) -> None:
    browser.open(page, script=False)
    found = browser.command("Accessibility.getFullAXTree")["nodes"]
    browser.command("Emulation.setScriptExecutionDisabled", value=False)
    names = [node.get("name", {}).get("value", "") for node in found]
    roles = {node.get("role", {}).get("value", "") for node in found}
    text = " ".join(names)
    assert "What it costs, against the dense network" in text
    assert "6.217 ms" in text
    assert any("median latency per case" in name for name in names)
    assert "table" in roles
    # What only script makes work is not offered.
    assert "searchbox" not in roles
    assert not any("Zoom into power" in name for name in names)


def test_a_page_over_several_runs_is_filtered_by_run(browser: Browser, joint_page: Path) -> None:
    browser.open(joint_page)
    every = shown(browser)
    Select(browser.driver.find_element(By.NAME, "run")).select_by_visible_text("20261120-nano")
    assert shown(browser) == every[len(every) // 2 :], "the newest run is first"
    head(browser, "run").click()
    assert len(shown(browser)) == len(every) // 2
    assert browser.messages() == []


def test_a_page_over_several_runs_without_script(browser: Browser, joint_page: Path) -> None:
    browser.open(joint_page, script=False)
    found = browser.command("Accessibility.getFullAXTree")["nodes"]
    browser.command("Emulation.setScriptExecutionDisabled", value=False)
    text = " ".join(node.get("name", {}).get("value", "") for node in found)
    assert "What it costs, against the dense network" in text
    assert "latency and energy of each case over time" in text
    assert "6.2" in text
