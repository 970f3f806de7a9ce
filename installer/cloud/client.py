"""HTTP client of the cloud's API: requests, retries, and signatures (`withings-cloud.md` §0, §1.3, §1.6, §5).

An idempotent request is retried after a dropped connection, a timeout, or a status 601 whose wait fits into the
deadline. Any other request (the token endpoint) is retried only if it was never sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import stamina
from pydantic import SecretStr

from installer.cloud.http_client import HttpClient
from installer.cloud.rate_limit import RateLimit, RateLimited
from installer.cloud.response import MAX_BYTES, Answer, Family, answer_error, invalid_answer, parse_answer
from installer.cloud.unreachable import Unreachable
from installer.errors import ErrorCode, InstallerError
from installer.settings import CloudSettings
from installer.timing.deadlines import call_with_deadline

ATTEMPTS = 4
FIRST_WAIT = 0.2  # seconds before the first repetition; then twice as long each time
REQUEST_SECONDS = 30.0
CLIENT_SECRET_SECONDS = 30.0
MIN_CLOCK_SKEW_SECONDS, MAX_CLOCK_SKEW_SECONDS = 5.0, 86_400.0

OAUTH_PATH = "/v2/oauth2"
SIGNATURE_PATH = "/v2/signature"
# Only these fields are signed.
_SIGNED_FIELDS = ("action", "client_id", "nonce", "timestamp")

# Stamina logs each retry as a warning. Without a handler, Python would print it over the wizard's screen.
logging.getLogger("stamina").addHandler(logging.NullHandler())


class CloudClient:
    """The connection to one cloud as one application. Close it after use.

    Raises Unreachable if this computer's proxy or certificates cannot be used.
    """

    def __init__(self, cloud: CloudSettings) -> None:
        self.cloud = cloud
        self._host = urlsplit(cloud.api).hostname or cloud.api
        self._rate_limit = RateLimit.of(cloud)
        self._clock_skew = 0.0
        self._secret: SecretStr | None = None
        self._http = HttpClient(cloud.api, self._host, seconds=20.0, headers={"Accept": "application/json"})

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def cloud_time(self, local_time: float) -> float:
        """The cloud's unix time at the unix time `local_time` of this computer, whose clock may be wrong."""
        return local_time + self._clock_skew

    async def call(
        self,
        service: str,
        action: str,
        doing: str,
        fields: Mapping[str, str] | None = None,
        *,
        token: SecretStr | None = None,
        idempotent: bool = True,
        seconds: float = 60.0,
    ) -> dict[str, Any]:
        """The body of a successful answer.

        `doing` completes “while …” in an error. `idempotent`: the call may be sent twice. `seconds`: the time limit
        of all attempts. Raises CLOUD_UNREACHABLE, CLOUD_BUSY (`wait_seconds`), TOKEN_REJECTED, CLOUD_FAILED; all but
        the first with `status`.
        """
        form = {"action": action, **(fields or {})}
        on = _retry(idempotent, asyncio.get_running_loop().time() + seconds)
        async for attempt in stamina.retry_context(
            on=on, attempts=ATTEMPTS, timeout=seconds, wait_initial=FIRST_WAIT, wait_jitter=FIRST_WAIT
        ):
            with attempt:
                await self._wait_for_rate_limit(doing, seconds)
                return await self._send(service, form, doing, token)
        raise AssertionError("stamina ends with a value or an exception")

    async def request_token(self, doing: str, fields: Mapping[str, SecretStr | str]) -> dict[str, Any]:
        """One request to the token endpoint, with the client secret or a signature (§1.4). Never sent twice."""
        plain = {k: v.get_secret_value() if isinstance(v, SecretStr) else v for k, v in fields.items()}
        if self.cloud.sign_requests:
            return await self.call_signed(OAUTH_PATH, "requesttoken", doing, plain)
        secret = await self._client_secret()
        application = {"client_id": self._client_id(), "client_secret": secret.get_secret_value()}
        return await self.call(OAUTH_PATH, "requesttoken", doing, {**application, **plain}, idempotent=False)

    async def call_signed(
        self, service: str, action: str, doing: str, fields: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The body of a call that is signed with a new nonce; a nonce is valid once (§1.6)."""
        secret = await self._client_secret()
        client = self._client_id()
        request = {"action": "getnonce", "client_id": client, "timestamp": str(int(self.cloud_time(time.time())))}
        request["signature"] = request_signature(secret, request)
        body = await self.call(SIGNATURE_PATH, request.pop("action"), "asking for a nonce", request)
        nonce = body.get("nonce")
        if not isinstance(nonce, str) or not 0 < len(nonce) <= 1024:
            raise invalid_answer("its answer has no nonce")
        proof = {"client_id": client, "nonce": nonce}
        proof["signature"] = request_signature(secret, {"action": action, **proof})
        return await self.call(service, action, doing, {**proof, **(fields or {})}, idempotent=False)

    def check_application(self) -> None:
        """Raise SETTINGS_INVALID if the settings name no application."""
        self._client_id()

    def _client_id(self) -> str:
        if not self.cloud.client_id:
            raise InstallerError(
                ErrorCode.SETTINGS_INVALID,
                f"No application is registered in the settings for {self.cloud.name}.",
                "Register one on the vendor's developer site, then write client_id and client_secret into [cloud] "
                "of config.toml, or set DEVICE_INSTALLER_CLIENT_ID and DEVICE_INSTALLER_CLIENT_SECRET.",
            )
        return self.cloud.client_id

    async def _client_secret(self) -> SecretStr:
        self._client_id()
        if self._secret is None:
            try:
                self._secret = await call_with_deadline(self.cloud.fetch_secret, CLIENT_SECRET_SECONDS)
            except TimeoutError:
                raise InstallerError(
                    ErrorCode.SECRET_UNAVAILABLE,
                    f"The client secret of the application could not be read within {CLIENT_SECRET_SECONDS:.0f} s.",
                    "Unlock the keyring, or name another source of the secret in the settings.",
                ) from None
        return self._secret

    async def _wait_for_rate_limit(self, doing: str, seconds: float) -> None:
        try:
            await self._rate_limit.wait_for_slot(seconds)
        except RateLimited as limited:
            raise answer_error(Answer(601, {"wait_seconds": math.ceil(limited.wait)}), doing) from None

    async def _send(self, service: str, form: dict[str, str], doing: str, token: SecretStr | None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token is not None else {}
        content, status, date, retry_after = await self._post(service, form, headers)
        self._measure_clock_skew(date)
        if status == 429:
            content = json.dumps({"status": 601, "body": {"wait_seconds": retry_after}}).encode()
        elif status >= 500:
            raise Unreachable(f"{self._host} is not working (HTTP {status}).", sent=True)
        elif status != 200:
            raise invalid_answer(f"it answered with HTTP {status}")
        answer = parse_answer(content)
        if answer.family is Family.BUSY and service != OAUTH_PATH:
            # The limit belongs to the application, so its other programs must wait too. The token endpoint answers 601
            # for another reason: a repeated request.
            await self._rate_limit.pause(answer.wait_seconds)
        if answer.family is not Family.OK:
            sent = [v for k, v in form.items() if k not in ("action", "grant_type")]
            sent += [token.get_secret_value()] if token is not None else []
            raise answer_error(answer, doing, tuple(sent))
        return answer.body

    async def _post(
        self, service: str, form: dict[str, str], headers: dict[str, str]
    ) -> tuple[bytes, int, str, float | None]:
        async with self._http.stream("POST", service, seconds=REQUEST_SECONDS, data=form, headers=headers) as response:
            content = b""
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MAX_BYTES:
                    break
            text = response.headers.get("Retry-After", "")
            retry_after = float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None
            return content, response.status_code, response.headers.get("Date", ""), retry_after

    def _measure_clock_skew(self, date: str) -> None:
        try:
            cloud_clock = parsedate_to_datetime(date).timestamp()
        except (TypeError, ValueError, OverflowError):
            return
        skew = cloud_clock - time.time()
        self._clock_skew = skew if MIN_CLOCK_SKEW_SECONDS < abs(skew) < MAX_CLOCK_SKEW_SECONDS else 0.0


def _retry(again: bool, end: float) -> Callable[[Exception], bool | float]:
    errors = 0

    def decide(error: Exception) -> bool | float:
        nonlocal errors
        if isinstance(error, Unreachable):
            return not error.permanent and (again or not error.sent)
        if not again or not isinstance(error, InstallerError):
            return False
        left = end - asyncio.get_running_loop().time()
        if error.code is ErrorCode.CLOUD_BUSY:
            wait = max(0.05, float(error.data["wait_seconds"]))
            return wait if wait < left else False
        kind = error.data.get("family")
        if kind == Family.ERROR.value:
            errors += 1
            return errors == 1
        return kind == Family.TIMEOUT.value

    return decide


def request_signature(secret: SecretStr, fields: Mapping[str, str]) -> str:
    """The signature of a request, in hexadecimal (§1.6): HMAC-SHA256 of the signed fields' values, ordered by name.

    `fields` has `action`, `client_id`, and `timestamp` (for `getnonce`) or `nonce` (for every other action).
    """
    message = ",".join(fields[name] for name in sorted(_SIGNED_FIELDS) if name in fields)
    return hmac.new(secret.get_secret_value().encode(), message.encode(), hashlib.sha256).hexdigest()
