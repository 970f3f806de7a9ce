"""Subscribing to notifications at the lab's cloud, over real HTTP."""

from __future__ import annotations

import asyncio
import logging
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from installer.cloud.account import Account
from installer.cloud.notification_categories import applis_for_model
from installer.errors import ErrorCode, InstallerError
from installer.notifications.callback_setup import NotificationSetup
from installer.notifications.saved_subscriptions import SavedSubscriptions
from installer.notifications.subscriptions import AccountSubscriptions, Ensured
from installer.settings import NotificationsSettings
from installer.storage.secret_references import SecretRef, on_command_line
from tests.installer.cloud.world import Lab, account_at, bad, everything_in, lab, model, odd, ok, served

PATH = "a-path-that-nobody-may-see"


@pytest.fixture
async def receiver() -> AsyncIterator[str]:
    """The URL of a receiver that accepts everything."""

    async def yes(_request: Request) -> Response:
        return Response(status_code=200)

    async with served(Starlette(routes=[Route(f"/{PATH}", yes, methods=["HEAD", "POST"])])) as base:
        yield f"{base}/{PATH}"


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("body", (1,)),
        ("body-plus", (1,)),
        ("bpm-connect", (4,)),
        ("thermo", (2,)),
        ("sleep", (44,)),
        ("move", (16, 44)),
        ("pulse-hr", (16, 44)),
    ],
)
def test_what_each_model_needs(name: str, numbers: tuple[int, ...]) -> None:
    assert applis_for_model(model(name)) == numbers
    # The bed events need their own scope, and only a mat has them.
    granted = applis_for_model(model(name), {"user.metrics", "user.sleepevents"})
    assert granted == (*numbers, 50, 51, 52) if name == "sleep" else granted == numbers


def test_a_model_without_a_cloud_needs_nothing() -> None:
    assert applis_for_model(model("improv-device")) == ()


async def test_subscribe_list_get_move_revoke(practice: Lab, receiver: str) -> None:
    client = AccountSubscriptions(await practice.sign_in())
    await client.subscribe(receiver, 1)
    await client.subscribe(receiver, 4)
    assert [(s.appli, s.url, s.comment) for s in await client.list()] == [
        (1, receiver, "device-installer"),
        (4, receiver, "device-installer"),
    ]
    assert [s.appli for s in await client.list(4)] == [4]
    found = await client.get(receiver, 4)
    assert found is not None
    assert found.url == receiver
    await client.move(receiver, 4, f"{receiver}?moved=1")
    assert await client.get(receiver, 4) is None
    assert await client.revoke(f"{receiver}?moved=1", 4)
    assert not await client.revoke(receiver, 4)
    assert [s.appli for s in await client.list()] == [1]


async def test_only_what_is_missing_is_subscribed(practice: Lab, receiver: str) -> None:
    client = AccountSubscriptions(await practice.sign_in())
    assert await client.ensure(receiver, (16, 44)) == Ensured(new=(16, 44))
    assert await client.ensure(receiver, (16, 44)) == Ensured(kept=(16, 44))
    await client.revoke(receiver, 44)
    assert await client.ensure(receiver, (16, 44)) == Ensured(new=(44,), kept=(16,))
    assert practice.calls("/notify subscribe") == 3


async def test_an_address_that_the_cloud_does_not_take_is_told_in_words(practice: Lab, receiver: str) -> None:
    client = AccountSubscriptions(await practice.sign_in())
    with pytest.raises(InstallerError) as caught:
        await client.subscribe(receiver.replace(PATH, "nobody-is-here"), 1)
    error = caught.value
    assert error.code is ErrorCode.NOTIFICATIONS_REFUSED
    assert error.data["status"] == 293
    assert "nobody-is-here" not in f"{error} {error.data}"
    assert "http://127.0.0.1:" in error.what  # which receiver it is
    assert "https:// on a public domain" in error.todo
    assert "This computer gets 404 there: the path does not lead to the receiver" in error.todo


async def test_lists_of_the_cloud_are_read_with_patience(tmp_path: Path) -> None:
    profiles = [
        {"appli": "1", "callbackurl": "https://a.example/", "comment": None, "expires": 2147483647},
        {"appli": 44, "callbackurl": "https://a.example/"},
        {"appli": "x", "callbackurl": "https://a.example/"},
        {"callbackurl": "https://a.example/"},
        {"appli": 1},
        "nonsense",
    ]
    answers = [ok({"profiles": profiles}), ok([]), ok({"profiles": None})]
    async with odd(list=answers) as cloud, account_at(cloud, tmp_path) as account:
        client = AccountSubscriptions(account)
        assert [(s.appli, s.expires) for s in await client.list()] == [(1, 2147483647), (44, None)]
        assert await client.list() == []
        assert await client.list() == []


@pytest.mark.parametrize("status", [286, 343])
async def test_a_subscription_that_is_gone_is_no_failure(tmp_path: Path, status: int) -> None:
    async with odd(revoke=[bad(status)], get=[bad(status)]) as cloud, account_at(cloud, tmp_path) as account:
        client = AccountSubscriptions(account)
        assert not await client.revoke("https://a.example/", 1)
        assert await client.get("https://a.example/", 1) is None


