"""Automatic sign-in to the lab's cloud: fills in the sign-in page's form with the lab's user, without a person.

For the lab only: it sends the password to loopback addresses only. Never give it a real password.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.settings import is_loopback

REQUEST_SECONDS = 20.0
MAX_REDIRECTS = 10
MAX_PAGE_LENGTH = 1024 * 1024


@dataclass
class Form:
    """An HTML form: its target, its fields with their values, its buttons as (name, value)."""

    action: str = ""
    method: str = "get"
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _FormParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the forms, their fields and their buttons."""
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(found.get("action", ""), found.get("method", "get").lower()))
            self._open = True
        elif self._open and tag in ("input", "button") and found.get("name"):
            form, kind = self.forms[-1], found.get("type", "submit" if tag == "button" else "text").lower()
            if kind == "submit":
                form.buttons.append((found["name"], found.get("value", "")))
            elif kind not in ("checkbox", "radio") or "checked" in found:
                form.fields[found["name"]] = found.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        """Ignore fields after the end of the form."""
        if tag == "form":
            self._open = False


async def sign_in_by_form(url: str, email: str, password: SecretStr) -> None:
    """Open the short link of a sign-in, fill in the form to which it leads, allow access, and follow all redirects.

    As with a browser, the page at the end belongs to the one that has opened the link. Raises SIGN_IN_FAILED,
    CLOUD_UNREACHABLE.
    """
    if not is_loopback(urlsplit(url).hostname or ""):
        raise _sign_in_failed("automatic sign-in is allowed at the lab's cloud only")
    try:
        with _http_log_off():
            tls = not url.startswith("http:")  # loading the certificates takes time
            async with httpx.AsyncClient(timeout=REQUEST_SECONDS, trust_env=False, verify=tls) as browser:
                page = await _follow_redirects(browser, await browser.get(url))
                page.raise_for_status()
                if not tls and page.url.scheme != "http":
                    raise _sign_in_failed("the page is not that of a lab")
                form = _sign_in_form(page.text)
                form.fields.update({"email": email, "password": password.get_secret_value()})
                allow = [(n, v) for n, v in form.buttons if v.lower() in ("allow", "yes", "accept")] or form.buttons
                form.fields.update(allow[:1])
                target = urljoin(str(page.url), form.action)
                if not is_loopback(urlsplit(target).hostname or ""):
                    raise _sign_in_failed("the form leads to another computer")
                last_page = await _follow_redirects(browser, await browser.post(target, data=form.fields))
    except httpx.HTTPError as error:
        raise InstallerError(
            ErrorCode.CLOUD_UNREACHABLE,
            f"The lab's sign-in page does not answer ({type(error).__name__}).",
            "Check it with `device-installer lab status`.",
        ) from None
    if urlsplit(str(last_page.url)).path == urlsplit(target).path:
        raise _sign_in_failed("the page asks again; the lab's user or password may be wrong")


@contextmanager
def _http_log_off() -> Iterator[None]:
    """The HTTP library logs nothing, at any level: the addresses hold the code."""

    def drop(_record: logging.LogRecord) -> bool:
        return False

    loggers = [logging.getLogger(name) for name in ("httpx", "httpcore.http11", "httpcore.http2")]
    for logger in loggers:
        logger.addFilter(drop)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(drop)


async def _follow_redirects(browser: httpx.AsyncClient, response: httpx.Response) -> httpx.Response:
    for _ in range(MAX_REDIRECTS):
        if not response.is_redirect:
            return response
        target = urljoin(str(response.url), response.headers["Location"])
        if not is_loopback(urlsplit(target).hostname or ""):
            raise _sign_in_failed("a redirect leads to another computer")
        response = await browser.get(target)
    raise _sign_in_failed("there are too many redirects")


def _sign_in_form(text: str) -> Form:
    if len(text) > MAX_PAGE_LENGTH:
        raise _sign_in_failed("the page is too long")
    parser = _FormParser()
    parser.feed(text)
    for form in parser.forms:
        if form.method == "post" and {"email", "password"} <= set(form.fields):
            return form
    raise _sign_in_failed("the page has no form for email and password")


def _sign_in_failed(why: str) -> InstallerError:
    return InstallerError(
        ErrorCode.SIGN_IN_FAILED,
        f"The lab's user could not be signed in: {why}.",
        "Check the lab with `device-installer lab status`, or sign in by hand.",
    )
