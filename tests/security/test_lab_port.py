"""The lab's port: no web page, no foreign name and no program without its token acts in it."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import httpx
import pytest

from installer.errors import ErrorCode, InstallerError
from installer.flow import lab_process
from installer.lab.guard import MAX_BODY_BYTES
from installer.storage import peer_user, socket_owner
from tests.flow.support import LabWorld
from tests.installer.cloud.conftest import _own_home
from tests.installer.lab.lab_process import LabProcess

__all__ = ["_own_home"]

CONTROL = ("GET", "/lab/state"), ("POST", "/lab/reset"), ("POST", "/lab/stop"), ("POST", "/lab/cloud")
UPLOAD = ("POST", "/lab/gateway")
CLOUD = ("POST", "/v2/user"), ("POST", "/v2/oauth2"), ("GET", "/measure")
PAGES = ("GET", "/"), ("GET", "/oauth2_user/authorize2"), ("POST", "/oauth2_user/authorize2")


@pytest.fixture
def client(lab: LabProcess) -> Iterator[httpx.Client]:
    """A program that has the lab's token."""
    with httpx.Client(base_url=lab.http, trust_env=False, verify=False, headers=lab.control_headers) as one:
        yield one


def still_runs(lab: LabProcess) -> bool:
    assert lab.process is not None
    return lab.process.poll() is None and "devices" in lab.call_now("GET", "/lab/state")


@pytest.mark.parametrize(
    "host", ["rebound.example", "rebound.example:80", "localhost.rebound.example", "192.0.2.1", ""]
)
def test_a_foreign_host_name_is_refused(lab: LabProcess, client: httpx.Client, host: str) -> None:
    for method, path in [*CONTROL, UPLOAD, *CLOUD, *PAGES]:
        answer = client.request(method, path, headers={"Host": host})
        assert answer.status_code == 421, path
        assert "this computer only" in answer.json()["error"]
    assert still_runs(lab)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
)
def test_a_web_page_is_refused(lab: LabProcess, client: httpx.Client, headers: dict[str, str]) -> None:
    for method, path in [*CONTROL, UPLOAD, *CLOUD]:
        # A form of a page can send this without asking the server first.
        content = b"{}" if method == "POST" else None
        answer = client.request(method, path, headers={**headers, "Content-Type": "text/plain"}, content=content)
        assert answer.status_code == 403, path
        assert "web page" in answer.json()["error"]
    assert still_runs(lab)


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer guessed", "Basic guessed", "Bearer \xe9"])
def test_the_control_needs_the_token(lab: LabProcess, client: httpx.Client, given: str | None) -> None:
    del client.headers["Authorization"]
    headers = {} if given is None else {"Authorization": given.encode("latin-1")}
    for method, path in CONTROL:
        answer = client.request(method, path, headers=headers)  # type: ignore[arg-type]
        assert answer.status_code == 401, path
        assert "state file" in answer.json()["error"]
    assert still_runs(lab)


def test_the_sign_in_page_and_the_cloud_stay_open_to_this_users_browser_and_programs(
    lab: LabProcess, client: httpx.Client
) -> None:
    page = client.get("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
    assert page.status_code == 200
    del client.headers["Authorization"]
    assert client.post("/v2/user", data={"action": "getdevice"}).json()["status"] == 401
    port = lab.http.rpartition(":")[2]
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert client.get("/", headers={"Host": f"{host}:{port}"}).status_code == 200


def test_a_body_without_an_end_is_cut_off(lab: LabProcess, client: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 65536 + 2):
            yield b" " * 65536

    assert client.post("/lab/cloud", content=endless()).status_code == 413
    assert still_runs(lab)


def test_the_token_is_in_the_state_file_alone(lab: LabProcess, client: httpx.Client) -> None:
    token = json.loads(lab.state_file.read_text("utf-8"))["token"]
    assert len(token) >= 32
    assert lab.state_file.stat().st_mode & 0o077 == 0
    state = lab_process.read_state(lab.state_file)
    assert state is not None
    assert token not in lab.log() + client.get("/lab/state").text + repr(state) + repr(LabWorld(state).state)


NOBODY = 65534  # no service: the numbers below 1000 may be one


async def test_the_token_is_not_sent_to_another_users_program_at_the_port_of_a_lab_that_has_ended(
    lab: LabProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = lab_process.read_state(lab.state_file)
    assert state is not None

    def unanswered(_: int) -> NoReturn:
        raise OSError(errno.EPROTONOSUPPORT, "no such question here")

    # The table of the system says that the listener is another user's.
    monkeypatch.setattr(socket_owner, "listeners", unanswered)
    port = int(lab.http.rpartition(":")[2])
    row = f"   0: {{}}:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 {NOBODY}        0 7 1"
    table = tmp_path / "tcp"
    monkeypatch.setattr(peer_user, "TABLES", (table,))
    for address in ("0100007F", "00000000", "0" * 32):
        table.write_text(f"  sl  local_address\n{row.format(address)}\n")
        assert lab_process.read_state(lab.state_file) is None
        with pytest.raises(InstallerError, match="listens a program of") as caught:
            await lab_process.call(state, "GET", "/lab/state")
        assert caught.value.code is ErrorCode.LAB_UNAVAILABLE
    table.write_text(f"  sl  local_address\n{row.format('0200007F')}\n")
    assert lab_process.read_state(lab.state_file) == state


def test_a_process_of_another_user_is_no_lab_of_this_one(lab: LabProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)  # as for a process of another user, for who is not root
    assert lab_process.read_state(lab.state_file) is None
