"""The OAuth sign-in: by browser, by pasted address, and its errors."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from installer.cloud.accounts import Accounts
from installer.cloud.lab_sign_in import sign_in_by_form
from installer.cloud.oauth_sign_in import SignInSession
from installer.cloud.token_store import TokenStore
from installer.errors import ErrorCode, InstallerError
from installer.flow.front_end import Back
from tests.installer.cloud.world import (
    ACCESS,
    CODE,
    EMAIL,
    PASSWORD,
    Lab,
    Odd,
    bad,
    everything_in,
    free_port,
    grant,
    in_time,
    odd,
    raw,
    settings,
)

# Another loopback address, on which the listener must not listen.
OTHER_ADDRESS = "127.0.0.2"


def query(url: str) -> dict[str, str]:
    return {k: v[0] for k, v in parse_qs(urlsplit(url).query).items()}


def back(session: SignInSession, **changes: str) -> str:
    """The address to which the cloud sends the browser."""
    values = {"code": CODE, "state": query(session.authorize_url)["state"], **changes}
    return str(httpx.URL(session.redirect_uri, params={k: v for k, v in values.items() if v}))


async def visit(url: httpx.URL | str, **headers: str) -> httpx.Response:
    """A browser that has not opened the link."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as browser:
        return await browser.get(url, headers=headers)


@asynccontextmanager
async def browser_of(session: SignInSession) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has opened the link and been sent to the cloud's page."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as browser:
        assert (await browser.get(session.short_url)).status_code == 302
        yield browser


async def come_back(session: SignInSession, **changes: str) -> httpx.Response:
    """Open the link, and come back from the cloud."""
    async with browser_of(session) as browser:
        return await browser.get(back(session, **changes))


async def pasted(text: str) -> str:
    return text


async def never() -> str:
    await asyncio.Event().wait()
    return ""


@asynccontextmanager
async def session_at(
    cloud: Odd, folder: Path, seconds: float = 20.0, **changes: object
) -> AsyncIterator[SignInSession]:
    accounts = Accounts(settings(cloud.base, **changes), TokenStore(folder, "file"))
    try:
        async with accounts.sign_in("default", seconds=seconds) as session:
            yield session
    finally:
        await accounts.close()


async def failing(session: SignInSession, paste: str | None = None) -> InstallerError:
    with pytest.raises(InstallerError) as caught:
        await in_time(session.result(pasted(paste) if paste is not None else None))
    return caught.value


async def test_page_form_redirect_tokens(practice: Lab) -> None:
    account = await practice.sign_in("clinic")
    assert account.userid == "40000001"
    assert account.scopes == {"user.info", "user.metrics", "user.activity"}
    assert str(practice.folder) in account.stored_in
    assert await account.devices() == []
    assert [(a.name, a.userid) for a in await practice.accounts.stored()] == [("clinic", "40000001")]


async def test_what_the_address_of_the_page_holds(practice: Lab) -> None:
    async with practice.accounts.sign_in("a") as one, practice.accounts.sign_in("b") as two:
        asked = query(one.authorize_url)
        assert one.authorize_url.startswith(f"{practice.cloud.authorize}/oauth2_user/authorize2?")
        assert "scope=user.info,user.metrics,user.activity&" in one.authorize_url
        assert asked["response_type"] == "code"
        assert asked["client_id"] == "lab-client"
        assert asked["redirect_uri"] == one.redirect_uri
        assert len(asked["state"]) >= 43
        assert asked["state"] != query(two.authorize_url)["state"]
        assert "mode" not in asked


async def test_the_demo_user_is_asked_for_by_a_setting(practice: Lab) -> None:
    async with practice.another(demo=True).sign_in("a") as session:
        assert query(session.authorize_url)["mode"] == "demo"


async def test_the_short_address_leads_to_the_page(practice: Lab) -> None:
    async with practice.accounts.sign_in("a") as session:
        answer = await visit(session.short_url)
        assert (answer.status_code, answer.headers["location"]) == (302, session.authorize_url)
        assert len(session.short_url) < 45  # somebody may type it


async def test_the_page_at_the_end_says_so_and_fetches_nothing(tmp_path: Path) -> None:
    async with (
        odd(requesttoken=[grant()]) as cloud,
        session_at(cloud, tmp_path) as session,
        browser_of(session) as browser,
    ):
        answer = await browser.get(back(session))
        account = await in_time(session.result())
        again = await browser.get(back(session))
    assert answer.status_code == 200
    assert "You can close this window" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "src=" not in answer.text
    assert "href=" not in answer.text
    assert CODE not in answer.text
    assert ACCESS not in answer.text
    assert account.userid == "7"
    # A state is accepted once.
    assert again.status_code == 410
    assert cloud.count("requesttoken") == 1
    assert cloud.requests[0][1]["redirect_uri"] == session.redirect_uri


