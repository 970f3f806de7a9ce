"""A receiver that others on the network can read says so at its start; no other part of the program listens there."""

from __future__ import annotations

import ast
import asyncio
import json
from pathlib import Path

import pytest

from installer.cli import notifications_serve
from installer.cli.main import _main
from installer.notifications.receiver import listen
from installer.notifications.receiver_certificate import exposure

INSTALLER = Path(notifications_serve.__file__).parents[1]
# Each of these binds to a loopback address, but the receiver: `--host` says where.
LISTENERS = {
    "cloud/oauth_redirect_listener.py",
    "lab/cloud/__main__.py",
    "lab/hci_server.py",
    "lab/server.py",
    "notifications/receiver.py",
}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", "::1"])
def test_on_this_computer_nobody_can_listen(host: str) -> None:
    with listen(host, 0) as listener:
        assert exposure(listener.getsockname()[0], None) == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_on_the_network_it_is_said_what_can_be_read_unless_there_is_a_certificate(host: str, tmp_path: Path) -> None:
    with listen(host, 0) as listener:
        address = listener.getsockname()[0]
        assert "reads the secret path" in exposure(address, None)
        assert exposure(address, tmp_path / "certificate.pem") == ""


@pytest.mark.parametrize("address", ["192.168.1.20", "fe80::1%eth0", "2001:db8::1"])
def test_every_other_address_is_one_of_the_network(address: str) -> None:
    assert "an address of the network, without a certificate" in exposure(address, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_the_command_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    def stopped() -> asyncio.Event:
        event = asyncio.Event()
        event.set()
        return event

    monkeypatch.setattr(notifications_serve, "stop_on_signals", stopped)
    for options in ([], ["--json"]):
        assert _main(["notifications", "serve", "--host", host, "--port", "0", *options]) == 0
        told = capsys.readouterr()
        assert ("without a certificate" in told.err) is (host == "0.0.0.0")
        if options:
            assert json.loads(told.out.splitlines()[0])["exposed"] is (host == "0.0.0.0")


def test_whoever_adds_a_listener_says_where_it_listens() -> None:
    found = set()
    for file in INSTALLER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("bind", "create_server", "start_server"):
                found.add(file.relative_to(INSTALLER).as_posix())
    assert found == LISTENERS
