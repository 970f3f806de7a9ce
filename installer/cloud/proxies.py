"""Which proxy leads to a server, from the environment or the system's settings; one that cannot be used is an error.

httpx reads the same settings, but for all servers at once: one wrong entry, or a `NO_PROXY` with `[::1]` in it, and no
client can be built at all. So the proxy is chosen here for the one server that a client talks to.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from installer.cloud.unreachable import Unreachable
from installer.text import printable

KINDS = ("http", "https", "socks5", "socks5h")
# GNOME and KDE write `socks://` for a SOCKS server of either version; those of today speak version 5.
UNVERSIONED_SOCKS = "socks"
SYSTEM_SETTINGS = "the system's proxy settings"


@dataclass(frozen=True)
class Proxy:
    """A proxy. `url` may hold a password; `server` (host and port) and `source` (who names the proxy) do not."""

    url: str = field(repr=False)
    server: str
    source: str

    def __str__(self) -> str:
        return f"the proxy {self.server} ({self.source})"


def proxy_for(url: str) -> Proxy | None:
    """The proxy for this server; None: the server is reached directly. Raises Unreachable for an unusable proxy."""
    # Imported late: a computer without a network asks for no proxy.
    from urllib.request import getproxies

    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = getproxies()
    for kind in (parts.scheme, "all", "socks"):
        if proxies.get(kind):
            return None if _is_direct(host, parts.port, proxies.get("no", "")) else _proxy(kind, proxies[kind])
    return None


def _is_direct(host: str, port: int | None, exceptions: str) -> bool:
    """Whether `NO_PROXY`, or the system's list of exceptions, names this host."""
    from urllib.request import proxy_bypass

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return bool(proxy_bypass(host if port is None else f"{host}:{port}"))
    # Python compares addresses as text, and takes the last part of an IPv6 address for a port.
    return any(_covers(entry, address) for entry in exceptions.split(","))


def _covers(entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    text = entry.strip()
    if text == "*":
        return True
    try:
        return address in ipaddress.ip_network(text.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return False


def _proxy(kind: str, text: str) -> Proxy:
    source = _source(kind)
    url = text.strip() if "://" in text else f"http://{text.strip()}"
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if kind == "socks" and scheme == "http":  # macOS
        scheme = "socks5"
    if scheme == UNVERSIONED_SOCKS:
        scheme = "socks5"
    if scheme not in KINDS:
        named = printable(scheme, 20)
        raise _unusable(source, f"it is of the kind {named}://, and this program speaks {', '.join(KINDS[:3])}")
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not host.isprintable() or " " in host or port == 0:
        raise _unusable(source, "it has no valid host name and port")
    shown = f"[{host}]" if ":" in host else host
    return Proxy(f"{scheme}://{rest}", shown if port is None else f"{shown}:{port}", source)


def _source(kind: str) -> str:
    """The name of the environment variable; the lower-case one wins, as in curl."""
    names = [name for name in os.environ if name.lower() == f"{kind}_proxy" and os.environ[name]]
    return min(names, key=str.isupper, default=SYSTEM_SETTINGS)


def _unusable(source: str, why: str) -> Unreachable:
    # The address itself is left out: it may hold a password.
    return Unreachable(
        f"The proxy that {source} names cannot be used: {why}.",
        f"Correct {source}, for example to http://proxy.example:3128 or socks5://127.0.0.1:1080, or take it out.",
        sent=False,
        permanent=True,
    )
