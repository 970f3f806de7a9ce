"""Signing in: whoever else sees the link or reaches the port gets nothing, and the person at the terminal is told."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import httpx
import pytest

from installer.cloud import guarded_web_server
from installer.cloud.oauth_sign_in import SignInNotice, SignInSession
from installer.storage import peer_user, socket_owner
from tests.installer.cloud.conftest import _impatient, _no_keyring, _own_home
from tests.installer.cloud.test_oauth_sign_in import back, browser_of, come_back, pasted, query, session_at, visit
from tests.installer.cloud.world import ACCESS, CODE, REFRESH, Odd, grant, in_time, odd, ok

__all__ = ["_impatient", "_no_keyring", "_own_home"]


class Waiting:
    """A sign-in that waits, the cloud behind it, and what the person at the terminal was told."""

    def __init__(self, cloud: Odd, session: SignInSession) -> None:
        self.cloud, self.session = cloud, session
        self.told: list[SignInNotice] = []
        session.on_notice = self.told.append

    @property
    def codes(self) -> list[str]:
        return [notice.code for notice in self.told]

    def nothing_was_taken(self) -> bool:
        return self.cloud.count("requesttoken") == 0


@pytest.fixture
async def waiting(tmp_path: Path) -> AsyncIterator[Waiting]:
    async with (
        odd(requesttoken=[grant()], getdevice=[ok({"devices": []})]) as cloud,
        session_at(cloud, tmp_path) as session,
    ):
        yield Waiting(cloud, session)


@asynccontextmanager
async def fresh_browser(**headers: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=10, headers=headers) as browser:
        yield browser


def secret(session: SignInSession) -> str:
    return urlsplit(session.short_url).path.strip("/")


async def test_the_link_cannot_be_guessed_and_is_another_one_each_time(waiting: Waiting) -> None:
    links = {secret(waiting.session)}
    for _ in range(50):
        waiting.session.new_link()
        links.add(secret(waiting.session))
    assert len(links) == 51
    assert all(len(link.replace("-", "")) * 5 >= 80 for link in links)  # bits: 32 signs
    root = await visit(httpx.URL(waiting.session.short_url).join("/"))
    assert root.status_code == 404
    assert "location" not in root.headers


async def test_the_link_holds_nothing_of_the_sign_in(waiting: Waiting) -> None:
    state = query(waiting.session.authorize_url)["state"]
    assert state not in waiting.session.short_url
    assert secret(waiting.session) not in waiting.session.authorize_url


async def test_a_second_browser_is_refused_and_the_person_is_told(waiting: Waiting) -> None:
    async with browser_of(waiting.session) as first:
        second = await visit(waiting.session.short_url)
        assert second.status_code == 410
        assert "location" not in second.headers
        assert query(waiting.session.authorize_url)["state"] not in second.text
        assert waiting.codes == ["sign_in_second_browser"]
        # A reload of the first one goes on.
        assert (await first.get(waiting.session.short_url)).status_code == 302
        assert (await first.get(back(waiting.session))).status_code == 200
    assert (await in_time(waiting.session.result())).userid == "7"


async def test_after_a_new_link_whoever_had_the_old_one_is_out(waiting: Waiting) -> None:
    async with browser_of(waiting.session) as thief:
        old_link, old_return = waiting.session.short_url, back(waiting.session)
        waiting.session.new_link()
        assert (await thief.get(old_link)).status_code == 404
        assert (await thief.get(old_return)).status_code == 400
        assert (await thief.get(back(waiting.session))).status_code == 403
        assert waiting.nothing_was_taken()
    assert (await come_back(waiting.session)).status_code == 200


async def test_a_browser_that_did_not_open_the_link_cannot_come_back_but_its_address_can_be_pasted(
    waiting: Waiting,
) -> None:
    for cookie in ("", "device-installer-sign-in=guessed", "device-installer-sign-in=", "\x7f;;=,"):
        answer = await visit(back(waiting.session), Cookie=cookie)
        assert answer.status_code == 403
        assert "paste it" in answer.text
    assert waiting.nothing_was_taken()
    # Who goes on knocking does not fill the terminal.
    assert waiting.codes == ["sign_in_unknown_browser"] * 3
    account = await in_time(waiting.session.result(pasted(back(waiting.session))))
    assert account.userid == "7"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {}),
        ("POST", {}),
        ("OPTIONS", {}),
        ("GET", {"Sec-Purpose": "prefetch;prerender"}),
        ("GET", {"Purpose": "prefetch"}),
        ("GET", {"X-Moz": "prefetch"}),
        ("GET", {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}),
        ("GET", {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}),
        ("GET", {"Sec-Fetch-Mode": "cors"}),
        ("GET", {"Host": "rebound.example"}),
        ("GET", {"Host": ""}),
    ],
)
@pytest.mark.parametrize("target", ["link", "return"])
async def test_what_is_no_visit_of_a_person_does_not_spend_the_link(
    waiting: Waiting, method: str, headers: dict[str, str], target: str
) -> None:
    url = waiting.session.short_url if target == "link" else back(waiting.session)
    async with fresh_browser() as browser:
        answer = await browser.request(method, url, headers=headers)
        assert answer.status_code in (403, 405, 421, 503)
        assert "set-cookie" not in answer.headers
    assert waiting.nothing_was_taken()
    assert (await come_back(waiting.session)).status_code == 200


async def test_the_link_under_another_name_of_this_computer_leads_to_the_name_of_the_return(waiting: Waiting) -> None:
    port = urlsplit(waiting.session.short_url).port
    async with fresh_browser() as browser:
        first = await browser.get(f"http://127.0.0.1:{port}/{secret(waiting.session)}")
        assert first.headers["location"] == waiting.session.short_url
        assert (await browser.get(first.headers["location"])).status_code == 302
        assert (await browser.get(back(waiting.session))).status_code == 200


async def test_the_cookie_is_kept_from_scripts_other_sites_and_other_paths(waiting: Waiting) -> None:
    answer = await visit(waiting.session.short_url)
    cookies = answer.headers.get_list("set-cookie")
    paths = {part.strip() for cookie in cookies for part in cookie.split(";") if part.strip().startswith("Path=")}
    assert paths == {f"Path=/{secret(waiting.session)}", "Path=/callback"}
    for cookie in cookies:
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Domain" not in cookie


@pytest.mark.parametrize("kind", ["link", "end", "refusal", "nothing", "wrong state"])
async def test_no_page_is_stored_or_told_on_or_holds_a_secret(waiting: Waiting, kind: str) -> None:
    session = waiting.session
    answer = {
        "link": lambda: visit(session.short_url),
        "end": lambda: come_back(session),
        "refusal": lambda: visit(back(session)),
        "nothing": lambda: visit(httpx.URL(session.short_url).join("/nothing")),
        "wrong state": lambda: visit(back(session, state="x")),
    }[kind]()
    page = await answer
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    state = query(session.authorize_url)["state"]
    for word in (CODE, ACCESS, REFRESH, state, secret(session)):
        assert word not in page.text


async def test_a_connection_that_sends_no_request_is_ended(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_web_server, "REQUEST_SECONDS", 0.05)
    port = urlsplit(waiting.session.short_url).port
    for begun in (b"", b"GET /callback?code=", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        with contextlib.suppress(ConnectionResetError):
            assert await in_time(reader.read()) == b""
        writer.close()
    assert (await come_back(waiting.session)).status_code == 200


async def test_an_endless_request_is_cut_off(waiting: Waiting) -> None:
    port = urlsplit(waiting.session.short_url).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20_000)
    assert (await in_time(reader.readline())).startswith(b"HTTP/1.1 400 ")
    writer.close()


def connected(family: socket.AddressFamily, address: str) -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection on loopback: the client's and the server's."""
    with socket.create_server(("127.0.0.1" if "." in address else address, 0), family=family) as server:
        client = socket.socket(socket.AF_INET6 if ":" in address else family)
        client.connect((address, server.getsockname()[1]))
        return client, server.accept()[0]