def notification_setup(practice: Lab, url: str | SecretRef = "", **more: str) -> NotificationSetup:
    settings = NotificationsSettings(url=url, **more)  # type: ignore[arg-type]
    return NotificationSetup(settings, lambda: practice.cloud, practice.folder)


async def test_the_setup_remembers_what_it_subscribed(practice: Lab, receiver: str) -> None:
    account = await practice.sign_in()
    setup = notification_setup(practice, receiver)
    ensured = await setup.subscribe(account, await setup.url(None), (16, 44))
    assert ensured.new == (16, 44)
    (saved,) = setup.saved.all("default")
    assert (saved.account, saved.url, saved.applis) == ("default", receiver, (16, 44))
    # Without settings, the saved address of the account is used.
    assert (await notification_setup(practice).url(None, "default")).get_secret_value() == receiver
    assert PATH not in repr(saved)
    file = setup.saved.path
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_refused_address_is_not_remembered(practice: Lab, receiver: str) -> None:
    account = await practice.sign_in()
    setup = notification_setup(practice)
    await setup.subscribe(account, SecretStr(receiver), (1,))
    with pytest.raises(InstallerError):
        await setup.subscribe(account, SecretStr(receiver + "x"), (1,))
    assert [s.url for s in setup.saved.all()] == [receiver]


async def test_a_receiver_that_is_away_keeps_what_was_wanted_before(practice: Lab, receiver: str) -> None:
    account = await practice.sign_in()
    setup = notification_setup(practice)
    await setup.subscribe(account, SecretStr(receiver), (1,))
    await AccountSubscriptions(account).revoke(receiver, 1)
    practice.arm(path="/notify", action="subscribe", status=293)
    with pytest.raises(InstallerError):
        await setup.subscribe(account, SecretStr(receiver), (1, 4))
    assert [s.applis for s in setup.saved.all()] == [(1,)]


async def test_the_address_comes_from_where_it_is_named(
    practice: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBACK", "https://clinic.example/abc\n")
    (tmp_path / "url").write_text("https://clinic.example/def\n", "utf-8")
    assert (await notification_setup(practice).url(on_command_line(env="CALLBACK"))).get_secret_value().endswith("/abc")
    from_file = await notification_setup(practice, on_command_line(file=str(tmp_path / "url"))).url(None)
    assert from_file.get_secret_value().endswith("/def")
    path = tmp_path / "path"
    made = await notification_setup(practice, "https://clinic.example/{path}", path_file=str(path)).url(None)
    assert made.get_secret_value() == f"https://clinic.example/{path.read_text('utf-8').strip()}"
    with pytest.raises(InstallerError) as caught:
        await notification_setup(practice).url(None, "default")
    assert caught.value.code is ErrorCode.SETTINGS_INVALID


async def test_subscriptions_of_another_cloud_are_not_seen(practice: Lab, tmp_path: Path) -> None:
    here = SavedSubscriptions(tmp_path / "subscriptions.json", "https://a.example", "me")
    there = SavedSubscriptions(tmp_path / "subscriptions.json", "https://b.example", "me")
    await here.add("default", "https://clinic.example/x", (1,))
    await there.add("default", "https://clinic.example/x", (4,))
    assert [s.applis for s in here.all()] == [(1,)]
    await there.remove("default", "https://clinic.example/x")
    assert there.all() == []
    assert [s.applis for s in here.all()] == [(1,)]


async def test_an_account_that_is_signed_out_is_forgotten(tmp_path: Path) -> None:
    saved = SavedSubscriptions(tmp_path / "subscriptions.json", "https://a.example", "me")
    assert not await saved.remove_account("default")
    assert not saved.path.exists()
    for name in ("default", "another"):
        await saved.add(name, "https://clinic.example/x", (1,))
    assert await saved.remove_account("default")
    assert [s.account for s in saved.all()] == ["another"]


async def test_many_subscriptions_at_once_are_all_kept(tmp_path: Path) -> None:
    saved = SavedSubscriptions(tmp_path / "subscriptions.json", "https://a.example", "me")
    await asyncio.gather(*(saved.add(f"account {n}", "https://clinic.example/x", (n,)) for n in range(1, 9)))
    assert sorted(s.applis[0] for s in saved.all()) == list(range(1, 9))


@pytest.mark.parametrize(("content", "mode"), [("{", 0o600), ('{"wishes": []}', 0o644)])
def test_a_file_of_subscriptions_that_cannot_be_trusted_is_told(tmp_path: Path, content: str, mode: int) -> None:
    path = tmp_path / "subscriptions.json"
    path.write_text(content, "utf-8")
    path.chmod(mode)
    with pytest.raises(InstallerError) as caught:
        SavedSubscriptions(path, "https://a.example", "me").all()
    assert caught.value.code is ErrorCode.SECRET_UNAVAILABLE


async def test_the_address_is_in_no_log_and_no_file_but_its_own(
    tmp_path: Path, receiver: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="installer")
    async with lab(tmp_path / "accounts") as practice:
        account: Account = await practice.sign_in()
        setup = notification_setup(practice)
        await setup.subscribe(account, SecretStr(receiver), (1,))
        assert PATH not in f"{await AccountSubscriptions(account).list()} {setup.saved.all()}"
    assert PATH not in "".join(r.getMessage() for r in caplog.records if r.name.split(".")[0] == "installer")
    setup.saved.path.unlink()
    assert PATH not in everything_in(tmp_path)
