"""Networks from a QR code or a saved name, the device's own code, and networks that a device cannot join."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
import qrcode
from pydantic import SecretStr

from installer.answers import Answers, NetworkAnswer, StepKey, to_toml
from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.events.installation import NetworkChosen, Notice
from installer.flow.front_end import Recovery
from installer.flow.questions import AskPassphrase, ChooseNetwork, ChooseReading
from installer.storage.reference_origin import COMMAND_LINE
from installer.wifi.networks import Band, Security
from tests.flow.support import PASSPHRASE, Front, LabWorld, answers_for, install, lines, use
from tests.installer.storage.test_secret_references import MemoryKeyring

WIFI = f"WIFI:T:WPA;S:Home;P:{PASSPHRASE};;"
PROOF = "abcd1234"
DEVICE = json.dumps({"ver": "v1", "name": "PROV_CE03C0", "pop": PROOF, "username": "wifiprov", "transport": "ble"})
SCRIPT = ["install", "--lab", "--non-interactive", "--json"]


@pytest.fixture
def memory() -> Iterator[MemoryKeyring]:
    before, backend = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], list[str]]:
    """`given(option, text)`: the arguments that pass the text with this option."""

    def make(way: str, text: str) -> list[str]:
        option, _, place = way.partition(" ")
        if place == "-":
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((text + "\n").encode())))
            return [option, "-"]
        if place == "@":
            path = tmp_path / "code.txt"
            path.write_text(text + "\n", "utf-8")
            return [option, f"@{path}"]
        if place == "env":
            monkeypatch.setenv("CODE", text)
            return [option, "env:CODE"]
        path = tmp_path / "code.png"
        qrcode.make(text).save(path)
        return [option, str(path)]

    return make


def written(home: Path) -> dict[Path, bytes]:
    """Everything that was written, except the lab's state file with its password."""
    return {p: p.read_bytes() for p in home.rglob("*") if p.is_file() and p.name != "lab.json"}


def holds(home: Path, secret: str) -> list[Path]:
    return [path for path, data in written(home).items() if secret.encode() in data]


@pytest.mark.parametrize("way", ["--wifi-qr -", "--wifi-qr @", "--wifi-qr env", "--wifi-qr-image"])
def test_a_device_joins_the_network_of_a_code(
    world: LabWorld,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    given: Callable[[str, str], list[str]],
    way: str,
) -> None:
    arguments = [*SCRIPT, "--device", world.address("generic"), "--sync", "wifi", *given(way, WIFI)]
    assert _main(arguments) == 0
    said = capsys.readouterr()
    assert world.device("generic")["joined"] == "Home"
    assert PASSPHRASE not in said.out + said.err
    assert written(home)
    assert holds(home, PASSPHRASE) == []


