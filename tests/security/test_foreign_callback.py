"""The secret path of the receiver goes to the address in this computer's settings only, whoever says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from installer.cli.main import _main
from installer.errors import ErrorCode, InstallerError
from installer.notifications import callback_check, callback_setup
from installer.notifications.callback_setup import NotificationSetup
from installer.settings import CloudSettings, NotificationsSettings
from installer.storage.reference_origin import COMMAND_LINE, SETTINGS, Origin
from installer.storage.secret_references import SecretRef, parse_address
from tests.flow.support import LabWorld

REFUSED = ErrorCode.REFERENCE_REFUSED.exit_status
PATH = "the-secret-path-of-the-receiver-0001"
MAIL = Origin("the answers file from-mail.toml")
OWN = "https://clinic.example/hooks/{path}"


@pytest.fixture
def path_file(tmp_path: Path) -> Path:
    file = tmp_path / "notifications-path"
    file.write_text(PATH)
    file.chmod(0o600)
    return file


def setup(folder: Path, url: str | SecretRef = OWN, *, lab: bool = False) -> NotificationSetup:
    settings = NotificationsSettings(url=url)
    file = folder / "notifications-path"
    return NotificationSetup(settings, CloudSettings, folder, lab=lab, path_file=file)


STRANGERS = (
    "https://stranger.example/?p={path}",
    "https://stranger.example/{path}",
    "https://clinic.example@stranger.example/{path}",
    "https://clinic.example.stranger.example/{path}",
    "https://{path}.stranger.example/",
    "https://stranger.example:443/hooks/{path}",
    "https://clinic.example:8443/hooks/{path}",
    "http://clinic.example/hooks/{path}",
    "https://clinic.example\\\\@stranger.example/{path}",
    "http://127.0.0.1:8085/{path}",
    # The own host has other readers, and may forward a request elsewhere.
    "https://clinic.example/another-tenant/{path}",
    "https://clinic.example/hooks/../another-tenant/{path}",
    "https://clinic.example/hooks/{path}?copy=1",
    "https://clinic.example/hooks/{path}/",
    "https://clinic.example/Hooks/{path}",
    "https://clinic.example/redirect?to=https://stranger.example/&p={path}",
    "https://clinic.example/go//stranger.example/{path}",
)


@pytest.mark.parametrize("address", STRANGERS)
@pytest.mark.parametrize("origin", [MAIL, MAIL.with_leave(), None], ids=["foreign", "allowed", "unknown"])
async def test_the_secret_path_is_filled_for_no_other_address(
    path_file: Path, tmp_path: Path, address: str, origin: Origin | None
) -> None:
    with pytest.raises(InstallerError) as caught:
        await setup(tmp_path).url(address, named_by=origin)
    assert caught.value.code is ErrorCode.REFERENCE_REFUSED
    assert PATH not in str(caught.value) + str(caught.value.data)


@pytest.mark.parametrize(
    "address", [OWN, "https://CLINIC.example:443/hooks/{path}", "HTTPS://clinic.example/hooks/{path}"]
)
@pytest.mark.parametrize("settings", [OWN, "reference"])
async def test_it_is_filled_for_the_address_of_the_settings(
    path_file: Path, tmp_path: Path, address: str, settings: str
) -> None:
    (tmp_path / "url").write_text(OWN)
    own = SecretRef(file=str(tmp_path / "url")).named_by(SETTINGS) if settings == "reference" else settings
    assert PATH in (await setup(tmp_path, own).url(address, named_by=MAIL)).get_secret_value()


async def test_the_command_line_and_the_lab_may_name_another(path_file: Path, tmp_path: Path) -> None:
    address = "https://other.example/{path}"
    assert PATH in (await setup(tmp_path).url(address, named_by=COMMAND_LINE)).get_secret_value()
    loopback = "http://127.0.0.1:8085/{path}"
    assert PATH in (await setup(tmp_path, "", lab=True).url(loopback, named_by=MAIL)).get_secret_value()


async def test_a_complete_address_of_somebody_else_needs_leave(tmp_path: Path) -> None:
    """It holds no secret of ours, but its owner would learn when this person has new data."""
    address = "https://stranger.example/abc"
    with pytest.raises(InstallerError, match=r"stranger\.example"):
        await setup(tmp_path).url(address, named_by=MAIL)
    assert (await setup(tmp_path).url(address, named_by=MAIL.with_leave())).get_secret_value() == address


async def test_an_address_that_is_not_given_in_time_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callback_setup, "SECRET_SECONDS", 0.05)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InstallerError, match="address for notifications cannot be read") as caught:
        await setup(tmp_path).url(SecretRef(file=str(tmp_path / "pipe")).named_by(COMMAND_LINE))
    assert caught.value.code is ErrorCode.SECRET_UNAVAILABLE


async def test_what_a_foreign_reference_holds_is_no_more_trusted(path_file: Path, tmp_path: Path) -> None:
    (tmp_path / "hook.txt").write_text("https://stranger.example/?p={path}")
    held = SecretStr((tmp_path / "hook.txt").read_text())
    reference = SecretRef(file=str(tmp_path / "hook.txt")).holding(held).named_by(MAIL.with_leave())
    with pytest.raises(InstallerError) as caught:
        await setup(tmp_path).url(reference)
    assert caught.value.code is ErrorCode.REFERENCE_REFUSED


@pytest.mark.parametrize(
    ("notify", "options", "status"),
    [
        ('"https://stranger.example/?p={path}"', (), REFUSED),
        ('"https://stranger.example/?p={path}"', ("--allow-references",), REFUSED),
        ('"https://stranger.example/abc"', (), REFUSED),
        ('{ env = "DEVICE_INSTALLER_HOOK" }', ("--allow-references",), REFUSED),
        ('{ file = "hook.txt" }', (), REFUSED),
        ("true", (), 0),
        ('"https://stranger.example/?p={path}"', ("--notify", "http://127.0.0.1:9/{path}"), 0),
        ('"http://127.0.0.1:9/{path}"', (), 0),
    ],
)
def test_an_answers_file_is_refused_before_anything_is_sought(
    world: LabWorld,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    notify: str,
    options: tuple[str, ...],
    status: int,
) -> None:
    (tmp_path / "hook.txt").write_text("https://stranger.example/?p={path}")
    file = tmp_path / "answers.toml"
    device = world.address("pulse-hr")
    file.write_text(f'[find]\ndevice = "{device}"\n[sync]\nmethod = "bluetooth"\n[link]\nnotify = {notify}\n', "utf-8")
    command = ["install", "--lab", "--non-interactive", "--dry-run", "--answers", str(file), *options]
    assert _main(command) == status, capsys.readouterr()
    said = capsys.readouterr().err
    assert ("link.notify" in said) is bool(status)
    assert bool(world.device("pulse-hr")["att_requests"]) is not bool(status)


IN_CLEAR = ("http://clinic.example/hooks/{path}", "http://192.0.2.7/{path}", "HTTP://clinic.example/?p={path}")


@pytest.mark.parametrize("address", IN_CLEAR)
@pytest.mark.parametrize("way", ["settings", "reference", "command line", "saved"])
async def test_the_secret_path_is_put_into_no_address_that_everybody_on_the_way_reads(
    tmp_path: Path, address: str, way: str
) -> None:
    """Refused before the secret is even made, and the words blame the scheme."""
    file = tmp_path / "address"
    file.write_text(address)
    given = {"command line": address}.get(way)
    own = SecretRef(file=str(file)).named_by(SETTINGS) if way == "reference" else address if way == "settings" else ""
    one = setup(tmp_path, own)
    if way == "saved":
        await one.saved.add("anna", address.replace("{path}", PATH), [1])
    with pytest.raises(InstallerError, match="must begin with https://") as caught:
        await one.url(given, "anna", named_by=COMMAND_LINE)
    assert caught.value.code is ErrorCode.NOTIFICATIONS_REFUSED
    assert not one.path_file.exists()
    assert PATH not in str(caught.value) + str(caught.value.data)


async def test_what_this_computer_finds_there_is_not_asked_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of an address that the cloud refused: not through a proxy either."""

    def built(*_: object, **__: object) -> None:
        raise AssertionError("a request in clear")

    monkeypatch.setattr(callback_check, "HttpClient", built)
    for address in IN_CLEAR:
        found = await callback_check.what_head_finds(address.replace("{path}", PATH))
        assert "http://" in found
        assert PATH not in found


@pytest.mark.parametrize("option", ["--notify", "--url"])
@pytest.mark.parametrize(
    "form", ["https://clinic.example/{}", "HTTPS://clinic.example?p={}", " http://127.0.0.1:1//{}"]
)
def test_a_whole_address_is_no_plain_argument(option: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every user of this computer reads the arguments of a command."""
    command = ["notifications", "subscribe", "--lab"]
    if option == "--notify":
        command = ["install", "--lab", "--non-interactive"]
    assert _main([*command, option, form.format(PATH)]) == ErrorCode.USAGE.exit_status
    said = capsys.readouterr()
    assert "env:VARIABLE" in said.err
    assert PATH not in said.out + said.err


@pytest.mark.parametrize("text", ["https://clinic.example/hooks/{path}", "nonsense", "https://clinic.example/", "-"])
def test_what_holds_no_secret_may_be_one(text: str) -> None:
    parse_address("--url", text)
