"""Signs in to the practice cloud as its made-up user, by the same page and form as a person: for runs that ask nobody.

It is for the lab only. Nobody's real password is to be given to it, and it sends a password to loopback only.
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

SECONDS = 20.0
MAX_HOPS = 10
MAX_PAGE = 1024 * 1024


@dataclass
class Form:
    """A form of a page: where it goes, its fields as they stand, its buttons as (name, value)."""

    action: str = ""
    method: str = "get"
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect forms and what is in them."""
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
        """Fields after the end of a form are not its own."""
        if tag == "form":
            self._open = False


async def sign_in_by_form(authorize_url: str, email: str, password: SecretStr) -> None:
    """Open the page, fill in its form, allow, and follow the redirects to the end.

    Raises SIGN_IN_FAILED, CLOUD_UNREACHABLE.
    """
    if not is_loopback(urlsplit(authorize_url).hostname or ""):
        raise _failed("a program may sign in by itself at the lab's cloud only")
    try:
        with _unlogged():
            tls = not authorize_url.startswith("http:")  # reading all certificates takes a while
            async with httpx.AsyncClient(timeout=SECONDS, trust_env=False, verify=tls) as browser:
                page = await _follow(browser, await browser.get(authorize_url))
                page.raise_for_status()
                form = _sign_in_form(page.text)
                form.fields.update({"email": email, "password": password.get_secret_value()})
                allow = [(n, v) for n, v in form.buttons if v.lower() in ("allow", "yes", "accept")] or form.buttons
                form.fields.update(allow[:1])
                target = urljoin(str(page.url), form.action)
                if not is_loopback(urlsplit(target).hostname or ""):
                    raise _failed("the form leads away from this computer")
                end = await _follow(browser, await browser.post(target, data=form.fields))
    except httpx.HTTPError as error:
        raise InstallerError(
            ErrorCode.CLOUD_UNREACHABLE,
            f"The lab's sign-in page does not answer ({type(error).__name__}).",
            "Look with `device-installer lab status`.",
        ) from None
    if urlsplit(str(end.url)).path == urlsplit(target).path:
        raise _failed("the page asks again; the lab's user or password may be wrong")


@contextmanager
def _unlogged() -> Iterator[None]:
    """While a code is in the addresses, the HTTP library logs none of them, whatever level is set."""

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


async def _follow(browser: httpx.AsyncClient, response: httpx.Response) -> httpx.Response:
    for _ in range(MAX_HOPS):
        if not response.is_redirect:
            return response
        target = urljoin(str(response.url), response.headers["Location"])
        if not is_loopback(urlsplit(target).hostname or ""):
            raise _failed("it leads away from this computer")
        response = await browser.get(target)
    raise _failed("it leads in a circle")


def _sign_in_form(text: str) -> Form:
    if len(text) > MAX_PAGE:
        raise _failed("its page is too long")
    parser = _Forms()
    parser.feed(text)
    for form in parser.forms:
        if form.method == "post" and {"email", "password"} <= set(form.fields):
            return form
    raise _failed("its page has no form for email and password")


def _failed(why: str) -> InstallerError:
    return InstallerError(
        ErrorCode.SIGN_IN_FAILED,
        f"The lab's user could not be signed in: {why}.",
        "Look with `device-installer lab status`, or sign in by hand.",
    )
