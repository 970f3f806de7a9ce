"""The HTTP client for one server: the proxy that leads to it, the certificates that are trusted, errors with a cause.

Everything that this program asks of a server outside of this computer goes through here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from installer import __version__
from installer.cloud import shown_certificate, trusted_certificates
from installer.cloud.proxies import Proxy, proxy_for
from installer.cloud.unreachable import CHECK_CONNECTION, Unreachable
from installer.settings import is_loopback
from installer.text import printable


def check_connection_settings(url: str) -> None:
    """Check what a client for this server would need, without sending anything and without loading httpx.

    Raises Unreachable, which names the variable or the file: a proxy or certificates that cannot be used.
    """
    _connection_settings(url)


def describe_connection(url: str) -> str:
    """How this server is reached, in words without secrets. Raises Unreachable, as `check_connection_settings`."""
    proxy, _ = _connection_settings(url)
    host = urlsplit(url).hostname
    way = f"{host} through {proxy}" if proxy is not None else f"{host} without a proxy"
    named = [variable for variable in trusted_certificates.VARIABLES if os.environ.get(variable)]
    more = f" and {', '.join(named)}" if named else ""
    return f"{way}; trusted: the system's certificates{more}"


def _check_host(host: str) -> None:
    """Raises Unreachable for a host name that no resolver could know, or an address that is none."""
    labels = host.removesuffix(".").split(".")
    try:
        if ":" in host or all(label.isdecimal() for label in labels):
            ipaddress.ip_address(host)
            return
        if not host.isascii() or any(label.startswith("xn--") for label in labels):
            import idna

            idna.decode(idna.encode(host, uts46=True), strict=True)
            return
        valid = all(re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})", label) for label in labels)
    except ValueError:
        valid = False
    if not valid:
        raise Unreachable(
            f"“{printable(host, 100)}” is not the name or the address of a server.",
            "Correct the address in the settings or on the command line.",
            sent=False,
            permanent=True,
        )


def _connection_settings(url: str) -> tuple[Proxy | None, ssl.SSLContext | bool]:
    parts = urlsplit(url)
    _check_host(parts.hostname or "")
    local = is_loopback(parts.hostname or "")
    proxy = None if local else proxy_for(url)
    # Loading the certificates takes time, and http:// (this computer only) needs none.
    needs_tls = parts.scheme == "https" or (proxy is not None and proxy.url.startswith("https:"))
    return proxy, trusted_certificates.trusting_context() if needs_tls else False


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
        self._proxy, self._trusted = _connection_settings(url)
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
        try:
            async with asyncio.timeout(seconds), self._http.stream(method, path, **request) as response:
                yield response
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, UnicodeError) as error:
            raise await self._unreachable(error) from None
        except _socks_error():
            raise self._proxy_failed("it does not answer like a SOCKS server") from None

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