async def test_the_code_is_exchanged_at_once_even_if_nobody_waits_for_the_result(tmp_path: Path) -> None:
    async with odd(requesttoken=[grant()]) as cloud, session_at(cloud, tmp_path) as session:
        await come_back(session)
        assert cloud.count("requesttoken") == 1


@pytest.mark.parametrize("state", ["", "x" * 43, "ü\udcff"])
async def test_a_wrong_state_is_refused_and_the_session_goes_on_waiting(tmp_path: Path, state: str) -> None:
    async with odd(requesttoken=[grant()]) as cloud, session_at(cloud, tmp_path) as session:
        waiting = asyncio.ensure_future(session.result())
        wrong = await visit(back(session, state=state.encode("utf-8", "surrogateescape").decode("latin-1")))
        refusal = await visit(back(session, state="x", code="", error="access_denied"))
        assert (wrong.status_code, refusal.status_code) == (400, 400)
        assert "goes on waiting" in wrong.text
        assert not waiting.done()
        assert cloud.requests == []
        await come_back(session)
        assert (await in_time(waiting)).userid == "7"


async def test_cancel_on_the_clouds_page(practice: Lab) -> None:
    async with practice.accounts.sign_in("a") as session, browser_of(session) as browser:
        page = await browser.get(session.authorize_url)
        csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
        sent = await browser.post(
            f"{practice.cloud.authorize}/oauth2_user/authorize2", data={"csrf": csrf, "decision": "cancel"}
        )
        waiting = asyncio.ensure_future(failing(session))
        answer = await browser.get(sent.headers["location"])
        error = await in_time(waiting)
    assert error.code is ErrorCode.SIGN_IN_FAILED
    assert "not allowed" in error.what
    assert not error.data.get("paste")
    assert answer.status_code == 400
    assert await practice.accounts.stored() == []


async def test_an_odd_error_of_the_cloud_is_made_safe(tmp_path: Path) -> None:
    async with odd() as cloud, session_at(cloud, tmp_path) as session:
        answer = await come_back(session, code="", error="<script>\x1b[2J")
        error = await failing(session)
    assert error.code is ErrorCode.SIGN_IN_FAILED
    assert "\x1b" not in error.what
    assert "<script>" not in answer.text


async def test_a_code_that_is_older_than_30_seconds(practice: Lab) -> None:
    async with practice.accounts.sign_in("a") as session, browser_of(session) as browser:
        page = await browser.get(session.authorize_url)
        csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
        form = {"csrf": csrf, "decision": "allow", "email": EMAIL, "password": PASSWORD.get_secret_value()}
        sent = await browser.post(f"{practice.cloud.authorize}/oauth2_user/authorize2", data=form)
        practice.shift(31)
        answer = await browser.get(sent.headers["location"])
        error = await failing(session)
    assert error.code is ErrorCode.CODE_EXPIRED
    assert error.data["status"] == 503
    assert "30 seconds" in answer.text
    assert await practice.accounts.stored() == []


async def test_a_wrong_client_secret_is_not_taken_for_an_old_code(practice: Lab) -> None:
    cloud = practice.cloud.with_secret(SecretStr("wrong-secret-of-the-test"))
    accounts = Accounts(cloud, TokenStore(practice.folder, "file"))
    async with accounts.sign_in("a") as session:
        waiting = asyncio.ensure_future(failing(session))
        await sign_in_by_form(session.short_url, EMAIL, PASSWORD)
        error = await in_time(waiting)
    await accounts.close()
    assert error.code is ErrorCode.SIGN_IN_FAILED
    assert "client_secret" in error.todo
    assert "wrong-secret" not in str(error)


async def test_a_signed_sign_in(practice: Lab) -> None:
    accounts = practice.another(sign_requests=True)
    async with accounts.sign_in("a") as session:
        await sign_in_by_form(session.short_url, EMAIL, PASSWORD)
        assert (await in_time(session.result())).userid == "40000001"
    await accounts.close()


@pytest.mark.parametrize("form", ["whole", "query", "bare", "broken"])
async def test_what_may_be_pasted(tmp_path: Path, form: str) -> None:
    async with odd(requesttoken=[grant()]) as cloud, session_at(cloud, tmp_path) as session:
        url = back(session)
        text = {
            "whole": f"  {url}\n",
            "query": urlsplit(url).query,
            "bare": CODE,
            "broken": "\n  ".join(url[i : i + 40] for i in range(0, len(url), 40)),
        }[form]
        account = await in_time(session.result(pasted(text)))
    assert account.userid == "7"
    assert cloud.requests[0][1]["code"] == CODE


