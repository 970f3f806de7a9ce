"""Which URLs an application may name: redirect URIs and callback URLs (`withings-cloud.md` §1.5, §3.5)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")
MAX_URL = 255


def loopback(url: str) -> bool:
    """Whether this is a plain http URL of this very machine, at any port."""
    parts = _split(url)
    return parts is not None and parts.scheme == "http" and parts.hostname in LOOPBACK


def public(url: str) -> bool:
    """Whether the URL keeps the real rules: https, a domain, port 80 or 443, at most 255 characters."""
    parts = _split(url)
    if parts is None or parts.scheme != "https" or len(url) > MAX_URL or parts.port not in (None, 80, 443):
        return False
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." in host.strip(".") and not host.endswith(".localhost")
    return False


def registered(url: str, prefixes: Iterable[str]) -> bool:
    """Whether the URL begins with a registered one: the same scheme, host and port, and a path under its path."""
    parts = _split(url)
    return parts is not None and any(_under(parts, known) for known in map(_split, prefixes) if known is not None)


def redirect_allowed(url: str, prefixes: Iterable[str], *, strict: bool) -> bool:
    """Whether the browser may be sent there with a code."""
    if strict:
        return public(url) and registered(url, prefixes)
    return loopback(url) or registered(url, prefixes)


def _under(parts: SplitResult, known: SplitResult) -> bool:
    if (parts.scheme, parts.hostname, _port(parts)) != (known.scheme, known.hostname, _port(known)):
        return False
    wanted, path = known.path.rstrip("/"), parts.path
    return path == wanted or path.startswith(f"{wanted}/") or (not path and not wanted)


def _port(parts: SplitResult) -> int | None:
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _split(url: str) -> SplitResult | None:
    """The parts of an absolute http(s) URL without user, fragment, space or control characters; else None."""
    if any(c.isspace() or ord(c) < 33 or c in '\\"<>' for c in url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or "#" in url:
        return None
    return parts
