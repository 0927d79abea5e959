"""A real browser: Debian's Chromium, without a window, driven by Selenium."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"


class Browser:
    """One Chromium; every page is opened afresh, with what was asked of it before."""

    def __init__(self) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        try:
            self.driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        except WebDriverException as error:
            raise RuntimeError(
                f"no Chromium ({str(error.msg).strip()}); "
                "type: apt-get install --no-install-recommends chromium chromium-driver"
            ) from error
        self.driver.set_page_load_timeout(60)
        self.driver.set_script_timeout(60)

    def close(self) -> None:
        self.driver.quit()

    def open(
        self, page: Path, width: int = 1280, scheme: str = "light", script: bool = True
    ) -> None:
        """Open a page in a window of this width; what was logged before is forgotten."""
        self.command("Emulation.setScriptExecutionDisabled", value=not script)
        self.command(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.messages()
        self.requests()
        self.driver.get(page.resolve().as_uri())

    def command(self, name: str, **values: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, values)

    def run(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, *values)

    def messages(self) -> list[str]:
        """Warnings and errors of the console since this was last asked."""
        return [
            f"{entry['level']}: {entry['message']}"
            for entry in self.driver.get_log("browser")
            if entry["level"] != "INFO"
        ]

    def requests(self) -> list[str]:
        """The addresses that were asked for since this was last asked."""
        events = (
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        )
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def faults(self) -> list[str]:
        """Serious and critical faults that axe-core finds on the open page."""
        axe = resources.files("axe_playwright_python") / "axe.min.js"
        self.run(axe.read_text(encoding="utf-8") + "; window.axe = axe;")
        found = self.driver.execute_async_script(
            "const done = arguments[0];"
            "axe.run().then((result) => done(result), (error) => done({error: String(error)}));"
        )
        assert found["passes"], found
        return [
            f"{fault['impact']}: {fault['id']}: {node['html'][:200]}"
            for fault in found["violations"]
            if fault["impact"] in ("serious", "critical")
            for node in fault["nodes"]
        ]


def start_browser() -> Browser:
    """Start Chromium, or fail the test that wants it in one line."""
    try:
        return Browser()
    except RuntimeError as error:
        pytest.fail(str(error), pytrace=False)