@pytest.mark.parametrize(
    "text",
    ["", "hello", "my passphrase!", "http://localhost:8080/callback", "http://localhost/?code=&state=x", "a" * 5000],
)
async def test_a_paste_of_no_use_says_what_to_paste_and_may_be_repeated(tmp_path: Path, text: str) -> None:
    async with odd(requesttoken=[grant()]) as cloud, session_at(cloud, tmp_path) as session:
        error = await failing(session, text)
        assert error.code is ErrorCode.SIGN_IN_FAILED
        assert error.data["paste"] is True
        assert session.redirect_uri in error.todo
        assert cloud.requests == []
        await in_time(session.result(pasted(back(session))))


async def test_a_pasted_address_of_another_sign_in(tmp_path: Path) -> None:
    async with odd(requesttoken=[grant()]) as cloud, session_at(cloud, tmp_path) as session:
        error = await failing(session, back(session, state="x" * 43))
        assert error.data["paste"] is True
        assert CODE not in str(error)
        assert cloud.requests == []


async def test_a_pasted_refusal(tmp_path: Path) -> None:
    async with odd() as cloud, session_at(cloud, tmp_path) as session:
        error = await failing(session, back(session, code="", error="access_denied"))
    assert error.code is ErrorCode.SIGN_IN_FAILED
    assert not error.data.get("paste")


async def test_the_browser_wins_while_a_paste_is_waited_for(practice: Lab) -> None:
    async with practice.accounts.sign_in("a") as session:
        prompt = asyncio.ensure_future(never())
        waiting = asyncio.ensure_future(session.result(prompt))
        await sign_in_by_form(session.short_url, EMAIL, PASSWORD)
        assert (await in_time(waiting)).name == "a"
        assert prompt.cancelled()


async def test_a_person_who_goes_back_instead_of_pasting(tmp_path: Path) -> None:
    async def turn_back() -> str:
        raise Back

    async with odd() as cloud, session_at(cloud, tmp_path) as session:
        with pytest.raises(Back):
            await in_time(session.result(turn_back()))


async def test_nobody_signs_in(tmp_path: Path) -> None:
    async with odd() as cloud, session_at(cloud, tmp_path, seconds=0.05) as session:
        error = await failing(session)
        late = await come_back(session)
    assert error.code is ErrorCode.SIGN_IN_TIMEOUT
    assert late.status_code == 410
    assert cloud.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        grant(refresh_token=None),
        grant(access_token=None),
        grant(access_token=""),
        grant(expires_in="soon"),
        grant(expires_in=-1),
        {"status": 0, "body": []},
        {"status": 0},
    ],
)
async def test_an_incomplete_answer_stores_nothing(tmp_path: Path, answer: object) -> None:
    async with odd(requesttoken=[answer]) as cloud, session_at(cloud, tmp_path) as session:
        await come_back(session)
        error = await failing(session)
    assert error.code is ErrorCode.CLOUD_FAILED
    assert ACCESS not in str(error) + everything_in(tmp_path)
    assert list(tmp_path.glob("*.json")) == []


@pytest.mark.parametrize("userid", [40012345, "40012345"])
async def test_the_user_id_is_a_number_or_a_text(tmp_path: Path, userid: object) -> None:
    async with odd(requesttoken=[grant(userid=userid)]) as cloud, session_at(cloud, tmp_path) as session:
        await come_back(session)
        assert (await in_time(session.result())).userid == "40012345"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (bad(601, wait_seconds=188), ErrorCode.CLOUD_BUSY),
        (raw("", 500), ErrorCode.CLOUD_UNREACHABLE),
        (bad(503, "Invalid Params: invalid code"), ErrorCode.CODE_EXPIRED),
        (bad(503, "Invalid Params: invalid redirect_uri"), ErrorCode.SIGN_IN_FAILED),
        (bad(4711), ErrorCode.CLOUD_FAILED),
    ],
)
async def test_the_exchange_goes_wrong(tmp_path: Path, answer: object, code: ErrorCode) -> None:
    async with odd(requesttoken=[answer]) as cloud, session_at(cloud, tmp_path) as session:
        error = await failing(session, CODE)
    assert error.code is code
    assert CODE not in str(error) + str(error.data)
    assert cloud.count("requesttoken") == 1


async def test_the_listener_answers_to_this_computer_only(tmp_path: Path) -> None:
    async with odd() as cloud, session_at(cloud, tmp_path) as session:
        rebound = await visit(session.short_url, Host="evil.example")
        other = await visit(httpx.URL(session.short_url).join("/favicon.ico"))
        long = await visit(back(session, code="x" * 9000))
        assert (rebound.status_code, other.status_code, long.status_code) == (421, 404, 414)
        port = urlsplit(session.short_url).port
        assert port is not None
        with pytest.raises(OSError, match=r"refused|unreachable|timed out"):
            socket.create_connection((OTHER_ADDRESS, port), timeout=1).close()
    with pytest.raises(httpx.ConnectError):
        await visit(session.short_url)


