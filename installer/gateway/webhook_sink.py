"""Delivers to an HTTPS webhook: JSON, signed, with a key by which a receiver knows what it gets twice.

Headers and signature are those of the Standard Webhooks specification (standardwebhooks.com): `webhook-id`,
`webhook-timestamp` (unix seconds), and `webhook-signature: v1,BASE64`, an HMAC-SHA256 over `ID.TIMESTAMP.BODY`; so its
libraries check it. `Idempotency-Key` is the same as `webhook-id`. docs/gateway.md describes it for receivers.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from installer import __version__
from installer.errors import ErrorCode, InstallerError
from installer.gateway.devices import WEBHOOK, GatewayDevice
from installer.gateway.outbox import Item
from installer.gateway.sinks import Refused, SinkFailure, measurement_of, received
from installer.settings import is_loopback

if TYPE_CHECKING:
    import httpx

PREFIX = "whsec_"
SHORTEST_KEY = 16
# The receiver will not have this measurement, however often it is sent.
UNFIT = (400, 413, 415, 422)
# It may have it later.
BUSY = (408, 409, 425, 429)
# A receiver that has refused so many, one after the other, refuses them all.
MOST_UNFIT = 5


def check_url(text: str) -> str:
    """The URL, if it is one to send health data to. Raises USAGE, without the URL: its path may be a secret."""
    try:
        parts = urlsplit(text.strip())
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.fragment
        _ = parts.port
    except ValueError:
        good = False
    if not good:
        raise _unusable("is not a web address")
    if parts.username is not None or parts.password is not None:
        raise _unusable("holds a user name or a password")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise _unusable("is not encrypted (http:// is for this computer itself)")
    return text.strip()


def signature(key: bytes, identifier: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = f"{identifier}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")


def key_bytes(secret: SecretStr) -> bytes:
    """The signing key: base64 after `whsec_`, or else the secret's own bytes. Raises SECRET_UNAVAILABLE."""
    text = secret.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True) if text.startswith(PREFIX) else text.encode()
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < SHORTEST_KEY:
        raise InstallerError(
            ErrorCode.SECRET_UNAVAILABLE,
            f"The webhook's key is shorter than {SHORTEST_KEY} bytes, or not base64 after whsec_.",
            "Make one, for example with `openssl rand -base64 32`, and give the receiver the same.",
        )
    return key


def document(item: Item) -> bytes:
    """What is sent for a measurement: the same bytes each time."""
    measurement = measurement_of(item)
    content: dict[str, Any] = {
        "version": 1,
        "type": "measurement",
        "id": item.key,
        "device": item.device,
        "model": item.model,
        "account": item.account,
        "profile": item.profile,
        "taken": measurement.taken.isoformat() if measurement.taken is not None else None,
        "received": received(item).isoformat(),
        "user": measurement.user,
        "readings": [
            {"quantity": r.quantity.value, "value": f"{r.value.normalize():f}", "unit": r.unit}
            for r in measurement.readings
        ],
        "raw": item.raw.hex(),
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


class Webhook:
    """One receiver. `fetch_key` is asked before the first delivery, and again after a refusal of the signature."""

    name = WEBHOOK
    batch = 1

    def __init__(
        self,
        url: str,
        fetch_key: Callable[[], SecretStr],
        *,
        clock: Callable[[], float] = time.time,
        seconds: float = 20.0,
    ) -> None:
        self._url = check_url(url)
        self._host = urlsplit(self._url).hostname or ""
        self.label = f"the webhook at {self._host}"
        self._fetch_key = fetch_key
        self._clock = clock
        self._seconds = seconds
        self._key: bytes | None = None
        self._unfit = 0
        self._http: httpx.AsyncClient | None = None

    def takes(self, target: GatewayDevice) -> bool:
        """All devices."""
        return True

    async def deliver(self, items: Sequence[Item]) -> Sequence[Refused]:
        """Send them one after the other."""
        refused = []
        for item in items:
            why = await self._send(item)
            if why is not None:
                refused.append(Refused(item, why))
        return refused

    async def close(self) -> None:
        """Close the connection."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def _send(self, item: Item) -> str | None:
        import httpx

        if self._key is None:
            try:
                self._key = key_bytes(self._fetch_key())
            except InstallerError as error:
                raise SinkFailure(error) from None
        body, timestamp = document(item), int(self._clock())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"device-installer/{__version__}",
            "Idempotency-Key": item.key,
            "webhook-id": item.key,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._key, item.key, timestamp, body),
        }
        try:
            # The answer's body is of no interest, and may be endless.
            async with (
                asyncio.timeout(1.5 * self._seconds),
                self._client().stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                status, after = answer.status_code, answer.headers.get("Retry-After", "")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            # The text of these errors could quote the URL.
            raise SinkFailure(self._unreachable(f"does not answer ({type(error).__name__})")) from None
        return self._judge(status, after)

    def _judge(self, status: int, after: str) -> str | None:
        if 200 <= status < 300:
            self._unfit = 0
            return None
        if status in UNFIT and self._unfit < MOST_UNFIT:
            self._unfit += 1
            return f"HTTP {status}"
        if status in BUSY or status >= 500:
            raise SinkFailure(
                self._unreachable(f"answers with HTTP {status}"), retry_after=_seconds(after, self._clock())
            )
        if status in (401, 403):
            self._key = None
        raise SinkFailure(
            InstallerError(
                ErrorCode.CLOUD_FAILED,
                f"The webhook at {self._host} refuses with HTTP {status}.",
                "Check its address, its key, and this computer's clock; nothing was lost.",
                status=status,
            ),
            retry_after=_seconds(after, self._clock()),
        )

    def _client(self) -> httpx.AsyncClient:
        import httpx

        if self._http is None:
            self._http = httpx.AsyncClient(
                timeout=httpx.Timeout(self._seconds, connect=min(10.0, self._seconds)),
                follow_redirects=False,
                trust_env=not is_loopback(self._host),
                # Reading all certificates takes a while, and http:// (this computer only) needs none.
                verify=not self._url.startswith("http:"),
            )
        return self._http

    def _unreachable(self, how: str) -> InstallerError:
        return InstallerError(
            ErrorCode.CLOUD_UNREACHABLE,
            f"The webhook at {self._host} {how}.",
            "Check the Internet connection and the receiver; nothing was lost, and it is tried again.",
        )


def _seconds(after: str, now: float) -> float | None:
    """`Retry-After`: seconds, or a date."""
    if after.isascii() and after.isdigit() and len(after) < 10:
        return float(after)
    try:
        moment = parsedate_to_datetime(after)
    except (TypeError, ValueError):
        return None
    return max(0.0, moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now)


def _unusable(why: str) -> InstallerError:
    return InstallerError(
        ErrorCode.USAGE, f"The webhook's address {why}.", "Give an https:// address of a receiver that you run."
    )
