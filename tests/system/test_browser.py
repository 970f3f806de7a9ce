"""Signing in with a real browser: the lab's page, its form and redirect, and the page that ends it."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from installer.errors import ErrorCode
from tests.browser import chromium
from tests.flow.support import LabWorld

PROGRAM = str(Path(sys.executable).with_name("device-installer"))
SECONDS = 30.0


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    with chromium(tmp_path_factory.mktemp("browser")) as one:
        yield one


class SignIn:
    """`account login` as a process, and the address that it gives to the browser of this computer."""

    def __init__(self, world: LabWorld, folder: Path) -> None:
        folder.mkdir()
        address = folder / "address"
        opener = folder / "open"
        # Written whole or not at all: the reader waits for the file to be there.
        opener.write_text(f'#!/bin/sh\nprintf %s "$1" > {address}.new\nmv {address}.new {address}\n')
        opener.chmod(opener.stat().st_mode | stat.S_IXUSR)
        self._address = address
        self.process = subprocess.Popen(
            [PROGRAM, "account", "login", "clinic", "--cloud", world.state.cloud, "--timeout", str(SECONDS)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "BROWSER": f"{opener} %s",
                "DEVICE_INSTALLER_KEYRING": "off",
                "DEVICE_INSTALLER_CLIENT_ID": world.state.client_id,
                "DEVICE_INSTALLER_CLIENT_SECRET": world.state.client_secret.get_secret_value(),
            },
        )
        self._said: list[str] = []
        assert self.process.stderr is not None
        self._reader = Thread(target=self._said.extend, args=(self.process.stderr,))
        self._reader.start()

    def open_in(self, browser: WebDriver) -> None:
        """What the operating system does with the address that a program opens."""
        WebDriverWait(browser, SECONDS).until(lambda _: self._address.exists())
        browser.get(self._address.read_text("utf-8"))

    def ended(self) -> tuple[int, str]:
        """The exit status, and all that was said."""
        status = self.process.wait(timeout=SECONDS)
        self._reader.join(SECONDS)
        return status, "".join(self._said)


def heading(browser: WebDriver, text: str) -> None:
    WebDriverWait(browser, SECONDS).until(lambda b: text in b.find_element(By.TAG_NAME, "h1").text)


def fill(browser: WebDriver, email: str, password: str) -> None:
    for name, value in (("email", email), ("password", password)):
        field = browser.find_element(By.NAME, name)
        field.clear()
        field.send_keys(value)


def press(browser: WebDriver, decision: str) -> None:
    browser.find_element(By.CSS_SELECTOR, f"button[value={decision}]").click()


def test_a_person_signs_in_after_a_slip_of_the_password(
    world: LabWorld, browser: WebDriver, home: Path, tmp_path: Path
) -> None:
    sign_in = SignIn(world, tmp_path / "one")
    sign_in.open_in(browser)
    heading(browser, "use your account?")
    user = world.state.user
    fill(browser, user.email, "not it")
    press(browser, "allow")
    WebDriverWait(browser, SECONDS).until(lambda b: b.find_elements(By.CSS_SELECTOR, "[role=alert]"))
    # What was typed right is still there.
    assert browser.find_element(By.NAME, "email").get_attribute("value") == user.email
    fill(browser, user.email, user.password.get_secret_value())
    press(browser, "allow")
    status, said = sign_in.ended()
    assert status == 0, said
    heading(browser, "You are signed in")
    # The address of this page holds the code: nothing is fetched by it, and it went to this computer only.
    assert re.match(r"http://(localhost|127\.0\.0\.1):\d+/callback\?", browser.current_url)
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert user.password.get_secret_value() not in said


def test_a_person_who_presses_cancel_is_told_and_so_is_the_program(
    world: LabWorld, browser: WebDriver, home: Path, tmp_path: Path
) -> None:
    sign_in = SignIn(world, tmp_path / "one")
    sign_in.open_in(browser)
    heading(browser, "use your account?")
    press(browser, "cancel")
    status, said = sign_in.ended()
    assert status == ErrorCode.SIGN_IN_FAILED.exit_status, said
    heading(browser, "Signing in did not work")
    assert not list(home.rglob("accounts/*.json"))


def test_the_pages_can_be_used_without_a_mouse_and_fit_a_phone(
    world: LabWorld, browser: WebDriver, home: Path, tmp_path: Path
) -> None:
    sign_in = SignIn(world, tmp_path / "one")
    browser.set_window_size(500, 800)
    sign_in.open_in(browser)
    heading(browser, "use your account?")
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    # The field of the email has the focus; Tab leads to the password; Enter sends.
    user = world.state.user
    browser.switch_to.active_element.send_keys(user.email + "\t")
    browser.switch_to.active_element.send_keys(user.password.get_secret_value() + "\n")
    status, said = sign_in.ended()
    assert status == 0, said
    heading(browser, "You are signed in")
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