def test_a_passphrase_in_a_plain_argument_is_refused_and_not_repeated(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main([*SCRIPT, "--wifi-qr", WIFI]) == ErrorCode.USAGE.exit_status
    said = capsys.readouterr()
    assert PASSPHRASE not in said.out + said.err
    assert "--wifi-qr @FILE" in lines(said.out)[0]["todo"]
    assert _main([*SCRIPT, "--qr", DEVICE]) == ErrorCode.USAGE.exit_status
    said = capsys.readouterr()
    assert PROOF not in said.out + said.err
    assert "--qr-image" in lines(said.out)[0]["todo"]


def test_an_open_network_may_be_a_plain_argument(world: LabWorld, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*SCRIPT, "--device", world.address("generic"), "--sync", "wifi", "--wifi-qr", "WIFI:S:Café Open;;"]
    assert _main(arguments) == 0
    assert world.device("generic")["joined"] == "Café Open"


@pytest.mark.parametrize("way", ["--qr -", "--qr-image"])
def test_the_code_of_a_device_finds_it_and_proves_that_it_is_at_hand(
    world: LabWorld,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    given: Callable[[str, str], list[str]],
    way: str,
) -> None:
    network = ["--sync", "wifi", "--ssid", "Home", "--passphrase-env", "TEST_PASSPHRASE"]
    assert _main([*SCRIPT, *given(way, DEVICE), *network]) == 0
    said = capsys.readouterr()
    done = lines(said.out)[-1]["summary"]
    assert done["name"] == "PROV_CE03C0"
    assert PROOF not in said.out + said.err
    assert holds(home, PROOF) == []


def test_a_code_of_another_device_finds_none(
    home: Path, world: LabWorld, capsys: pytest.CaptureFixture[str], given: Callable[[str, str], list[str]]
) -> None:
    other = given("--qr @", DEVICE.replace("CE03C0", "000000"))
    assert _main([*SCRIPT, *other, "--timeout", "2"]) in (
        ErrorCode.DEVICE_NOT_FOUND.exit_status,
        ErrorCode.TIMEOUT.exit_status,
    )
    assert PROOF not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--wifi-qr", "MT:Y.K9042C00KA0648G00"], ErrorCode.DEVICE_UNSUPPORTED, "Matter app"),
        (["--qr", "DPP:V:2;K:MDkw;;"], ErrorCode.DEVICE_UNSUPPORTED, "Easy Connect"),
        (["--qr", "https://www.withings.com/start"], ErrorCode.DEVICE_UNSUPPORTED, "vendor's own app"),
        (["--wifi-qr", '{"ver":"v1","name":"PROV_1"}'], ErrorCode.ANSWERS_INVALID, "--qr"),
        (["--qr", "WIFI:S:Home;;"], ErrorCode.ANSWERS_INVALID, "--wifi-qr"),
        (["--wifi-qr", " "], ErrorCode.USAGE, "empty"),
        (["--wifi-qr", "env:NOT_SET_ANYWHERE"], ErrorCode.SECRET_UNAVAILABLE, "NOT_SET_ANYWHERE"),
        (["--wifi-qr", "@/nowhere/code"], ErrorCode.SECRET_UNAVAILABLE, "/nowhere/code"),
        (["--wifi-qr-image", "/nowhere/code.png"], ErrorCode.ANSWERS_INVALID, "no such file"),
        (["--wifi-qr", "WIFI:T:WPA2-EAP;S:Corp;E:PEAP;;"], ErrorCode.NETWORK_UNSUPPORTED, "company network"),
        (["--wifi-qr", "WIFI:T:WEP;S:Old;P:12345;;"], ErrorCode.NETWORK_UNSUPPORTED, "WEP"),
        (["--wifi-qr", f"WIFI:S:{'x' * 33};;"], ErrorCode.SSID_INVALID, "33 bytes"),
        (["--wifi-qr", "WIFI:S:Home;;", "--ssid", "Office"], ErrorCode.ANSWERS_INVALID, "another network than --ssid"),
        (["--network", "home", "--ssid", "Home"], ErrorCode.USAGE, "several places"),
        (["--wifi-qr", "WIFI:S:Home;;", "--network", "home"], ErrorCode.USAGE, "several places"),
        (["--wifi-qr", "WIFI:S:Home;;", "--wifi-qr-image", "x.png"], ErrorCode.USAGE, "twice"),
        (["--wifi-qr", "WIFI:S:Home;;", "--passphrase-env", "P"], ErrorCode.USAGE, "two places"),
        (["--wifi-qr", "-", "--qr", "-"], ErrorCode.USAGE, "one option only"),
        (["--qr", "-", "--passphrase-file", "-", "--ssid", "Home"], ErrorCode.USAGE, "one option only"),
        (["--network", "clinic"], ErrorCode.ANSWERS_INVALID, "networks add"),
        (["--wifi-qr", "3497-011-2332"], ErrorCode.DEVICE_UNSUPPORTED, "Matter app"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_looked_for(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: ErrorCode, says: str
) -> None:
    assert _main([*SCRIPT, *arguments]) == code.exit_status
    (event,) = lines(capsys.readouterr().out)
    assert says in f"{event['what']} {event['todo']}"


SPLIT = f"WIFI:T:WPA;S:Home;P:{PASSPHRASE};tail;;"  # two passphrases of one network
OFFICE = f"WIFI:T:WPA;S:Home;Office;P:{PASSPHRASE};;"  # two names


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--ssid", WIFI], ErrorCode.ANSWERS_INVALID),
        (["--network", WIFI], ErrorCode.ANSWERS_INVALID),
        (["--wifi-qr", f"@{WIFI}"], ErrorCode.SECRET_UNAVAILABLE),
        (["--wifi-qr", f"env:{WIFI}"], ErrorCode.SECRET_UNAVAILABLE),
        (["--wifi-qr-image", WIFI], ErrorCode.ANSWERS_INVALID),
        (["--ssid", "Home", "--passphrase-file", PASSPHRASE], ErrorCode.SECRET_UNAVAILABLE),
        (["--ssid", "Home", "--passphrase-env", PASSPHRASE], ErrorCode.SECRET_UNAVAILABLE),
        (["--wifi-qr", "@code"], ErrorCode.NETWORK_AMBIGUOUS),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(
    world: LabWorld,
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: ErrorCode,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("code").write_text(SPLIT, "utf-8")
    assert _main([*SCRIPT, "--model", "body", "--sync", "wifi", *arguments]) == code.exit_status
    said = capsys.readouterr()
    assert PASSPHRASE[:8] not in said.out + said.err
    assert holds(home, PASSPHRASE) == []


async def card(text: str, world: LabWorld, given: Callable[[str, str], list[str]], **flags: Any) -> Answers:
    from installer.cli.answers_from_options import merge
    from installer.cli.options import Flags

    file = given("--wifi-qr @", text)[1]
    return merge(answers_for(world, "generic", None, sync={"method": "wifi"}), Flags(wifi_qr=file, **flags))


async def test_a_card_with_two_names_is_that_of_the_network_in_reach(
    world: LabWorld, given: Callable[[str, str], list[str]]
) -> None:
    ended, front = await install(await card(OFFICE, world, given))
    assert ended.outcome == "installed", front.text()
    (said,) = [n.text for n in front.of(Notice) if n.code == "card_reading"]
    assert "the device receives only “Home”" in said
    assert "Office" not in front.text()
    assert PASSPHRASE not in front.text() + repr(ended.answers)
    assert 'ssid = "Home"' in to_toml(ended.answers)


async def test_ssid_says_which_reading_of_a_card_is_meant(
    world: LabWorld, given: Callable[[str, str], list[str]]
) -> None:
    answers = await card(OFFICE, world, given, ssid="Home;Office")
    assert answers.network is not None
    assert (answers.network.ssid, answers.network.readings) == ("Home;Office", None)


async def test_a_card_that_nothing_decides_ends_a_script_and_is_in_no_record(
    world: LabWorld, given: Callable[[str, str], list[str]]
) -> None:
    neither = f"WIFI:T:WPA;S:Tom;Jerry;P:{PASSPHRASE};;"
    ended, front = await install(await card(neither, world, given))
    assert ended.error is not None
    assert ended.error.code is ErrorCode.NETWORK_AMBIGUOUS
    assert "--ssid" in ended.error.todo
    assert not any(word in front.text() + repr(ended.error) for word in ("Tom", "Jerry", PASSPHRASE))
    assert "network" not in to_toml(ended.answers)


async def test_a_person_chooses_the_reading(world: LabWorld, given: Callable[[str, str], list[str]]) -> None:
    def second(question: ChooseReading) -> NetworkAnswer:
        assert question.heard == {"Home"}
        return NetworkAnswer.from_reading(question.readings.readings[1])

    front = Front(answers={ChooseReading: second, ChooseNetwork: lambda _: pasted})
    answers = await card(SPLIT, world, given)
    pasted = answers.network
    ended, front = await install(answers, front, ask=frozenset([StepKey.NETWORK]), non_interactive=True)
    assert [type(q) for q in front.asked] == [ChooseNetwork, ChooseReading]
    assert ended.outcome == "installed", front.text()
    assert PASSPHRASE not in front.text()


async def test_a_card_that_only_names_a_protected_network_is_not_taken_as_open(
    world: LabWorld, given: Callable[[str, str], list[str]]
) -> None:
    answers = await card("WIFI:S:Home;;", world, given)
    ended, front = await install(answers)
    assert ended.error is not None
    assert ended.error.code is ErrorCode.PASSPHRASE_INVALID
    assert "the device sees that it is protected" in ended.error.what
    # A person is asked for the passphrase.
    front = Front(answers={ChooseNetwork: answers.network, AskPassphrase: SecretStr(PASSPHRASE)})
    ended, front = await install(answers, front, ask=frozenset([StepKey.NETWORK]))
    assert ended.outcome == "installed", front.text()
    (question,) = [q for q in front.asked if isinstance(q, AskPassphrase)]
    assert question.problem is not None
    assert question.network.security is Security.WPA2
    assert 'security = "wpa2"' in to_toml(ended.answers)


def test_the_wizard_needs_standard_input_for_itself(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(["wizard", "--wifi-qr", "-"]) == ErrorCode.USAGE.exit_status
    assert "@FILE" in capsys.readouterr().err


def save(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: str, passphrase: str = PASSPHRASE) -> int:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((passphrase + "\n").encode())))
    return _main(["networks", "add", name, "--passphrase-file", "-", *arguments])


def test_a_network_is_saved_used_listed_and_removed(
    world: LabWorld,
    home: Path,
    memory: MemoryKeyring,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert save(monkeypatch, "clinic", "--ssid", "Home", "--security", "wpa2") == 0
    assert memory.entries == {("device-installer", "network:clinic"): PASSPHRASE}
    assert _main(["networks", "list"]) == 0
    assert _main(["networks", "list", "--json"]) == 0
    out = capsys.readouterr().out
    assert "clinic" in out.splitlines()[0]
    assert json.loads(out.splitlines()[1]) == {
        "name": "clinic",
        "ssid": "Home",
        "security": "wpa2",
        "hidden": False,
        "passphrase": {"keyring": "clinic"},
    }
    arguments = [*SCRIPT, "--device", world.address("generic"), "--sync", "wifi", "--network", "clinic"]
    assert _main(arguments) == 0
    assert world.device("generic")["joined"] == "Home"
    assert _main(["networks", "remove", "clinic"]) == 0
    assert memory.entries == {}
    said = capsys.readouterr()
    assert PASSPHRASE not in out + said.out + said.err
    assert holds(home, PASSPHRASE) == []
    assert _main(["networks", "list"]) == 0
    assert capsys.readouterr().out == ""
    assert _main(arguments) == ErrorCode.ANSWERS_INVALID.exit_status


def test_a_name_is_replaced_only_when_that_is_said(
    home: Path, memory: MemoryKeyring, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert save(monkeypatch, "Home") == 0
    assert save(monkeypatch, "Home", passphrase="another passphrase") == ErrorCode.ANSWERS_INVALID.exit_status
    assert "--replace" in capsys.readouterr().err
    assert list(memory.entries.values()) == [PASSPHRASE]
    assert _main(["networks", "add", "Home", "--wifi-qr", "WIFI:S:Guests;;", "--replace"]) == 0
    assert memory.entries == {}
    assert _main(["networks", "remove", "Office"]) == ErrorCode.ANSWERS_INVALID.exit_status
    assert "These are saved: Home" in capsys.readouterr().err


def test_a_network_is_saved_from_a_picture_of_its_code(
    home: Path, memory: MemoryKeyring, given: Callable[[str, str], list[str]]
) -> None:
    assert _main(["networks", "add", "home", *given("--wifi-qr-image", WIFI)]) == 0
    assert list(memory.entries.values()) == [PASSPHRASE]


def test_a_code_with_several_readings_is_saved_when_its_name_is_given(
    home: Path,
    memory: MemoryKeyring,
    given: Callable[[str, str], list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = given("--wifi-qr @", OFFICE)
    assert _main(["networks", "add", "office", *code]) == ErrorCode.NETWORK_AMBIGUOUS.exit_status
    said = capsys.readouterr().err
    assert "--ssid NAME" in said
    assert not any(word in said for word in ("Office", PASSPHRASE))
    assert _main(["networks", "add", "office", *code, "--ssid", "Home;Office"]) == 0
    assert list(memory.entries.values()) == [PASSPHRASE]
    assert _main(["networks", "list"]) == 0
    assert "Home;Office" in capsys.readouterr().out


def test_letters_beyond_ascii_and_short_wpa3_passphrases_are_saved_with_a_warning(
    home: Path, memory: MemoryKeyring, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert save(monkeypatch, "garden", passphrase="Grüne Wiese") == 0
    assert "as UTF-8" in capsys.readouterr().err
    assert save(monkeypatch, "shed", "--security", "wpa3", passphrase="abc12") == 0
    assert "fewer than 8" in capsys.readouterr().err
    assert sorted(memory.entries.values()) == ["Grüne Wiese", "abc12"]
    # A passphrase that is given as the name of its variable is not kept and not repeated.
    assert _main(["networks", "add", "x", "--passphrase-env", PASSPHRASE]) == ErrorCode.USAGE.exit_status
    assert PASSPHRASE not in capsys.readouterr().err


def test_without_a_keyring_no_passphrase_is_kept_anywhere(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_KEYRING", "off")
    assert save(monkeypatch, "Home") == ErrorCode.SECRET_UNAVAILABLE.exit_status
    said = capsys.readouterr().err
    assert "--passphrase-env" in said
    assert "networks.toml" in said
    assert PASSPHRASE not in said
    assert holds(home, PASSPHRASE) == []
    # An open network needs no passphrase.
    assert _main(["networks", "add", "Guests", "--security", "open"]) == 0


def test_without_a_keyring_the_place_of_a_passphrase_is_kept(
    world: LabWorld, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_KEYRING", "off")
    monkeypatch.setenv("CLINIC", "short")
    add = ["networks", "add", "clinic", "--ssid", "Home", "--passphrase-env", "CLINIC"]
    assert _main(add) == ErrorCode.PASSPHRASE_INVALID.exit_status
    assert _main([*add, "--passphrase-file", "-"]) == ErrorCode.USAGE.exit_status
    monkeypatch.setenv("CLINIC", PASSPHRASE)
    assert _main(add) == 0
    assert holds(home, PASSPHRASE) == []
    assert _main([*SCRIPT, "--model", "body", "--sync", "wifi", "--network", "clinic", "--no-wait"]) == 0
    assert world.device("body")["joined"] == "Home"
    assert _main(["networks", "remove", "clinic"]) == 0


@pytest.mark.parametrize(
    ("arguments", "passphrase", "code"),
    [
        ((), "1234567", ErrorCode.PASSPHRASE_INVALID),
        ((), "g" * 64, ErrorCode.PASSPHRASE_INVALID),
        (("--security", "open"), PASSPHRASE, ErrorCode.PASSPHRASE_INVALID),
        (("--security", "enterprise"), PASSPHRASE, ErrorCode.NETWORK_UNSUPPORTED),
        (("--security", "wep"), PASSPHRASE, ErrorCode.NETWORK_UNSUPPORTED),
        (("--security", "wpa9"), PASSPHRASE, ErrorCode.USAGE),
        (("--ssid", "x" * 33), PASSPHRASE, ErrorCode.SSID_INVALID),
        (("--ssid", ""), PASSPHRASE, ErrorCode.SSID_INVALID),
        (("--wifi-qr", "WIFI:S:x;;"), PASSPHRASE, ErrorCode.USAGE),
    ],
)
def test_what_no_device_could_join_is_not_saved(
    home: Path,
    memory: MemoryKeyring,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    passphrase: str,
    code: ErrorCode,
) -> None:
    assert save(monkeypatch, "Home", *arguments, passphrase=passphrase) == code.exit_status
    assert memory.entries == {}
    assert passphrase not in capsys.readouterr().err
    assert not (home / "config" / "networks.toml").exists()


def test_nobody_to_ask_for_the_passphrase(
    home: Path, memory: MemoryKeyring, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert _main(["networks", "add", "Home"]) == ErrorCode.ANSWER_MISSING.exit_status
    assert "--passphrase-file" in capsys.readouterr().err


FIVE = """
name = "two bands"

[[device]]
model = "body-plus"
address = "00:24:E4:00:00:01"
name = "Body+ 01"
espressif = { security = 1, proof = "" }
bands = ["2.4 GHz", "5 GHz"]

[[network]]
ssid = "Home"
passphrase = "correct horse battery staple"
access_points = [{ band = "5 GHz" }]

[[network]]
ssid = "Both"
passphrase = "correct horse battery staple"
access_points = [{ band = "5 GHz", rssi = -40 }, {}]
"""


async def test_a_network_of_another_band_is_refused_before_anything_is_sent(world: LabWorld, lab_factory: Any) -> None:
    """The catalogue says 2.4 GHz for this model, although this device receives other bands."""
    two = lab_factory(FIVE)
    use(world, two.state_file)
    answers = Answers.model_validate(
        {"find": {"device": "00:24:E4:00:00:01"}, "sync": {"method": "wifi"}}
        | {"network": {"ssid": "Home", "passphrase": {"env": "TEST_PASSPHRASE"}}},
        context=COMMAND_LINE.context,
    )
    ended, front = await install(answers)
    assert ended.error is not None, front.text()
    assert ended.error.code is ErrorCode.NETWORK_UNSUPPORTED
    assert "5 GHz" in ended.error.what

    # A person sees the error before the passphrase is asked for, and chooses another network.
    front = Front(
        answers={ChooseNetwork: [NetworkAnswer(ssid="Home"), NetworkAnswer(ssid="Both", secret=PASSPHRASE)]},
        recoveries=[Recovery.CHANGE],
    )
    asking = answers.without([StepKey.NETWORK])
    ended, front = await install(asking, front, ask=frozenset([StepKey.NETWORK]), dry_run=True)
    assert [type(q) for q in front.asked[:2]] == [ChooseNetwork, ChooseNetwork], front.text()
    assert [f.error.code for f in front.failures] == [ErrorCode.NETWORK_UNSUPPORTED]
    (question,) = [q for q in front.asked[:1] if isinstance(q, ChooseNetwork)]
    assert {n.ssid: n.bands for n in question.networks} == {
        "Home": (Band.GHZ_5,),
        "Both": (Band.GHZ_2_4, Band.GHZ_5),
    }
    assert [e.ssid for e in front.of(NetworkChosen)] == ["Both"]


async def test_answers_that_are_saved_hold_no_passphrase_of_a_code(
    world: LabWorld, given: Callable[[str, str], list[str]]
) -> None:
    from installer.cli.answers_from_options import merge
    from installer.cli.options import Flags

    text = given("--wifi-qr @", WIFI)[1]
    answers = merge(answers_for(world, "generic", None, sync={"method": "wifi"}), Flags(wifi_qr=text))
    assert answers.network is not None
    assert answers.network.secret is not None
    ended, front = await install(answers)
    assert ended.outcome == "installed", front.text()
    assert PASSPHRASE not in to_toml(ended.answers) + repr(ended.answers) + front.text()
    assert 'ssid = "Home"' in to_toml(ended.answers)
