"""An HTTPS webhook as a sink: signed JSON, with a key by which the receiver recognises a repeated measurement.

Headers and signature are those of the Standard Webhooks specification (standardwebhooks.com): `webhook-id`,
`webhook-timestamp` (unix seconds), and `webhook-signature: v1,BASE64`, an HMAC-SHA256 over `ID.TIMESTAMP.BODY`; their
libraries can check it. `Idempotency-Key` is the same as `webhook-id`. docs/gateway.md describes it for receivers.
"""

from __future__ import annotations

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

from installer.cloud.unreachable import Unreachable
from installer.errors import ErrorCode, InstallerError
from installer.gateway.devices import GatewayDevice
from installer.gateway.outbox import Item
from installer.gateway.sinks import NOTHING_LOST, WEBHOOK, RefusedItem, SinkFailure, measurement_of, received_time
from installer.settings import is_loopback

if TYPE_CHECKING:
    from installer.cloud.http_client import HttpClient

KEY_PREFIX = "whsec_"
MIN_KEY_BYTES = 16
# HTTP statuses: the receiver will never accept this measurement.
PERMANENT_REFUSALS = (400, 413, 415, 422)
# It may accept it later.
TEMPORARY_REFUSALS = (408, 409, 425, 429)
# After so many permanent refusals in a row, the receiver itself is taken to be broken.
MAX_REFUSALS_IN_A_ROW = 5


def check_url(text: str) -> str:
    """The URL, if health data may be sent to it. Raises USAGE; the error does not show the URL, which may be secret."""
    try:
        parts = urlsplit(text.strip())
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.fragment
        _ = parts.port
    except ValueError:
        valid = False
    if not valid:
        raise _unusable("is not a web address")
    if parts.username is not None or parts.password is not None:
        raise _unusable("holds a user name or a password")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise _unusable("is not encrypted (http:// is only for this computer)")
    return text.strip()


def signature(key: bytes, identifier: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = f"{identifier}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")


def signing_key(secret: SecretStr) -> bytes:
    """The key in the secret: base64 after `whsec_`, else the text itself. Raises SECRET_UNAVAILABLE."""
    text = secret.get_secret_value()
    try:
        key = (
            base64.b64decode(text.removeprefix(KEY_PREFIX), validate=True)
            if text.startswith(KEY_PREFIX)
            else text.encode()
        )
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < MIN_KEY_BYTES:
        raise InstallerError(
            ErrorCode.SECRET_UNAVAILABLE,
            f"The webhook's key is shorter than {MIN_KEY_BYTES} bytes, or not base64 after whsec_.",
            "Make one, for example with `openssl rand -base64 32`, and give it to the receiver, too.",
        )
    return key


def payload(item: Item) -> bytes:
    """The body of the request for a measurement: the same bytes each time."""
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
        "received": received_time(item).isoformat(),
        "user": measurement.user,
        "readings": [
            {"quantity": r.quantity.value, "value": f"{r.value.normalize():f}", "unit": r.unit}
            for r in measurement.readings
        ],
        "raw": item.raw.hex(),
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


class WebhookSink:
    """One receiver. `fetch_key` is called before the first delivery, and again after the signature was refused."""

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
        self._refusals_in_a_row = 0
        self._http: HttpClient | None = None

    def accepts(self, device: GatewayDevice) -> bool:
        """All devices."""
        return True

    async def deliver(self, items: Sequence[Item]) -> Sequence[RefusedItem]:
        """Send one request for each measurement."""
        refused = []
        for item in items:
            reason = await self._send(item)
            if reason is not None:
                refused.append(RefusedItem(item, reason))
        return refused

    async def close(self) -> None:
        """Close the connection."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    async def _send(self, item: Item) -> str | None:
        if self._key is None:
            try:
                self._key = signing_key(self._fetch_key())
            except InstallerError as error:
                raise SinkFailure(error) from None
        body, timestamp = payload(item), int(self._clock())
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": item.key,
            "webhook-id": item.key,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._key, item.key, timestamp, body),
        }
        try:
            # The body of the answer is not read: it may be endless.
            async with self._client().stream(
                "POST", self._url, seconds=1.5 * self._seconds, content=body, headers=headers
            ) as answer:
                status, retry_after = answer.status_code, answer.headers.get("Retry-After", "")
        except Unreachable as error:
            raise SinkFailure(error.with_advice(f"{error.todo} {NOTHING_LOST}")) from None
        return self._check_status(status, retry_after)

    def _check_status(self, status: int, retry_after: str) -> str | None:
        """None: accepted; else why this measurement is refused for good. Raises SinkFailure."""
        if 200 <= status < 300:
            self._refusals_in_a_row = 0
            return None
        if status in PERMANENT_REFUSALS and self._refusals_in_a_row < MAX_REFUSALS_IN_A_ROW:
            self._refusals_in_a_row += 1
            return f"HTTP {status}"
        if status in TEMPORARY_REFUSALS or status >= 500:
            raise SinkFailure(
                Unreachable(
                    f"The webhook at {self._host} answers with HTTP {status}.",
                    f"Check the receiver. {NOTHING_LOST}",
                    sent=True,
                ),
                retry_after=_wait_seconds(retry_after, self._clock()),
            )
        if status in (401, 403):
            self._key = None
        raise SinkFailure(
            InstallerError(
                ErrorCode.CLOUD_FAILED,
                f"The webhook at {self._host} refuses with HTTP {status}.",
                "Check its address, its key, and this computer's clock. Nothing was lost.",
                status=status,
            ),
            retry_after=_wait_seconds(retry_after, self._clock()),
        )

    def _client(self) -> HttpClient:
        from installer.cloud.http_client import HttpClient

        if self._http is None:
            label = self.label
            self._http = HttpClient(self._url, label[:1].upper() + label[1:], seconds=self._seconds)
        return self._http


def _wait_seconds(retry_after: str, now: float) -> float | None:
    """The wait of a `Retry-After` header, which holds seconds or a date; None if it holds neither."""
    if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10:
        return float(retry_after)
    try:
        when = parsedate_to_datetime(retry_after)
    except (TypeError, ValueError):
        return None
    return max(0.0, when.replace(tzinfo=when.tzinfo or UTC).timestamp() - now)


def _unusable(problem: str) -> InstallerError:
    return InstallerError(
        ErrorCode.USAGE, f"The webhook's address {problem}.", "Give an https:// address of a receiver that you run."
    )