async def test_a_port_that_is_taken_says_what_to_do(practice: Lab) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        accounts = practice.another(redirect_uri=f"http://localhost:{port}/callback")
        with pytest.raises(InstallerError) as caught:
            async with accounts.sign_in("a"):
                pass
        await accounts.close()
    assert caught.value.code is ErrorCode.SIGN_IN_FAILED
    assert str(port) in caught.value.what
    assert "redirect_uri" in caught.value.todo


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_fixed_port_is_used_as_it_is_registered(practice: Lab, host: str) -> None:
    uri = f"http://{host}:{free_port()}/callback"
    accounts = practice.another(redirect_uri=uri)
    async with accounts.sign_in("a") as session:
        assert session.redirect_uri == uri
        await sign_in_by_form(session.short_url, EMAIL, PASSWORD)
        assert (await in_time(session.result())).name == "a"
    await accounts.close()


async def test_a_redirect_to_the_root_is_told_from_the_short_address(tmp_path: Path) -> None:
    uri = f"http://localhost:{free_port()}/"
    async with odd(requesttoken=[grant()]) as cloud, session_at(cloud, tmp_path, redirect_uri=uri) as session:
        assert (await come_back(session)).status_code == 200


async def test_a_redirect_that_is_elsewhere_is_pasted(tmp_path: Path) -> None:
    uri = "https://clinic.example/done"
    async with odd(requesttoken=[grant()]) as cloud, session_at(cloud, tmp_path, redirect_uri=uri) as session:
        assert query(session.authorize_url)["redirect_uri"] == uri
        assert (await visit(session.short_url)).status_code == 302
        assert (await visit(httpx.URL(session.short_url).join(f"/done?code={CODE}"))).status_code == 404
        assert (await in_time(session.result(pasted(back(session))))).userid == "7"
    assert cloud.requests[0][1]["redirect_uri"] == uri


async def test_without_an_application_nothing_begins(tmp_path: Path) -> None:
    async with odd() as cloud:
        with pytest.raises(InstallerError) as caught:
            async with session_at(cloud, tmp_path, client_id=""):
                pass
    assert caught.value.code is ErrorCode.SETTINGS_INVALID


async def test_a_session_that_ends_in_the_middle_of_the_exchange_stores_nothing(tmp_path: Path) -> None:
    asked, silence = asyncio.Event(), asyncio.Event()

    async def hang(_form: dict[str, str]) -> object:
        asked.set()
        await silence.wait()
        return grant()

    async with odd(requesttoken=[hang]) as cloud:
        async with session_at(cloud, tmp_path) as session:
            waiting = asyncio.ensure_future(session.result(pasted(CODE)))
            await in_time(asked.wait())
            waiting.cancel()
        silence.set()
        await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    assert list(tmp_path.glob("*.json")) == []


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 65, "\x1b[2J"])
async def test_an_impossible_name(practice: Lab, name: str) -> None:
    with pytest.raises(InstallerError) as caught:
        practice.accounts.sign_in(name)
    assert caught.value.code is ErrorCode.USAGE


async def test_a_robot_with_a_wrong_password(practice: Lab) -> None:
    async with practice.accounts.sign_in("a") as session:
        with pytest.raises(InstallerError) as caught:
            await sign_in_by_form(session.short_url, EMAIL, SecretStr("wrong-password"))
    assert caught.value.code is ErrorCode.SIGN_IN_FAILED
    assert "wrong-password" not in str(caught.value)


async def test_a_robot_sends_no_password_off_this_computer() -> None:
    with pytest.raises(InstallerError) as caught:
        await sign_in_by_form("https://account.withings.com/oauth2_user/authorize2", EMAIL, PASSWORD)
    assert caught.value.code is ErrorCode.SIGN_IN_FAILED


async def test_a_robot_at_a_page_without_a_form() -> None:
    async with odd(**{"": [raw("<p>Hello</p>")]}) as cloud:
        with pytest.raises(InstallerError) as caught:
            await sign_in_by_form(f"{cloud.base}/oauth2_user/authorize2", EMAIL, PASSWORD)
    assert caught.value.code is ErrorCode.SIGN_IN_FAILED


async def test_the_browser_is_opened_only_where_there_is_a_screen(
    practice: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > "{opened}.new"; mv "{opened}.new" "{opened}"\n')
    browser.chmod(0o755)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    async with practice.accounts.sign_in("a") as session:
        if sys.platform == "linux":
            assert session.open_browser() is False
        monkeypatch.setenv("BROWSER", str(browser))
        assert session.open_browser() is True
        async with asyncio.timeout(20):
            while not opened.exists():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert opened.read_text() == session.short_url
