"""Notifications on the command line, in the lab: subscribe, list, renew what the cloud removed, revoke."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from installer.cli.main import _main
from installer.errors import ErrorCode
from tests.flow.hook import PATH, hooked
from tests.flow.support import LabWorld, lines


@pytest.fixture
def hook() -> Iterator[ThreadingHTTPServer]:
    with hooked() as server:
        yield server


@pytest.fixture
def url(hook: ThreadingHTTPServer, tmp_path: Path) -> str:
    """A reference to the file with the URL of the receiver."""
    file = tmp_path / "url"
    file.write_text(f"http://127.0.0.1:{hook.server_port}/{PATH}\n", "utf-8")
    return f"@{file}"


def body(world: LabWorld) -> list[str]:
    """A scale on Wi-Fi."""
    wifi = ["--sync", "wifi", "--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE"]
    return ["--device", world.address("body"), *wifi]


def wait_for(holds: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def notifications(*words: str) -> int:
    return _main(["notifications", *words, "--lab"])


def test_subscribe_list_renew_revoke(
    world: LabWorld, hook: ThreadingHTTPServer, url: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(["install", "--lab", "--non-interactive", *body(world)]) == 0
    capsys.readouterr()

    assert notifications("subscribe", "--url", url) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == [
        f"subscribed: weight (1) of account “default” at http://127.0.0.1:{hook.server_port}/…/****"
    ]
    assert notifications("subscribe", "--url", url, "--appli", "4") == 0
    capsys.readouterr()
    assert notifications("renew") == 0
    assert capsys.readouterr() == ("", "")  # cron sends a mail for every word

    # A receiver that does not answer for a while loses its subscriptions.
    hook.well = False  # type: ignore[attr-defined]
    world.cloud(callbacks={"remove_after": 2})
    world.act("body", "measure")
    wait_for(lambda: world.call("GET", "/lab/state")["cloud"]["notifications"].get("removed"))
    assert notifications("list") == 0
    captured = capsys.readouterr()
    assert "removed by the cloud" in captured.out
    assert "notifications renew" in captured.err

    assert notifications("renew", "--json") == ErrorCode.NOTIFICATIONS_REFUSED.exit_status
    hook.well = True  # type: ignore[attr-defined]
    capsys.readouterr()
    assert notifications("renew", "--json") == 0
    renewed = lines(capsys.readouterr().out)
    assert [(r["state"], r["appli"], r["account"]) for r in renewed] == [("renewed", 1, "default")]
    assert notifications("list", "--json") == 0
    listed = lines(capsys.readouterr().out)
    assert [(r["state"], r["appli"]) for r in listed] == [("subscribed", 1), ("subscribed", 4)]

    assert _main(["account", "logout", "--lab"]) == 0
    assert "not renewed any more" in capsys.readouterr().err
    assert notifications("renew") == 0  # and not a failure each night
    assert _main(["install", "--lab", "--non-interactive", "--no-wait", "--device", world.address("move")]) == 0
    assert notifications("subscribe", "--url", url, "--appli", "1", "--appli", "4") == 0
    capsys.readouterr()

    assert notifications("revoke", "--json") == 0
    assert len(lines(capsys.readouterr().out)) == 2
    assert notifications("revoke") == 0
    assert "nothing to end" in capsys.readouterr().err
    assert json.loads((home / "data" / "lab-notifications.json").read_text("utf-8"))["wishes"] == []


def test_a_refused_address_has_an_exit_status_of_its_own(
    world: LabWorld, hook: ThreadingHTTPServer, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(["install", "--lab", "--non-interactive", *body(world)]) == 0
    hook.well = False  # type: ignore[attr-defined]
    assert notifications("subscribe", "--url", url) == ErrorCode.NOTIFICATIONS_REFUSED.exit_status == 76
    said = capsys.readouterr()
    assert "does not accept http://127.0.0.1" in said.err
    assert PATH not in said.out + said.err


def test_nothing_to_subscribe_is_told(world: LabWorld, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert notifications("list") == 0
    assert "Nothing is subscribed" in capsys.readouterr().err
    assert notifications("subscribe", "--url", url) == ErrorCode.ACCOUNT_UNKNOWN.exit_status
