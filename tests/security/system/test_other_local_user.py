"""Another user of this computer, a real one: at the link and the return of a sign-in, and at the ports of the lab."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from installer.cloud.oauth_sign_in import SignInNotice, SignInSession
from installer.errors import ErrorCode, InstallerError
from installer.flow import lab_process
from installer.storage import private_files
from tests.installer.cloud.conftest import _impatient, _no_keyring, _own_home
from tests.installer.cloud.test_oauth_sign_in import back, browser_of, come_back, session_at, visit
from tests.installer.cloud.world import CODE, grant, in_time, odd, ok
from tests.installer.lab.lab_process import LabProcess
from tests.security.system import other_user

__all__ = ["_impatient", "_no_keyring", "_own_home"]


class Waiting:
    """A sign-in that waits, and what its person was told."""

    def __init__(self, session: SignInSession) -> None:
        self.session = session
        self.told: list[SignInNotice] = []
        self.changed = asyncio.Event()
        session.on_notice = self._tell
        self.requests: list[object] = []

    def _tell(self, notice: SignInNotice) -> None:
        self.told.append(notice)
        self.changed.set()

    @property
    def port(self) -> int:
        port = urlsplit(self.session.short_url).port
        assert port is not None
        return port


@pytest.fixture
async def waiting(tmp_path: Path) -> AsyncIterator[Waiting]:
    async with (
        odd(requesttoken=[grant()], getdevice=[ok({"devices": []})]) as cloud,
        session_at(cloud, tmp_path) as session,
    ):
        one = Waiting(session)
        one.requests = cloud.requests  # type: ignore[assignment]
        yield one


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_the_link_is_refused_to_another_user_and_stays_good_for_its_owner(waiting: Waiting, host: str) -> None:
    session = waiting.session
    path = urlsplit(session.short_url).path
    answer = await asyncio.to_thread(other_user.send, waiting.port, other_user.get(path, waiting.port), host)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"belongs to another user of this computer" in answer
    for secret in (session.authorize_url, session.authorize_url.partition("state=")[2], "Set-Cookie"):
        assert secret.encode() not in answer
    assert waiting.told[0].code == "sign_in_other_user"
    assert "nobody" in waiting.told[0].text
    # The owner's browser then opens it, as if nothing had been.
    assert (await come_back(session)).status_code == 200
    assert (await in_time(session.result())).userid == "7"


@pytest.mark.parametrize("leave", [False, True])
async def test_the_return_of_another_user_is_refused_even_with_all_secrets(waiting: Waiting, leave: bool) -> None:
    """The worst case: they have the `state` and the cookie. `leave`: they do not wait for an answer."""
    session = waiting.session
    async with browser_of(session) as browser:
        cookie = "; ".join(f"{c.name}={c.value}" for c in browser.cookies.jar if c.path == "/callback")
        parts = urlsplit(back(session, code=f"{CODE}-of-somebody-else"))
        request = other_user.get(f"{parts.path}?{parts.query}", waiting.port, Cookie=cookie)
        if leave:
            await asyncio.to_thread(other_user.send_and_leave, waiting.port, request)
        else:
            answer = await asyncio.to_thread(other_user.send, waiting.port, request)
            assert answer.startswith(b"HTTP/1.1 403 ")
        await in_time(waiting.changed.wait())
        assert {notice.code for notice in waiting.told} == {"sign_in_other_user"}
        assert waiting.requests == []
        assert (await browser.get(back(session))).status_code == 200


async def test_another_user_cannot_keep_the_owner_out(waiting: Waiting) -> None:
    crowd = await asyncio.to_thread(other_user.stay, waiting.port, 100)
    try:
        assert (await visit(waiting.session.short_url)).status_code == 302
    finally:
        crowd.kill()
        await asyncio.to_thread(crowd.wait, 20)
        assert crowd.stdout is not None
        crowd.stdout.close()


def test_the_lab_is_refused_to_another_user_even_with_its_token(lab: LabProcess) -> None:
    port = int(lab.http.rpartition(":")[2])
    for path in ("/lab/state", "/", "/oauth2_user/authorize2", "/v2/user"):
        request = other_user.get(path, port, **lab.control_headers)
        answer = other_user.send(port, request)
        assert answer.startswith(b"HTTP/1.1 403 "), path
        assert "another user" in json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert "a request was refused: user “nobody”" in lab.log()
    assert "devices" in lab.call_now("GET", "/lab/state")


def test_the_radio_of_the_lab_is_refused_to_another_user(lab: LabProcess) -> None:
    port = int(lab.transport.rpartition(":")[2])
    reset = bytes.fromhex("01030c00")  # HCI_Reset; a controller answers it
    assert other_user.send(port, reset) == b""
    assert "a host was refused: user “nobody”" in lab.log()
    assert lab.call_now("GET", "/lab/state")["hosts"] == 0


def test_a_state_file_of_another_user_names_no_lab(lab: LabProcess, tmp_path: Path) -> None:
    file = tmp_path / "lab.json"
    shutil.copy(lab.state_file, file)
    os.chown(file, other_user.OTHER_UID, other_user.OTHER_UID)
    with pytest.raises(InstallerError) as caught:
        lab_process.read_state(file)
    assert caught.value.code is ErrorCode.LAB_UNAVAILABLE
    assert "belongs to another user" in caught.value.what


def test_another_users_program_at_the_port_of_a_killed_lab_gets_no_token(lab: LabProcess, tmp_path: Path) -> None:
    with other_user.listening() as (port, process):
        # The lab was killed; the other user has its port, and their process its number.
        state = json.loads(lab.state_file.read_text())
        file = tmp_path / "lab.json"
        state |= {"http": f"http://127.0.0.1:{port}", "pid": process.pid}
        private_files.write_private(file, json.dumps(state).encode())
        assert lab_process.read_state(file) is None
        state["pid"] = os.getpid()
        private_files.write_private(file, json.dumps(state).encode())
        assert lab_process.read_state(file) is None
