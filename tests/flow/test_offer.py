"""The offer of notifications after linking: a person is asked; a script uses options, settings or answers."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from installer.answers import Answers, LinkAnswer, StepKey, load, to_toml, validate
from installer.cli.answers_from_options import merge
from installer.cli.main import _main
from installer.cli.options import Flags
from installer.errors import ErrorCode
from installer.events.notifications import NotificationsSubscribed
from installer.flow.questions import ChooseAccount, OfferNotifications, SignIn
from installer.storage.reference_origin import COMMAND_LINE
from installer.storage.secret_references import SecretRef
from tests.flow.hook import PATH, hooked
from tests.flow.support import Front, LabWorld, answers_for, install, lines

SETTINGS = '[notifications]\nurl = "{}"\n'


@pytest.fixture
def hook() -> Iterator[ThreadingHTTPServer]:
    with hooked() as server:
        yield server


@pytest.fixture
def url(hook: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{hook.server_port}/{PATH}"


def subscribed(world: LabWorld) -> int:
    return int(world.call("GET", "/lab/state")["cloud"]["subscriptions"])


def command(world: LabWorld, *more: str, model: str = "move") -> list[str]:
    return ["install", "--lab", "--non-interactive", "--device", world.address(model), *more]


def everything_in(folder: Path) -> str:
    return "".join(
        p.read_bytes().decode("utf-8", "replace")
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != "lab-notifications.json"
    )


@pytest.fixture(autouse=True)
def callback(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole address, as an option must name it."""
    monkeypatch.setenv("CALLBACK", url)


