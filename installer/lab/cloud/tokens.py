"""Authorization codes, tokens, nonces and request signatures (`withings-cloud.md` §1.3, §1.4, §1.6).

Codes, tokens and nonces are stored as digests only, so that no dump of this process shows a usable one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from installer.lab.cloud.scenario import CloudScenario


@dataclass(frozen=True)
class Grant:
    """The scopes that a user granted to an application."""

    userid: str
    client_id: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Tokens:
    """A new pair of tokens. `seconds`: the lifetime of the access token."""

    grant: Grant
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    csrf: str = field(repr=False)
    seconds: int


@dataclass
class _Code:
    grant: Grant
    redirect_uri: str
    expires: float


@dataclass
class _Access:
    grant: Grant
    expires: float
    replaced: str | None


@dataclass
class _Refresh:
    grant: Grant
    expires: float


class TokenRegistry:
    """All valid codes, tokens and nonces. `now` may jump (the lab's clock), so no timers are used."""

    def __init__(self, scenario: CloudScenario, now: Callable[[], float]) -> None:
        self._scenario = scenario
        self._now = now
        self._codes: dict[str, _Code] = {}
        self._access: dict[str, _Access] = {}
        self._refresh: dict[str, _Refresh] = {}
        self._nonces: dict[str, float] = {}
        self._recent_requests: dict[str, float] = {}

    @property
    def alive(self) -> int:
        """How many access tokens are valid now."""
        return sum(entry.expires > self._now() for entry in self._access.values())

    def issue_code(self, grant: Grant, redirect_uri: str) -> str:
        """A new authorization code."""
        self._delete_expired()
        code = secrets.token_hex(20)
        self._codes[_digest(code)] = _Code(grant, redirect_uri, self._now() + self._scenario.code_seconds)
        return code

    def redeem(self, code: str, client_id: str, redirect_uri: str) -> Grant | None:
        """Consume a code and return its grant; None if it is unknown, expired, or for another redirect URI."""
        entry = self._codes.get(_digest(code))
        if entry is None or entry.grant.client_id != client_id or entry.redirect_uri != redirect_uri:
            return None
        del self._codes[_digest(code)]
        return entry.grant if entry.expires > self._now() else None

    def issue(self, grant: Grant, replaced: str | None = None) -> Tokens:
        """A new pair of tokens."""
        self._delete_expired()
        now = self._now()
        access, refresh = secrets.token_hex(20), secrets.token_hex(20)
        self._access[_digest(access)] = _Access(grant, now + self._scenario.access_seconds, replaced)
        self._refresh[_digest(refresh)] = _Refresh(grant, now + self._scenario.refresh_seconds)
        return Tokens(grant, access, refresh, f"PAC{secrets.token_hex(12)}", self._scenario.access_seconds)

    def rotate(self, refresh: str, client_id: str) -> Tokens | None:
        """A new pair for a refresh token, whose lifetime is then shortened; None if it is unknown or expired."""
        key, now = _digest(refresh), self._now()
        entry = self._refresh.get(key)
        if entry is None or entry.expires <= now or entry.grant.client_id != client_id:
            return None
        entry.expires = min(entry.expires, now + self._scenario.overlap_seconds)
        return self.issue(entry.grant, key)

    def use_access_token(self, access: str) -> Grant | None:
        """The grant of an access token; its first use revokes the refresh token that it replaced. None if invalid."""
        entry = self._access.get(_digest(access))
        if entry is None or entry.expires <= self._now():
            return None
        if entry.replaced is not None:
            self._refresh.pop(entry.replaced, None)
            entry.replaced = None
        return entry.grant

    def peek(self, access: str) -> Grant | None:
        """The grant of an access token, without using it."""
        entry = self._access.get(_digest(access))
        return entry.grant if entry is not None and entry.expires > self._now() else None

    def revoke(self, userid: str, client_id: str) -> None:
        """Revoke every code and token of this user for this application."""

        def others(grant: Grant) -> bool:
            return (grant.userid, grant.client_id) != (userid, client_id)

        self._codes = {k: v for k, v in self._codes.items() if others(v.grant)}
        self._access = {k: v for k, v in self._access.items() if others(v.grant)}
        self._refresh = {k: v for k, v in self._refresh.items() if others(v.grant)}

    def issue_nonce(self) -> str:
        """A new nonce."""
        self._delete_expired()
        nonce = secrets.token_hex(20)
        self._nonces[_digest(nonce)] = self._now() + self._scenario.nonce_seconds
        return nonce

    def use_nonce(self, nonce: str) -> bool:
        """Consume a nonce; whether it was valid."""
        expires = self._nonces.pop(_digest(nonce), None)
        return expires is not None and expires > self._now()

    def seconds_until_repeat_allowed(self, params: Mapping[str, str]) -> int | None:
        """Seconds to wait if the same arguments came within `repeat_seconds`; None if the request is allowed."""
        now, window = self._now(), self._scenario.repeat_seconds
        key = _digest("\0".join(f"{k}\0{v}" for k, v in sorted(params.items())))
        left = self._recent_requests.get(key, now - window) + window - now
        if 0 < left <= window:
            return max(1, round(left))
        self._recent_requests[key] = now
        return None

    def _delete_expired(self) -> None:
        now = self._now()
        self._codes = {k: v for k, v in self._codes.items() if v.expires > now}
        self._access = {k: v for k, v in self._access.items() if v.expires > now}
        self._refresh = {k: v for k, v in self._refresh.items() if v.expires > now}
        self._nonces = {k: v for k, v in self._nonces.items() if v > now}
        self._recent_requests = {
            k: v for k, v in self._recent_requests.items() if abs(now - v) < self._scenario.repeat_seconds
        }


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def sign(secret: str, values: Mapping[str, str]) -> str:
    """Hexadecimal HMAC-SHA256 over the values, joined by commas in the alphabetical order of their names."""
    message = ",".join(values[name] for name in sorted(values))
    return hmac.new(secret.encode(), message.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def secrets_equal(one: str, other: str) -> bool:
    """Whether two secrets are equal, compared in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
