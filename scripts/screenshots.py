"""Pictures of a report's page at two widths, light and dark, by a real browser."""

from __future__ import annotations

import argparse
import base64
import sys
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

WIDTHS = (1280, 390)
MOST_PIXELS = 16_000
"""Height of a picture: what Chromium can draw at once."""


def browser() -> webdriver.Chrome:
    """Return a headless Chromium, with the driver that Debian packs with it."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    # The sandbox does not start for root, and nothing but the page is opened.
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    return webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))


def picture(driver: webdriver.Chrome, page: Path, width: int, scheme: str, *, zoom: bool) -> bytes:
    """Return the whole page as a PNG; ``zoom``: with the zoomable power charts open."""
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.get(page.resolve().as_uri())
    if zoom:
        for button in driver.find_elements(By.CSS_SELECTOR, ".timeline .open"):
            driver.execute_script("arguments[0].click()", button)
            WebDriverWait(driver, 60).until(lambda _, it=button: not it.is_displayed())
    height = driver.execute_script("return document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, MOST_PIXELS), "scale": 1}
    taken = driver.execute_cdp_cmd(
        "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip}
    )
    return base64.b64decode(taken["data"])


def main() -> int:
    """Take the pictures of a page and print where they are."""
    parser = argparse.ArgumentParser(prog="screenshots", description=__doc__)
    parser.add_argument("page", type=Path, help="a report.html")
    parser.add_argument("-o", dest="folder", type=Path, default=Path("screenshots"))
    parser.add_argument("--zoom", action="store_true", help="with the zoomable power charts open")
    chosen = parser.parse_args()
    if not chosen.page.is_file():
        parser.error(f"there is no page {chosen.page}; `bench report RUN` writes one")
    chosen.folder.mkdir(parents=True, exist_ok=True)
    try:
        driver = browser()
    except WebDriverException as error:
        first = next(iter(str(error.msg).splitlines()), "")
        parser.error(f"no Chromium ({first}); type: apt-get install chromium chromium-driver")
    try:
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                path = chosen.folder / f"{width}-{scheme}.png"
                path.write_bytes(picture(driver, chosen.page, width, scheme, zoom=chosen.zoom))
                print(path)
    finally:
        driver.quit()
    return 0


if __name__ == "__main__":
    sys.exit(main())
