"""A real Chromium without a window, Debian's, that a test looks through."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

WAIT_S = 60.0
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = "no Chromium here: apt-get install chromium chromium-driver, or make programs as root"


class Browser:
    """One tab; every look waits until there is something to see."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """Go to a page and wait until it is there."""
        self.driver.get(url)

    def size(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """Take the form of a screen; a phone has two pixels to each of its own and is touched."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.command("Emulation.setDeviceMetricsOverride", **metrics)
        self.command("Emulation.setTouchEmulationEnabled", enabled=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def command(self, name: str, **arguments: object) -> None:
        """A command of the DevTools protocol."""
        self.driver.execute_cdp_cmd(name, arguments)

    def find(self, selector: str) -> WebElement:
        """The first element of a CSS selector, which is there already."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        """Click as a program does, wherever the element is."""
        self.driver.execute_script("arguments[0].click()", self.find(selector))

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Return when ``condition`` is true; fail saying ``what`` was expected."""
        WebDriverWait(self.driver, WAIT_S, poll_frequency=0.05).until(lambda _: condition(), message=what)

    def wait_for_state(self, state: str) -> None:
        """Return when the page is in a state: empty, chosen, working or done."""
        self.wait(lambda: self.find("#app").get_attribute("data-state") == state, f"the page is '{state}'")

    def complaint(self) -> str:
        """The title of the message that the page shows, when it shows one."""
        self.wait(lambda: self.find("#alert").is_displayed(), "the page shows a message")
        return self.find("#alert-title").text

    def script(self, source: str, *arguments: object) -> object:
        """What a function's body returns in the page."""
        result: object = self.driver.execute_script(source, *arguments)
        return result

    def errors(self) -> list[str]:
        """What the page wrote to its console as errors, violations of its own policy among them."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium has it so
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


@contextmanager
def browser(downloads: Path) -> Iterator[Browser]:
    """A browser that saves what it downloads into a directory, and ends with the block."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    for argument in (
        "use-fake-ui-for-media-stream",
        "use-fake-device-for-media-stream",
        "window-size=1280,800",
    ):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--user-data-dir={downloads / 'profile'}")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
    try:
        driver.set_page_load_timeout(WAIT_S)
        driver.set_script_timeout(WAIT_S)
        yield Browser(driver)
    finally:
        driver.quit()
