"""The rules for redirect URIs and callback URLs of an application (`withings-cloud.md` §1.5, §3.5)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
MAX_URL_LENGTH = 255


def is_loopback(url: str) -> bool:
    """Whether this is an http URL of this machine, with any port."""
    parts = _split(url)
    return parts is not None and parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS


def is_public_https(url: str) -> bool:
    """Whether the URL follows the real rules: https, a domain, port 80 or 443, at most 255 characters."""
    parts = _split(url)
    if parts is None or parts.scheme != "https" or len(url) > MAX_URL_LENGTH or parts.port not in (None, 80, 443):
        return False
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." in host.strip(".") and not host.endswith(".localhost")
    return False


def is_registered(url: str, prefixes: Iterable[str]) -> bool:
    """Whether the URL begins with a registered URL: same scheme, host and port, and a path under its path."""
    parts = _split(url)
    return parts is not None and any(_is_under(parts, known) for known in map(_split, prefixes) if known is not None)


def is_redirect_allowed(url: str, prefixes: Iterable[str], *, strict: bool) -> bool:
    """Whether the browser may be redirected there with a code."""
    if strict:
        return is_public_https(url) and is_registered(url, prefixes)
    return is_loopback(url) or is_registered(url, prefixes)


def _is_under(parts: SplitResult, known: SplitResult) -> bool:
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