THIS_SYSTEM_TELLS = peer_user.can_tell()


def unanswered(*_: object) -> NoReturn:
    raise OSError(errno.EPROTONOSUPPORT, "no such question here")


@pytest.fixture(params=["asked", "tables"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How the kernel tells the user of a socket; it does not answer the question in every container."""
    if request.param == "tables":
        monkeypatch.setattr(socket_owner, "connection_owner", unanswered)
        monkeypatch.setattr(socket_owner, "listeners", unanswered)
    else:
        monkeypatch.setattr(peer_user, "TABLES", ())


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("family", "address"),
    [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET, "::ffff:127.0.0.1")],
)
def test_this_users_own_programs_pass(
    family: socket.AddressFamily, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, server = connected(family, address)
    with client, server:
        assert peer_user.stranger(server.getpeername(), server.getsockname()) is None
        monkeypatch.setattr(peer_user, "_own_users", set)
        if THIS_SYSTEM_TELLS:  # else everybody passes
            assert peer_user.stranger(server.getpeername(), server.getsockname()) is not None


@pytest.mark.usefixtures("way")
def test_a_program_that_has_closed_its_connection_does_not_pass_as_root() -> None:
    # The kernel shows such a connection as root's. Whoever sends a request and is gone would be taken for root.
    client, server = connected(socket.AF_INET, "127.0.0.1")
    with server:
        peer, here = server.getpeername(), server.getsockname()
        client.close()
        assert server.recv(1) == b""
        assert peer_user.stranger(peer, here) == (peer_user.NOT_NAMED if THIS_SYSTEM_TELLS else None)


@pytest.mark.usefixtures("way")
def test_a_connection_that_the_system_does_not_know_does_not_pass() -> None:
    expected = peer_user.NOT_NAMED if THIS_SYSTEM_TELLS else None
    assert peer_user.stranger(("127.0.0.1", 1), ("127.0.0.1", 2)) == expected
    assert peer_user.stranger(("192.0.2.1", 1), ("127.0.0.1", 2)) == expected


def test_who_started_the_program_with_sudo_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "4711")
    assert 4711 in peer_user._own_users()
    monkeypatch.setenv("SUDO_UID", "-1 4712")
    assert not {4711, 4712} & peer_user._own_users()
