"""The HTTP client for one server: the proxy that leads to it, the certificates that are trusted, errors with a cause.

Everything that this program asks of a server outside of this computer goes through here.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from installer import __version__
from installer.cloud import shown_certificate
from installer.cloud.connection_settings import connection_settings
from installer.cloud.unreachable import CHECK_CONNECTION, Unreachable
from installer.settings import is_loopback
from installer.storage.peer_user import strange_listener
from installer.text import printable


class HttpClient:
    """A client for one server. `server`: its name in an error. Close it after use.

    Raises Unreachable if it cannot be built: the proxy or the certificates of the environment cannot be used.
    """

    def __init__(
        self,
        url: str,
        server: str,
        *,
        seconds: float,
        connect_seconds: float = 10.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._url, self._server = url, server
        self._proxy, self._trusted = connection_settings(url)
        try:
            self._http = httpx.AsyncClient(
                base_url=url,
                timeout=httpx.Timeout(seconds, connect=min(connect_seconds, seconds)),
                follow_redirects=False,
                trust_env=False,
                proxy=self._httpx_proxy(self._trusted),
                verify=self._trusted,
                headers={"User-Agent": f"device-installer/{__version__}", **(headers or {})},
            )
        except (httpx.InvalidURL, ValueError):
            # The text of the error would quote the address, which may hold a secret.
            raise Unreachable(
                f"{server} has an address that cannot be used.", "Correct the address.", sent=False, permanent=True
            ) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @asynccontextmanager
    async def stream(self, method: str, path: str, *, seconds: float, **request: Any) -> AsyncIterator[httpx.Response]:
        """The response to one request; its body is read by the caller, within `seconds` for the whole of it.

        Raises Unreachable.
        """
        self._check_listener()
        try:
            async with asyncio.timeout(seconds), self._http.stream(method, path, **request) as response:
                yield response
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, UnicodeError) as error:
            raise await self._unreachable(error) from None
        except _socks_error():
            raise self._proxy_failed("it does not answer like a SOCKS server") from None

    def _check_listener(self) -> None:
        """Before each request: http:// on this computer proves nothing, and any user can listen at a free port."""
        parts = urlsplit(self._url)
        if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
            return
        other = strange_listener(parts.hostname or "", parts.port or 80)
        if other is not None:
            raise Unreachable(
                f"{self._server} was not asked: at port {parts.port or 80} of this computer listens a program of "
                f"{other}, who would get what is sent there.",
                "Start your own program there, or give the address of the right one (127.0.0.1 instead of localhost).",
                sent=False,
            )

    def _httpx_proxy(self, trusted: ssl.SSLContext | bool) -> httpx.Proxy | None:
        if self._proxy is None:
            return None
        context = trusted if isinstance(trusted, ssl.SSLContext) else None
        return httpx.Proxy(self._proxy.url, ssl_context=context if self._proxy.url.startswith("https:") else None)

    async def _unreachable(self, error: Exception) -> Unreachable:
        """The error for a person. The text of most of httpx's errors may quote the request, so it is left out."""
        refused = _certificate_error(error)
        if refused is not None:
            shown = await shown_certificate.read_certificate(self._url, self._httpx_proxy(_without_checks()))
            what, todo = shown_certificate.explain(self._server, refused.verify_code, refused.verify_message, shown)
            return Unreachable(what, todo, sent=False, permanent=True)
        if isinstance(error, httpx.ProxyError):
            return self._proxy_failed(printable(str(error), 100))
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            text = printable(str(error), 160)
            reason = f" ({text})" if text else ""
            if self._proxy is not None:
                return Unreachable(
                    f"{self._server} cannot be reached through {self._proxy}{reason}.",
                    f"Check that proxy, or take it out of {self._proxy.source}; then check the Internet connection.",
                    sent=False,
                )
            return Unreachable(f"{self._server} cannot be reached{reason}.", sent=False)
        through = f" through {self._proxy}" if self._proxy is not None else ""
        return Unreachable(
            f"{self._server} did not answer properly{through} ({type(error).__name__}).", CHECK_CONNECTION, sent=True
        )

    def _proxy_failed(self, reason: str) -> Unreachable:
        source = self._proxy.source if self._proxy is not None else "the environment"
        return Unreachable(
            f"{self._server} cannot be reached: {self._proxy} refused ({reason}).",
            f"Check the proxy's address, its kind (http or socks5), and its user name and password in {source}.",
            sent=False,
        )


def _socks_error() -> type[Exception]:
    """What the SOCKS library raises about a server that speaks another protocol; httpx passes it on as it is."""
    from socksio import SOCKSError

    return SOCKSError


def _without_checks() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None
