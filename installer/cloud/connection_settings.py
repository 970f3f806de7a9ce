"""How a server is reached from this computer: the proxy, the trusted certificates, whether its name can be one.

Nothing is sent, and httpx is not loaded: an installation looks at this before its first scan.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from urllib.parse import urlsplit

from installer.cloud import trusted_certificates
from installer.cloud.proxies import Proxy, proxy_for
from installer.cloud.unreachable import Unreachable
from installer.settings import is_loopback
from installer.text import printable


def check_connection_settings(url: str) -> None:
    """Check what a client for this server would need, without sending anything.

    Raises Unreachable, which names the variable or the file: a proxy or certificates that cannot be used.
    """
    connection_settings(url)


def describe_connection(url: str) -> str:
    """How this server is reached, in words without secrets. Raises Unreachable, as `check_connection_settings`."""
    proxy, _ = connection_settings(url)
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


def connection_settings(url: str) -> tuple[Proxy | None, ssl.SSLContext | bool]:
    """The proxy, and the TLS context (False: none is needed). Raises Unreachable."""
    parts = urlsplit(url)
    _check_host(parts.hostname or "")
    local = is_loopback(parts.hostname or "")
    proxy = None if local else proxy_for(url)
    # Loading the certificates takes time, and http:// (this computer only) needs none.
    needs_tls = parts.scheme == "https" or (proxy is not None and proxy.url.startswith("https:"))
    return proxy, trusted_certificates.trusting_context() if needs_tls else False
