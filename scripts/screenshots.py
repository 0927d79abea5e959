"""Pictures of a page at two widths, light and dark, by a real browser: ``scripts/screenshots``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import WebDriverException

WIDTHS = {1280: 900, 390: 844}


def browser(width: int, height: int, *, dark: bool) -> webdriver.Chrome:
    """Return a headless Chromium with the driver that Debian packs with it."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    scheme = "dark" if dark else "light"
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    return driver


def picture(driver: webdriver.Chrome, width: int) -> bytes:
    """Return the whole page as a PNG, however long it is."""
    import base64

    height = min(driver.execute_script("return document.documentElement.scrollHeight"), 12_000)
    found = driver.execute_cdp_cmd(
        "Page.captureScreenshot",
        {
            "captureBeyondViewport": True,
            "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1},
        },
    )
    return base64.b64decode(found["data"])


def main() -> int:
    """Take the pictures of a page and print where they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, help="a report.html")
    parser.add_argument("-o", dest="folder", type=Path, default=Path("screenshots"))
    parser.add_argument("--zoom", action="store_true", help="open the zoomable power chart too")
    chosen = parser.parse_args()
    if not chosen.page.is_file():
        print(f"screenshots: there is no page {chosen.page}", file=sys.stderr)
        return 2
    chosen.folder.mkdir(parents=True, exist_ok=True)
    for width, height in WIDTHS.items():
        for dark in (False, True):
            try:
                driver = browser(width, height, dark=dark)
            except WebDriverException as error:
                print(f"screenshots: {str(error.msg).splitlines()[0]}", file=sys.stderr)
                return 2
            try:
                driver.get(chosen.page.resolve().as_uri())
                if chosen.zoom:
                    for button in driver.find_elements("css selector", ".timeline .open"):
                        driver.execute_script("arguments[0].click()", button)
                    driver.implicitly_wait(20)
                    driver.find_elements("css selector", ".zoom:not([hidden])")
                    import time

                    time.sleep(3)
                path = chosen.folder / f"{width}-{'dark' if dark else 'light'}.png"
                path.write_bytes(picture(driver, width))
                print(path)
                for entry in driver.get_log("browser"):
                    print(entry["level"], entry["message"], file=sys.stderr)
            finally:
                driver.quit()
    return 0


if __name__ == "__main__":
    sys.exit(main())
