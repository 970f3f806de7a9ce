"""What every web server of this program on a loopback address checks: host name, web page, user of the other program.

Any page of the Internet can send a browser of this computer to a loopback address, under any host name, and every user
of this computer can connect to it. `GuardedProtocol` finds out who has connected; `refusal` says why a request is not
answered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from enum import Enum
from urllib.parse import urlsplit

from starlette.types import Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from installer.settings import is_loopback
from installer.storage.peer_user import stranger

# A connection without a whole request ends after this time.
REQUEST_SECONDS = 10.0
# Connections of other users at the same time. They get a page that refuses them, and cannot keep the owner out.
MAX_STRANGERS = 4
_STRANGER = "stranger"
_PREFETCHED = ("prefetch", "prerender", "preview")


class Refused(Enum):
    """Why a request is not answered."""

    HOST = "foreign host name"
    PAGE = "sent by a web page"
    USER = "other user"


class GuardedProtocol(H11Protocol):
    """For `uvicorn.Config(http=…)`: it knows the user of each connection, and ends those that send no request."""

    stranger: str | None = None
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Find out whose the connection is, while its program still holds it."""
        super().connection_made(transport)
        self.stranger = stranger_at(transport)
        if self.stranger is not None:
            others = [c for c in self.connections if getattr(c, "stranger", None) is not None]
            if len(others) > MAX_STRANGERS:
                transport.abort()
                return
        # The request gets it as `scope["state"]`.
        self.app_state = {**self.app_state, _STRANGER: self.stranger}
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self._end_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _end_if_idle(self) -> None:
        request: object | None = self.cycle  # uvicorn's type leaves out that there may be none
        if request is None:
            self.transport.abort()


def stranger_at(transport: asyncio.BaseTransport) -> str | None:
    """Whose this connection is, if it is another user's (`installer/storage/peer_user.py`)."""
    peer, here = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    if not (isinstance(peer, tuple) and isinstance(here, tuple)):
        return None  # not an Internet address: a socket in a folder
    return stranger((peer[0], peer[1]), (here[0], here[1]))


def stranger_of(scope: Scope) -> str | None:
    """The other user who sent this request, in words; None: it is ours. The server must use `GuardedProtocol`."""
    who: str | None = scope["state"][_STRANGER]
    return who


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers by their names in small letters; the last one of a name counts."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def host_name(header: str) -> str:
    """The host of a `Host` header, without its port."""
    with contextlib.suppress(ValueError):
        return urlsplit(f"//{header}").hostname or ""
    return ""


def is_foreign_host(headers: Mapping[str, str]) -> bool:
    """Whether the request is for a name that is not this computer's: a page of that name asks (DNS rebinding)."""
    return not is_loopback(host_name(headers.get("host", "")))


def is_prefetch(headers: Mapping[str, str]) -> bool:
    """Whether a browser asks before its user does."""
    hints = (headers.get(name, "").lower() for name in ("sec-purpose", "purpose", "x-purpose", "x-moz"))
    return any(word in hint for hint in hints for word in _PREFETCHED)


def is_part_of_a_page(headers: Mapping[str, str]) -> bool:
    """Whether a page loads the address (picture, script, frame); the browser's user does not open it."""
    mode, target = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
    return (mode is not None and mode != "navigate") or (target is not None and target != "document")


def is_sent_by_a_page(headers: Mapping[str, str]) -> bool:
    """Whether a web page sent the request. A program that is no browser sends neither header."""
    return "origin" in headers or headers.get("sec-fetch-site", "none") != "none"


def refusal(scope: Scope, *, pages_allowed: bool) -> Refused | None:
    """Why this request is refused; None: it is not. `pages_allowed`: web pages may send requests here."""
    headers = headers_of(scope)
    if is_foreign_host(headers):
        return Refused.HOST
    if not pages_allowed and is_sent_by_a_page(headers):
        return Refused.PAGE
    return Refused.USER if stranger_of(scope) is not None else None


async def send_text(send: Send, status: int, text: str, kind: bytes = b"text/plain; charset=utf-8") -> None:
    """A short answer that nothing stores, after which the connection ends."""
    body = text.encode()
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
