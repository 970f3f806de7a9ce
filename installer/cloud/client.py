"""Requests to the cloud: form fields out, a checked body in (`withings-cloud.md` §0, §1.3, §1.6, §5).

What may be asked twice is asked again after a dropped connection, a timeout, or a 601 whose wait fits into the
deadline. What may not (the token endpoint) is repeated only if the request never left this computer.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import stamina
from pydantic import SecretStr

from installer import __version__
from installer.cloud import response as envelope
from installer.cloud.rate_limit import RateLimit, RateLimited
from installer.cloud.request_signature import sign
from installer.cloud.response import Family
from installer.errors import ErrorCode, InstallerError
from installer.settings import CloudSettings, is_loopback
from installer.text import printable
from installer.timing.deadlines import in_thread

ATTEMPTS = 4
FIRST_WAIT = 0.2  # seconds before the first repetition; then twice as long each time
REQUEST_SECONDS = 30.0
SECRET_SECONDS = 30.0
SKEW_FROM, SKEW_TO = 5.0, 86_400.0

OAUTH = "/v2/oauth2"
SIGNATURE = "/v2/signature"

# Stamina logs each retry as a warning; without a handler Python would print it over the wizard's screen.
logging.getLogger("stamina").addHandler(logging.NullHandler())


class Unreachable(InstallerError):
    """CLOUD_UNREACHABLE. `sent`: whether the request may have reached the cloud."""

    def __init__(self, what: str, *, sent: bool) -> None:
        super().__init__(
            ErrorCode.CLOUD_UNREACHABLE,
            what,
            "Check the Internet connection (and a proxy or firewall), then try again.",
        )
        self.sent = sent


class CloudClient:
    """The connection to one cloud as one application. Close it after use."""

    def __init__(self, cloud: CloudSettings) -> None:
        self.cloud = cloud
        self._host = urlsplit(cloud.api).hostname or cloud.api
        self._pace = RateLimit.of(cloud)
        self._skew = 0.0
        self._secret: SecretStr | None = None
        self._http = httpx.AsyncClient(
            base_url=cloud.api,
            timeout=httpx.Timeout(20.0, connect=10.0),
            follow_redirects=False,
            trust_env=not is_loopback(self._host),
            # Reading all certificates takes a while, and http:// (this computer only) needs none.
            verify=not cloud.api.startswith("http:"),
            headers={"User-Agent": f"device-installer/{__version__}", "Accept": "application/json"},
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def cloud_time(self, here: float) -> float:
        """This computer's unix time `here` as the cloud counts it, should one of the two clocks be wrong."""
        return here + self._skew

    async def call(
        self,
        service: str,
        action: str,
        doing: str,
        fields: Mapping[str, str] | None = None,
        *,
        token: SecretStr | None = None,
        again: bool = True,
        seconds: float = 60.0,
    ) -> dict[str, Any]:
        """The body of a successful answer.

        `doing` completes “while …” in an error. `again`: the call does no harm when it is made twice. `seconds`:
        how long repeating may go on. Raises CLOUD_UNREACHABLE, CLOUD_BUSY (`wait_seconds`), TOKEN_REJECTED,
        CLOUD_FAILED; all but the first with `status`.
        """
        form = {"action": action, **(fields or {})}
        on = _retry(again, asyncio.get_running_loop().time() + seconds)
        async for attempt in stamina.retry_context(
            on=on, attempts=ATTEMPTS, timeout=seconds, wait_initial=FIRST_WAIT, wait_jitter=FIRST_WAIT
        ):
            with attempt:
                await self._turn(doing, seconds)
                return await self._once(service, form, doing, token)
        raise AssertionError("stamina ends with a value or an exception")

    async def request_token(self, doing: str, fields: Mapping[str, SecretStr | str]) -> dict[str, Any]:
        """One request to the token endpoint, with the proof of the client secret; never repeated blindly (§1.4)."""
        plain = {k: v.get_secret_value() if isinstance(v, SecretStr) else v for k, v in fields.items()}
        if self.cloud.sign_requests:
            return await self.signed(OAUTH, "requesttoken", doing, plain)
        secret = await self._client_secret()
        own = {"client_id": self._client_id(), "client_secret": secret.get_secret_value()}
        return await self.call(OAUTH, "requesttoken", doing, {**own, **plain}, again=False)

    async def signed(
        self, service: str, action: str, doing: str, fields: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The body of a call that is signed with a fresh nonce, which is used up by it (§1.6)."""
        secret = await self._client_secret()
        client = self._client_id()
        asked = {"action": "getnonce", "client_id": client, "timestamp": str(int(self.cloud_time(time.time())))}
        asked["signature"] = sign(secret, asked)
        body = await self.call(SIGNATURE, asked.pop("action"), "asking for a nonce", asked)
        nonce = body.get("nonce")
        if not isinstance(nonce, str) or not 0 < len(nonce) <= 1024:
            raise envelope.garbage("its answer has no nonce")
        own = {"client_id": client, "nonce": nonce}
        own["signature"] = sign(secret, {"action": action, **own})
        return await self.call(service, action, doing, {**own, **(fields or {})}, again=False)

    def check_application(self) -> None:
        """Raise SETTINGS_INVALID unless an application is named in the settings."""
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
                self._secret = await in_thread(self.cloud.fetch_secret, SECRET_SECONDS)
            except TimeoutError:
                raise InstallerError(
                    ErrorCode.SECRET_UNAVAILABLE,
                    f"The client secret of the application did not come within {SECRET_SECONDS:.0f} s.",
                    "Unlock the keyring, or name another place for it in the settings.",
                ) from None
        return self._secret

    async def _turn(self, doing: str, seconds: float) -> None:
        try:
            await self._pace.turn(seconds)
        except RateLimited as pause:
            raise envelope.failure(envelope.Answer(601, {"wait_seconds": math.ceil(pause.wait)}), doing) from None

    async def _once(self, service: str, form: dict[str, str], doing: str, token: SecretStr | None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token is not None else {}
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                content, status, date, after = await self._post(service, form, headers)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreachable(f"{self._host} cannot be reached{_reason(error)}.", sent=False) from None
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            # The text of these errors could quote the request.
            raise Unreachable(f"{self._host} did not answer properly ({type(error).__name__}).", sent=True) from None
        self._note_time(date)
        if status == 429:
            content = json.dumps({"status": 601, "body": {"wait_seconds": after}}).encode()
        elif status >= 500:
            raise Unreachable(f"{self._host} is not working (HTTP {status}).", sent=True)
        elif status != 200:
            raise envelope.garbage(f"it answered with HTTP {status}")
        answer = envelope.parse(content)
        if answer.family is Family.BUSY and service != OAUTH:
            # The limit is the application's, so its other programs must wait too. (The token endpoint says the same of
            # one request that is repeated.)
            await self._pace.pause(answer.wait_seconds)
        if answer.family is not Family.OK:
            sent = [v for k, v in form.items() if k not in ("action", "grant_type")]
            sent += [token.get_secret_value()] if token is not None else []
            raise envelope.failure(answer, doing, tuple(sent))
        return answer.body

    async def _post(
        self, service: str, form: dict[str, str], headers: dict[str, str]
    ) -> tuple[bytes, int, str, float | None]:
        async with self._http.stream("POST", service, data=form, headers=headers) as response:
            content = b""
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > envelope.MAX_BYTES:
                    break
            after = response.headers.get("Retry-After", "")
            wait = float(after) if after.isascii() and after.isdigit() and len(after) < 7 else None
            return content, response.status_code, response.headers.get("Date", ""), wait

    def _note_time(self, date: str) -> None:
        try:
            there = parsedate_to_datetime(date).timestamp()
        except (TypeError, ValueError, OverflowError):
            return
        skew = there - time.time()
        self._skew = skew if SKEW_FROM < abs(skew) < SKEW_TO else 0.0


def _retry(again: bool, end: float) -> Callable[[Exception], bool | float]:
    errors = 0

    def decide(error: Exception) -> bool | float:
        nonlocal errors
        if isinstance(error, Unreachable):
            return again or not error.sent
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


def _reason(error: Exception) -> str:
    text = printable(str(error), 160)
    return f" ({text})" if text else ""