def test_a_script_subscribes_with_an_option(
    world: LabWorld, url: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(command(world, "--notify", "env:CALLBACK", "--json")) == 0
    captured = capsys.readouterr()
    (event,) = [e for e in lines(captured.out) if e["event"] == "notifications_subscribed"]
    assert (event["account"], event["new"]) == ("default", [16, 44])
    shown = url.replace(PATH, "…/****")
    assert event["url"] == shown
    assert lines(captured.out)[-1]["summary"]["notifications"] == shown
    assert subscribed(world) == 2
    # The whole URL is only in the file of subscriptions.
    assert PATH not in captured.out + captured.err + everything_in(home)


def test_without_a_word_and_without_settings_nothing_is_subscribed(world: LabWorld) -> None:
    assert _main(command(world)) == 0
    assert subscribed(world) == 0


def test_a_refused_address_does_not_undo_the_installation(
    world: LabWorld, url: str, hook: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    hook.well = False  # type: ignore[attr-defined]
    status = _main(command(world, "--notify", "env:CALLBACK", "--json"))
    assert status == ErrorCode.NOTIFICATIONS_REFUSED.exit_status == 76
    captured = capsys.readouterr()
    events = lines(captured.out)
    assert events[-1]["event"] == "installation_done"
    assert events[-1]["outcome"] == "installed"
    assert any(e["event"] == "notice" and e["code"] == "notifications_refused" for e in events)
    assert any(e["event"] == "first_measurement" for e in events)  # the steps after linking were done too
    assert "The device is linked, but" in captured.err
    assert "notifications subscribe" in captured.err
    assert PATH not in captured.out + captured.err
    assert world.device("move")["linked"]


def test_an_address_that_is_none_is_told_in_the_end_too(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(command(world, "--notify", "nonsense")) == ErrorCode.NOTIFICATIONS_REFUSED.exit_status
    assert "not a web address" in capsys.readouterr().err


def test_a_cloud_that_fails_while_subscribing_is_told_with_its_reason(
    world: LabWorld, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world.cloud(fail=[{"path": "/notify", "status": 2554, "times": 0}])
    assert _main(command(world, "--notify", "env:CALLBACK")) == ErrorCode.NOTIFICATIONS_REFUSED.exit_status
    assert "2554" in capsys.readouterr().err


def test_the_settings_decide_for_a_script_and_an_option_overrides_them(
    world: LabWorld, url: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = home / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(SETTINGS.format(url), "utf-8")
    assert _main(command(world, "--no-notify")) == 0
    assert subscribed(world) == 0
    world.act("move", "reset")
    assert _main(command(world)) == 0
    assert subscribed(world) == 2
    assert f"notifications: {url.replace(PATH, '…/****')}" in capsys.readouterr().out


def test_a_secret_path_stays_out_of_settings_options_and_records(
    world: LabWorld, hook: ThreadingHTTPServer, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / "data" / "lab-notifications-path"
    file.parent.mkdir(parents=True, mode=0o700)
    file.write_text(PATH, "utf-8")
    file.chmod(0o600)
    assert _main(command(world, "--notify", f"http://127.0.0.1:{hook.server_port}/{{path}}", "--json")) == 0
    captured = capsys.readouterr()
    assert subscribed(world) == 2
    file.unlink()
    assert PATH not in captured.out + captured.err + everything_in(home)


def test_a_device_that_is_linked_later(
    world: LabWorld, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CALLBACK", url)
    answers = tmp_path / "answers.toml"
    answers.write_text("[link]\nlater = true\n", "utf-8")
    assert _main(command(world, "--answers", str(answers), "--json")) == 0
    installation = lines(capsys.readouterr().out)[-1]["installation"]
    assert subscribed(world) == 0
    assert _main(["link", installation, "--lab", "--notify", "env:CALLBACK", "--no-wait"]) == 0
    assert subscribed(world) == 2
    captured = capsys.readouterr()
    assert url.replace(PATH, "…/****") in captured.out
    assert PATH not in captured.out + captured.err


async def test_a_person_is_asked_and_may_say_no(world: LabWorld) -> None:
    front = Front(answers={ChooseAccount: LinkAnswer(), SignIn: sign_in(world), OfferNotifications: False})
    ended, _ = await install(person(world), front, non_interactive=False)
    assert ended.outcome == "installed", front.text()
    (question,) = [q for q in front.asked if isinstance(q, OfferNotifications)]
    assert (question.account, question.kinds, question.known) == ("default", "activity, sleep", "")
    assert ended.answers.link is not None
    assert ended.answers.link.notify is False
    assert subscribed(world) == 0


async def test_who_said_only_where_still_chooses_the_account(world: LabWorld, url: str) -> None:
    front = Front(answers={ChooseAccount: LinkAnswer(account="mine"), SignIn: sign_in(world)})
    given = person(world).with_answer(StepKey.LINK, validate({"link": {"notify": url}}, "test", COMMAND_LINE).link)
    ended, _ = await install(given, front, non_interactive=False)
    assert ended.outcome == "installed", front.text()
    assert [e.account for e in front.of(NotificationsSubscribed)] == ["mine"]
    assert ended.answers.link is not None
    assert (ended.answers.link.account, ended.answers.link.notify) == ("mine", True)


async def test_a_person_sees_why_and_tries_again(world: LabWorld, url: str) -> None:
    typed = [f"{url}-mistyped", url]
    front = Front(answers={ChooseAccount: LinkAnswer(), SignIn: sign_in(world), OfferNotifications: typed})
    ended, _ = await install(person(world), front, non_interactive=False)
    assert ended.outcome == "installed", front.text()
    first, second = [q for q in front.asked if isinstance(q, OfferNotifications)]
    assert first.problem is None
    assert second.problem is not None
    assert second.problem.code is ErrorCode.NOTIFICATIONS_REFUSED
    assert second.proposal == f"{url}-mistyped"  # the typed text can be corrected
    assert [e.new for e in front.of(NotificationsSubscribed)] == [(16, 44)]
    assert ended.nonfatal_error is None
    # What was typed may be a secret: it is in no saved answers, and not shown.
    assert PATH not in to_toml(ended.answers) + front.text() + repr(ended.answers) + repr(second)
    assert "notify = true" in to_toml(ended.answers)


async def test_the_next_time_the_address_is_known(world: LabWorld, url: str) -> None:
    await install(answers_for(world, "move", None, link={"notify": url}))
    assert subscribed(world) == 2
    front = Front(answers={OfferNotifications: True, ChooseAccount: LinkAnswer()})
    ended, _ = await install(person(world, "pulse-hr"), front, non_interactive=False)
    assert ended.outcome == "installed", front.text()
    (question,) = [q for q in front.asked if isinstance(q, OfferNotifications)]
    assert question.known == url.replace(PATH, "…/****")
    assert [e.kept for e in front.of(NotificationsSubscribed)] == [(16, 44)]


def person(world: LabWorld, model: str = "move") -> Answers:
    return validate({"find": {"device": world.address(model)}, "sync": {"method": "bluetooth"}}, "test")


def sign_in(world: LabWorld) -> Any:
    from installer.cloud.lab_sign_in import sign_in_by_form

    async def signing(question: SignIn) -> str:
        import asyncio

        await sign_in_by_form(question.short_url, world.state.user.email, world.state.user.password)
        await asyncio.Event().wait()
        return ""

    return signing


# The answers as data.


def test_how_it_stands_in_the_answers(tmp_path: Path) -> None:
    file = tmp_path / "answers.toml"
    file.write_text('[link]\nnotify = { env = "CALLBACK" }\n', "utf-8")
    link = load(file).link
    assert link is not None
    assert link.notify == SecretRef(env="CALLBACK")
    kept = validate({"link": {"notify": "https://clinic.example/{path}"}}, "test")
    assert 'notify = "https://clinic.example/{path}"' in to_toml(kept)
    secret = validate({"link": {"notify": "https://clinic.example/abc"}}, "test")
    assert secret.link is not None
    assert (secret.link.notify, secret.link.notify_url) == (True, SecretStr("https://clinic.example/abc"))
    assert "abc" not in to_toml(secret) + repr(secret)
    assert validate({"link": {"notify": False}}, "test").link == LinkAnswer(notify=False)


def test_an_option_wins_over_the_file() -> None:
    file = validate({"link": {"account": "clinic", "notify": "https://clinic.example/abc"}}, "test")
    kept = merge(file, Flags()).link
    assert kept is not None
    assert kept.notify_url == SecretStr("https://clinic.example/abc")
    other = merge(file, Flags(notify="@/run/url")).link
    assert other is not None
    assert (other.account, other.notify, other.notify_url) == ("clinic", SecretRef(file="/run/url"), None)
    none = merge(file, Flags(no_notify=True)).get(StepKey.LINK)
    assert (none.notify, none.notify_url) == (False, None)
