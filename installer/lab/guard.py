"""Who may use the lab's HTTP port: programs of this user, under a loopback name; its control only with its token.

The lab presses buttons, drops links and ends itself for whoever asks. A web page can make a browser ask, another user
of this computer can connect; both are refused. The token is in the lab's state file, which only its user can read.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from installer.cloud import guarded_web_server as guard
from installer.cloud.guarded_web_server import Refused
from installer.lab.cloud import authorize_page, gateway_uploads
from installer.lab.refusal_log import RefusalLog

MAX_BODY_BYTES = 4 * 1024 * 1024
_JSON = b"application/json"
_WORDS = {
    Refused.HOST: (421, "the lab answers to requests for this computer only, such as 127.0.0.1 and localhost"),
    Refused.PAGE: (403, "the lab answers to programs, and this request was sent by a web page"),
    Refused.USER: (403, "this lab belongs to another user of this computer"),
}
NO_TOKEN = "this needs the token of the lab's state file: Authorization: Bearer TOKEN"


class LabGuard:
    """Middleware around the whole lab. `token`: for the paths under `/lab/`; empty: none is asked for.

    The server must use `GuardedProtocol`.
    """

    def __init__(self, app: ASGIApp, token: str, log: Callable[[str], None]) -> None:
        self._app = app
        self._token = token
        self._log = RefusalLog("a request", log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request with `{"error": …}`, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = guard.refusal(scope, pages_allowed=_is_page(scope))
        if refused is not None:
            who = guard.stranger_of(scope) if refused is Refused.USER else None
            await self._refuse(send, *_WORDS[refused], who or refused.value)
        elif not self._may_control(scope):
            await self._refuse(send, 401, NO_TOKEN, "without the token")
        else:
            await self._app(scope, _limited(receive), send)

    def _may_control(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if not self._token or not path.startswith("/lab/") or path == gateway_uploads.PATH:
            return True
        kind, _, given = guard.headers_of(scope).get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token.encode())

    async def _refuse(self, send: Send, status: int, words: str, why: str) -> None:
        self._log.refused(why)
        await guard.send_text(send, status, json.dumps({"error": words}), _JSON)


def _is_page(scope: Scope) -> bool:
    """Whether it is a page for a browser. The sign-in page has a token of its own in its form."""
    return scope["path"] in ("/", authorize_page.PATH)


def _limited(receive: Receive) -> Receive:
    left = MAX_BODY_BYTES

    async def checked() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413)
        return message

    return checked
