"""What the cloud's check of a callback URL would find: the same HEAD from this computer, and its result in words."""

from __future__ import annotations

from installer.cloud.http_client import HttpClient
from installer.cloud.unreachable import Unreachable
from installer.notifications.callback_url import travels_in_clear

CHECK_SECONDS = 5.0
WANTED = "The cloud sends HTTP HEAD to the address and expects an answer of 2xx."


async def what_head_finds(url: str) -> str:
    """The cloud's wish, what this computer gets instead, and what to do, as sentences. Holds no part of the URL."""
    if travels_in_clear(url):
        return f"{WANTED} This computer does not look: an http:// address would show its secret path to the network."
    try:
        client = HttpClient(url, "The address", seconds=CHECK_SECONDS)
    except Unreachable as error:
        return f"{WANTED} This computer cannot look: {error}"
    try:
        async with client.stream("HEAD", url, seconds=CHECK_SECONDS) as answer:
            return f"{WANTED} {status_in_words(answer.status_code)}"
    except Unreachable as error:
        return f"{WANTED} From this computer: {error.what} Check the name, its certificate, and that the receiver runs."
    finally:
        await client.close()


def status_in_words(status: int) -> str:
    """What this answer to HEAD means, and what to do."""
    if 200 <= status < 300:
        return (
            f"This computer gets {status} there, as it should be. So something keeps the cloud out: a firewall, a name "
            "that only your network knows, or a certificate that is sent without its intermediate ones."
        )
    return f"This computer gets {status} there: {_CAUSES.get(status, _CAUSES.get(status // 100 * 100, _OTHER))}"


_OTHER = "the address does not lead to the receiver of this program. Check the proxy in front of it."
_REDIRECT = "a redirect, and the cloud follows none. Give the address to which it leads."
_DENIED = "the proxy in front of the receiver lets nobody in. Allow HEAD and POST at this path, without a sign-in."
_NO_HEAD = (
    "HEAD does not arrive as HEAD. A proxy that caches may make GET of it, and a receiver may not know GET: switch "
    "caching off for this path (nginx: proxy_cache off), and allow HEAD there."
)
_CAUSES = {
    300: _REDIRECT,
    401: _DENIED,
    403: _DENIED,
    404: (
        "the path does not lead to the receiver, or its last part is not the receiver's secret path. The proxy must "
        "pass on the last part of the path unchanged; `notifications serve --show-url` prints it."
    ),
    405: _NO_HEAD,
    500: (
        "the proxy answers, and the receiver behind it does not. Start `device-installer notifications serve`, and "
        "compare its port with that of the proxy."
    ),
    501: _NO_HEAD,
}
