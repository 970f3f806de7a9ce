"""A file that somebody else named may be replaced at any moment: what was judged is what is read, once, in that run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from installer import answers as answers_file
from installer.answers import validate
from installer.cli.main import _main
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import DeviceFound
from installer.flow import foreign_references as foreign
from installer.flow.front_end import Cancelled
from installer.flow.own_secrets import OwnSecrets
from installer.flow.questions import AskPassphrase, ConfirmForeign, ConfirmSending
from installer.storage import pinned_file
from installer.storage.pinned_file import REPLACED, read_pinned
from installer.storage.reference_origin import OWN_CHOICES, OWN_RECORD, Origin
from installer.storage.secret_references import SecretRef
from tests.flow.support import PASSPHRASE, Front, LabWorld, install
from tests.security.test_foreign_answers import REFUSED, answers
from tests.security.test_foreign_records import SharedLedger

OWN = "content-of-a-secret-of-this-program"
LAB = ("--lab", "--non-interactive", "--no-wait")


@pytest.fixture
def own_secret(home: Path) -> Path:
    file = home / "data" / "notifications-path"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(OWN)
    return file


def replace(file: Path, target: Path) -> None:
    file.unlink()
    file.symlink_to(target)


def use_of(file: Path) -> foreign.Use:
    (use,) = foreign.uses_of(answers_file.load(file))
    return use


# A later run.


@pytest.mark.parametrize("ledger", ["private", "shared"])
@pytest.mark.parametrize("reference", ['{ file = "wifi.txt" }', '{ env = "SENT_NAME" }'])
def test_a_record_does_not_bring_back_a_place_that_a_file_named(
    world: LabWorld,
    home: Path,
    own_secret: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ledger: str,
    reference: str,
) -> None:
    monkeypatch.setenv("SENT_NAME", "a wrong passphrase")
    where = ("--ledger", str(SharedLedger(tmp_path / "server").file)) if ledger == "shared" else ()
    file = answers(tmp_path / "mail", reference, device=world.address("body-plus"))
    (tmp_path / "mail" / "wifi.txt").write_text("a wrong passphrase")
    assert _main(["install", *LAB, *where, "--answers", str(file), "--allow-references"]) != 0
    assert world.device("body-plus")["credentials_received"]
    kept = [path for path in (home / "data").rglob("*") if path.is_file() and path != own_secret]
    assert not [path for path in kept if b"wifi.txt" in path.read_bytes() or b"SENT_NAME" in path.read_bytes()]
    replace(tmp_path / "mail" / "wifi.txt", own_secret)
    before = world.device("body-plus")["credentials_received"]
    capsys.readouterr()
    assert _main(["resume", *LAB, *where]) == ErrorCode.ANSWER_MISSING.exit_status
    assert "passphrase" in capsys.readouterr().err
    assert world.device("body-plus")["credentials_received"] == before
    # Whoever resumes names the secret.
    monkeypatch.setenv("TEST_PASSPHRASE", PASSPHRASE)
    assert _main(["resume", *LAB, *where, "--passphrase-env", "TEST_PASSPHRASE"]) == 0
    assert world.device("body-plus")["joined"] == "Home"


@pytest.mark.parametrize("origin", [OWN_RECORD, OWN_CHOICES], ids=["record", "choices"])
@pytest.mark.parametrize("place", ["link", "hard link", "variable", "entry", "kernel"])
def test_what_is_of_this_program_is_not_taken_from_an_own_record_either(
    own_secret: Path, tmp_path: Path, origin: Origin, place: str
) -> None:
    file = tmp_path / "wifi.txt"
    other = tmp_path / "client.secret"
    other.write_text(OWN)
    named: dict[str, Any] = {"file": str(file)}
    if place == "link":
        file.symlink_to(own_secret)
    elif place == "hard link":
        os.link(other, file)
    else:
        named = {"variable": {"env": "Device_Installer_X"}, "entry": {"keyring": "LEDGER"}}.get(
            place, {"file": "/proc/self/environ"}
        )
    found = validate({"network": {"ssid": "Home", "passphrase": named}}, "record", origin)
    assert found.network is not None
    assert found.network.passphrase is not None
    with pytest.raises(InstallerError):
        found.network.passphrase.fetch()
    (use,) = foreign.uses_of(found)
    own = OwnSecrets(keyring=frozenset({"ledger"}), files=frozenset({other}), folders=(own_secret.parent,))
    refused = foreign.judge(use, own, allowed=True)
    assert refused is not None
    assert refused.never
    assert "on the command line" in str(foreign.refusal([refused]))


def test_what_the_command_line_named_is_resumed_with_what_was_judged(tmp_path: Path) -> None:
    file = tmp_path / "wifi.txt"
    file.write_text(PASSPHRASE)
    found = validate({"network": {"ssid": "Home", "passphrase": {"file": str(file)}}}, "record", OWN_RECORD)
    (use,) = foreign.uses_of(found)
    assert foreign.judge(use, OwnSecrets(), allowed=False) is None
    file.write_text(OWN)
    assert use.allowed.fetch().get_secret_value() == PASSPHRASE
    kept = foreign.without_foreign(foreign.with_reference(found, use, use.allowed))
    assert kept.network is not None
    assert kept.network.passphrase == SecretRef(file=str(file))


# The same run.


async def test_what_was_judged_is_sent_though_the_file_is_replaced_then(
    world: LabWorld, own_secret: Path, tmp_path: Path
) -> None:
    file = answers(tmp_path / "mail", '{ file = "wifi.txt" }', device=world.address("body-plus"))
    wifi = tmp_path / "mail" / "wifi.txt"
    wifi.write_text(PASSPHRASE)

    def swap(event: Any) -> None:
        if isinstance(event, DeviceFound):
            replace(wifi, own_secret)

    ended, front = await install(answers_file.load(file), Front(on_event=swap))
    assert wifi.is_symlink()
    assert ended.outcome == "installed", front.text()
    assert world.device("body-plus")["joined"] == "Home"


@pytest.mark.parametrize("replaced", ["file", "folder", "folder above"])
@pytest.mark.parametrize("by_part", [True, False])
def test_a_link_that_appears_after_the_path_was_resolved_is_not_followed(
    own_secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: str, by_part: bool
) -> None:
    if not by_part:  # as on systems without O_PATH
        monkeypatch.setattr(pinned_file, "_THROUGH", 0)
    file = answers(tmp_path / "mail" / "inner", f'{{ file = "{own_secret.name}.txt" }}')
    own = own_secret.rename(own_secret.with_name(f"{own_secret.name}.txt"))
    (file.parent / own.name).write_text("innocent passphrase")
    use = use_of(file)
    assert use.path == file.parent / own.name
    if replaced == "file":
        replace(file.parent / own.name, own)
    elif replaced == "folder":
        file.parent.rename(tmp_path / "away")
        file.parent.symlink_to(own.parent)
    else:
        (tmp_path / "mail").rename(tmp_path / "away")
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "inner").symlink_to(own.parent)
        (tmp_path / "mail").symlink_to(tmp_path / "elsewhere")
    foreign.judge(use, OwnSecrets(), allowed=True)
    with pytest.raises(InstallerError) as caught:
        use.allowed.fetch()
    assert caught.value.code is ErrorCode.SECRET_UNAVAILABLE
    assert OWN not in repr(use.pinned)


def test_a_foreign_file_is_never_opened_when_its_secret_is_needed(tmp_path: Path) -> None:
    (tmp_path / "wifi.txt").write_text(OWN)
    reference = SecretRef(file=str(tmp_path / "wifi.txt")).named_by(Origin("a file").with_leave())
    with pytest.raises(InstallerError) as caught:
        reference.fetch()
    assert caught.value.code is ErrorCode.REFERENCE_REFUSED
    assert reference.holding(SecretStr("held")).fetch().get_secret_value() == "held"
    assert "held" not in repr(reference.holding(SecretStr("held"))) + reference.model_dump_json()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda file: file.write_bytes(b"x" * 5000), "longer than 4096 bytes"),
        (lambda file: file.write_bytes(b"x" * 50_000), "longer than 4096 bytes"),
        (lambda file: file.write_bytes(b""), "is empty"),
        (lambda file: file.write_bytes(b"\xff\xff\xff"), "UTF-8"),
        (lambda file: None, "No such file"),
    ],
)
def test_a_file_that_holds_no_secret_says_why(tmp_path: Path, make: Callable[[Path], object], says: str) -> None:
    file = answers(tmp_path / "mail", '{ file = "wifi.txt" }')
    make(tmp_path / "mail" / "wifi.txt")
    use = use_of(file)
    assert foreign.judge(use, OwnSecrets(), allowed=False) is None
    with pytest.raises(InstallerError, match=says) as caught:
        use.allowed.fetch()
    assert str(tmp_path / "mail" / "wifi.txt") in foreign.shortened(str(caught.value), 10_000)


def test_no_pipe_and_no_link_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not read_pinned(tmp_path / "pipe", 10).is_regular
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    assert read_pinned(tmp_path / "link", 10).why == REPLACED


# What is shown.


@pytest.mark.parametrize(
    "name",
    [
        "wifi.txt" + "/." * 150 + "/../../user/other-customer.txt",
        "wifi.txt that came with these answers; nothing of this computer is read/../../user/other-customer.txt",
        "x" * 200 + "/../../user/other-customer.txt",
        "a “wifi.txt”. It goes to: your own scale/../../user/other-customer.txt",
    ],
)
async def test_a_person_is_shown_which_file_it_really_is_and_who_gets_it(
    world: LabWorld, tmp_path: Path, name: str
) -> None:
    other = tmp_path / "user" / "other-customer.txt"
    other.parent.mkdir()
    other.write_text(OWN)
    address = world.address("body-plus")
    folder = tmp_path / ("Set-up of the new scale (please read) " * 5)
    file = answers(folder, f'{{ file = "{name}" }}', device=address)
    file.write_text(file.read_text().replace('"Home"', '"W” on your own scale (“x"'))
    front = Front(answers={ConfirmForeign: False, AskPassphrase: Cancelled()})
    await install(answers_file.load(file), front, non_interactive=False)
    asked = front.asked[0]
    assert isinstance(asked, ConfirmForeign)
    target, secret, source = asked.lines
    assert address in target
    assert target.count("“") == target.count("”") == 1
    assert secret.endswith("user/other-customer.txt.")
    assert "your own scale" not in secret
    assert source.startswith("Named by: the answers file")
    assert all(len(line) < 200 for line in asked.lines)


@pytest.mark.parametrize(
    "reference",
    [
        '{ env = "npm_config_authtoken" }',
        '{ env = "correct horse battery staple" }',
        '{ file = "correct horse battery staple" }',
        '{ file = "hunter2hunter2" }',
    ],
)
@pytest.mark.parametrize("options", [(), ("--allow-references",), ("--json",)])
def test_a_name_that_is_hidden_gets_no_leave_and_stays_hidden(
    world: LabWorld,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reference: str,
    options: tuple[str, ...],
) -> None:
    """It may be the passphrase itself. If it is a name, nobody can say yes to what is not shown."""
    monkeypatch.setenv("npm_config_authtoken", OWN)
    name = reference.split('"')[1]
    ledger = SharedLedger(tmp_path / "server").file
    file = answers(tmp_path / "mail", reference, device=world.address("body-plus"))
    for where in ((), ("--ledger", str(ledger))):
        assert _main(["install", *LAB, *where, "--answers", str(file), *options]) == REFUSED
    said = capsys.readouterr()
    assert name not in said.out + said.err
    assert OWN not in said.out + said.err
    assert "not repeated" in said.err + said.out
    written = [*ledger.parent.rglob("*"), *(home / "data").rglob("*")]
    assert not [path for path in written if path.is_file() and name.encode() in path.read_bytes()]


async def test_a_person_is_not_asked_about_a_hidden_name(
    world: LabWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_authtoken", OWN)
    file = answers(tmp_path, '{ env = "npm_config_authtoken" }', device=world.address("body-plus"))
    front = Front(answers={ConfirmForeign: True, ConfirmSending: Cancelled()})
    ended, front = await install(answers_file.load(file), front, non_interactive=False)
    assert not front.asked
    assert ended.error is not None
    assert ended.error.code is ErrorCode.REFERENCE_REFUSED
    assert "npm" not in json.dumps(ended.error.data) + str(ended.error)


def test_an_option_that_is_proposed_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    file = answers(tmp_path / "mail", '{ file = "../a; touch x/$(id).txt" }')
    use = use_of(file)
    assert use.flag == f"--passphrase-file '{tmp_path}/a; touch x/$(id).txt'"
