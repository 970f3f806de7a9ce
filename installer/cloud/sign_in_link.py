"""The short link of a sign-in: one browser may open it, and only that browser may come back from the cloud.

Its secret is spent by the first browser that opens it, so it may stand in a command line and on the screen. That
browser gets a cookie, by which it is known when it comes back with the code. The `state`, which ties the cloud's answer
to this sign-in, is only in the redirects.
"""

from __future__ import annotations

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie

# 16 signs of 32 are 80 bits: nobody finds them in the minutes of a sign-in, and a person can type them.
_SIGNS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP_LENGTH = 4, 4
COOKIE = "device-installer-sign-in"


class SignInLink:
    """The secrets of one link. `state`: for the cloud's page."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """A new link. The old one, its browser and its `state` count no more."""
        groups = ("".join(secrets.choice(_SIGNS) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))
        self.path = "/" + "-".join(groups)
        self.state = secrets.token_urlsafe(32)
        self._cookie = secrets.token_urlsafe(32)
        self.opened = False

    def is_path(self, path: str) -> bool:
        """Whether this is the link, perhaps typed in capitals or without its dashes."""
        return _same(_plain(path), _plain(self.path))

    def is_state(self, state: str) -> bool:
        """Whether this is the `state` of this sign-in."""
        return _same(state, self.state)

    def open(self, cookie_header: str) -> bool:
        """Open the link with the browser that sends these cookies; False if another browser opened it before."""
        if self.opened:
            return self.is_browser(cookie_header)
        self.opened = True
        return True

    def is_browser(self, cookie_header: str) -> bool:
        """Whether the browser that sends these cookies has opened the link."""
        try:
            sent = SimpleCookie(cookie_header).get(COOKIE)
        except CookieError:
            return False
        return self.opened and sent is not None and _same(sent.value, self._cookie)

    def cookies(self, callback_path: str, seconds: float) -> tuple[str, ...]:
        """The `Set-Cookie` headers for the browser that opens the link, for a reload and for its return.

        A browser sends a cookie to every port of a host, so it goes to these two paths only.
        """
        return tuple(
            f"{COOKIE}={self._cookie}; Path={path}; Max-Age={max(1, round(seconds))}; HttpOnly; SameSite=Lax"
            for path in (self.path, callback_path)
        )


def _plain(path: str) -> str:
    return path.strip("/").replace("-", "").lower()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
