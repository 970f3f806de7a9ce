"""The HTTP client over real sockets: retries, invalid answers, signatures, the clock of the cloud."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest
from pydantic import SecretStr

from installer.cloud.client import CloudClient, request_signature
from installer.errors import ErrorCode, InstallerError
from tests.installer.cloud.world import Lab, bad, free_port, odd, ok, raw, settings

TOKEN = SecretStr("bearer-that-nobody-may-see")


async def ask(client: CloudClient, **more: Any) -> dict[str, Any]:
    try:
        return await client.call("/v2/user", "getdevice", "reading devices", token=TOKEN, **more)
    finally:
        await client.close()


async def failing(base: str, *, changes: dict[str, Any] | None = None, **more: Any) -> InstallerError:
    with pytest.raises(InstallerError) as caught:
        await ask(CloudClient(settings(base, **(changes or {}))), **more)
    assert TOKEN.get_secret_value() not in str(caught.value) + repr(caught.value) + str(caught.value.data)
    return caught.value


async def test_a_call_is_a_form_with_an_action_and_a_bearer_token() -> None:
    async with odd(getdevice=[ok({"devices": []})]) as cloud:
        assert await ask(CloudClient(settings(cloud.base)), fields={"x": "ü"}) == {"devices": []}
    path, form, headers = cloud.requests[0]
    assert (path, form) == ("/v2/user", {"action": "getdevice", "x": "ü"})
    assert headers["authorization"] == f"Bearer {TOKEN.get_secret_value()}"
    assert headers["content-type"] == "application/x-www-form-urlencoded"


async def test_an_api_below_a_path_is_reached_there() -> None:
    async with odd(getdevice=[ok()]) as cloud:
        await ask(CloudClient(settings(f"{cloud.base}/proxy")))
    assert cloud.requests[0][0] == "/proxy/v2/user"


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([bad(522), bad(522), ok()], 3),
        ([bad(4711), ok()], 2),
        ([raw("", 503), ok()], 2),
        ([bad(601, wait_seconds=0), bad(601, wait_seconds=0), ok()], 3),
        ([raw("", 429, retry_after="0"), ok()], 2),
    ],
)
async def test_what_may_be_asked_twice_is_asked_again(answers: list[Any], asked: int) -> None:
    async with odd(getdevice=answers) as cloud:
        assert await ask(CloudClient(settings(cloud.base))) == {}
    assert cloud.count("getdevice") == asked


@pytest.mark.parametrize(
    ("answer", "asked", "code"),
    [
        (bad(4711), 2, ErrorCode.CLOUD_FAILED),
        (bad(503), 1, ErrorCode.CLOUD_FAILED),
        (bad(401), 1, ErrorCode.TOKEN_REJECTED),
        (bad(2554), 1, ErrorCode.CLOUD_FAILED),
        (bad(601, wait_seconds=3600), 1, ErrorCode.CLOUD_BUSY),
        (raw("", 429), 1, ErrorCode.CLOUD_BUSY),
        (raw("", 502), 4, ErrorCode.CLOUD_UNREACHABLE),
        (raw("not found", 404), 1, ErrorCode.CLOUD_FAILED),
        (raw("", 302, location="https://elsewhere.example/"), 1, ErrorCode.CLOUD_FAILED),
        (raw("<html>login</html>"), 1, ErrorCode.CLOUD_FAILED),
        (raw(b'{"status":0,"body":{"a":"' + b"x" * 5_000_000 + b'"}}'), 1, ErrorCode.CLOUD_FAILED),
        (raw("{}", content_encoding="gzip"), 4, ErrorCode.CLOUD_UNREACHABLE),
    ],
)
async def test_what_comes_out_of_an_answer_that_stays_bad(answer: Any, asked: int, code: ErrorCode) -> None:
    async with odd(getdevice=[answer]) as cloud:
        error = await failing(cloud.base, seconds=30)
    assert error.code is code
    assert cloud.count("getdevice") == asked


@pytest.mark.parametrize("answer", [bad(522), bad(4711), bad(601, wait_seconds=0), raw("", 502)])
async def test_a_request_for_tokens_is_never_repeated(answer: Any) -> None:
    async with odd(requesttoken=[answer]) as cloud:
        client = CloudClient(settings(cloud.base))
        with pytest.raises(InstallerError):
            await client.request_token("signing in", {"grant_type": "refresh_token", "refresh_token": TOKEN})
        await client.close()
    assert cloud.count("requesttoken") == 1


async def test_a_cut_connection_is_tried_again(practice: Lab) -> None:
    account = await practice.sign_in()
    before = practice.calls("/v2/user getdevice")  # the sign-in shows whose account it is
    practice.arm(path="/v2/user", action="getdevice", closed=True, times=2)
    assert await account.devices() == []
    assert practice.calls("/v2/user getdevice") - before == 3


async def test_nobody_there() -> None:
    error = await failing(f"http://127.0.0.1:{free_port()}", seconds=5)
    assert error.code is ErrorCode.CLOUD_UNREACHABLE
    assert "127.0.0.1" in error.what


async def test_an_encrypted_cloud_that_is_none() -> None:
    async with odd(getdevice=[ok()]) as cloud:
        error = await failing(cloud.base.replace("http:", "https:"), seconds=5)
    assert error.code is ErrorCode.CLOUD_UNREACHABLE
    assert cloud.requests == []


async def test_the_clouds_clock_is_known_from_its_answers() -> None:
    ahead = formatdate(time.time() + 1000, usegmt=True)
    async with odd(getdevice=[raw('{"status":0}', date=ahead)]) as cloud:
        client = CloudClient(settings(cloud.base))
        await ask(client)
    assert abs(client.cloud_time(0.0) - 1000) < 60


@pytest.mark.parametrize("date", ["", "yesterday", formatdate(0, usegmt=True), "now"])
async def test_a_date_that_says_nothing_changes_nothing(date: str) -> None:
    async with odd(getdevice=[raw('{"status":0}', date=formatdate(usegmt=True) if date == "now" else date)]) as cloud:
        client = CloudClient(settings(cloud.base))
        await ask(client)
    assert client.cloud_time(7.0) == 7.0


async def test_a_signed_call_proves_the_secret_without_sending_it(practice: Lab) -> None:
    client = CloudClient(practice.cloud)
    body = await client.call_signed("/v2/oauth2", "getdemoaccess", "trying", {"scope_oauth2": "user.info"})
    await client.close()
    assert body["access_token"]


async def test_the_secret_is_not_sent_where_requests_are_signed() -> None:
    async with odd(getnonce=[ok({"nonce": "n1"})], requesttoken=[ok({"x": 1})]) as cloud:
        client = CloudClient(settings(cloud.base, sign_requests=True))
        await client.request_token("signing in", {"code": SecretStr("c1")})
        await client.close()
    assert "lab-secret" not in str(cloud.requests)
    assert cloud.requests[-1][1].keys() == {"action", "client_id", "nonce", "signature", "code"}


async def test_a_nonce_that_is_none() -> None:
    async with odd(getnonce=[ok({"nonce": 5})]) as cloud:
        client = CloudClient(settings(cloud.base, sign_requests=True))
        with pytest.raises(InstallerError) as caught:
            await client.request_token("signing in", {})
        await client.close()
    assert caught.value.code is ErrorCode.CLOUD_FAILED


async def test_without_an_application_it_is_said_how_to_get_one() -> None:
    client = CloudClient(settings("http://127.0.0.1:1", client_id=""))
    with pytest.raises(InstallerError) as caught:
        client.check_application()
    await client.close()
    assert caught.value.code is ErrorCode.SETTINGS_INVALID
    assert "client_id" in caught.value.todo


async def test_the_limit_of_requests_a_minute_is_kept_on_this_side() -> None:
    async with odd(getdevice=[ok()]) as cloud:
        client = CloudClient(settings(cloud.base, requests_per_minute=2))
        for _ in range(2):
            await client.call("/v2/user", "getdevice", "reading devices")
        with pytest.raises(InstallerError) as caught:
            await client.call("/v2/user", "getdevice", "reading devices", seconds=0.1)
        await client.close()
    assert caught.value.code is ErrorCode.CLOUD_BUSY
    assert cloud.count("getdevice") == 2


# Test vectors: `withings-cloud.md` §1.6.
SIGNING_SECRET = SecretStr("demo-secret")


def test_a_nonce_is_asked_for_with_action_client_and_timestamp() -> None:
    fields = {"timestamp": "1700000000", "client_id": "demo-client", "action": "getnonce"}
    assert (
        request_signature(SIGNING_SECRET, fields) == "ed8bb390250b1ffe0821b7135946072cd741845e044f87a0238d2d3100571b10"
    )


def test_everything_else_is_signed_with_the_nonce_and_other_fields_do_not_count() -> None:
    fields = {"nonce": "demo-nonce", "client_id": "demo-client", "action": "requesttoken", "code": "any"}
    assert (
        request_signature(SIGNING_SECRET, fields) == "5d847f2dcfb54a3ff7fd0a19b22bf26a45a29aa686d813a4b39b652a28f617ec"
    )
