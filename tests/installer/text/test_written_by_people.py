"""Every text that a person writes is read in every way that editors and shells save it, and no error repeats it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from installer import answers, settings
from installer.batch import plan_reader
from installer.catalogue import catalogue_file
from installer.cli.networks import _ask_passphrase
from installer.cli.prompts import prompt
from installer.cli.qr_code_arguments import device_code, wifi_code
from installer.errors import ErrorCode, InstallerError
from installer.flow.questions import AskPassphrase
from installer.lab import scenario
from installer.notifications import callback_url
from installer.qr.classify import network_of, proof_in
from installer.storage.secret_references import on_command_line
from installer.text.written_by_people import UnreadableText, decode, parse_toml
from installer.wifi import saved_networks
from installer.wifi.card_readings import CardReadings
from installer.wifi.networks import Network, Security

SECRET = "hunter2 hunter2"
PATH = "a-secret-path-of-the-receiver"
MODEL = """[[model]]
id = "kitchen-scale"
name = "Küche"
vendor = "Somebody"
type = "scale"
sync = ["wifi"]
button = "the button"
missing = { bluetooth = "It has no health profile." }
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_CONFIG_DIR", str(tmp_path))


def from_stdin(path: Path, read: Callable[[], object]) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes() if path.is_file() else b"")))
        return read()


def secret(path: Path) -> object:
    return on_command_line(file=str(path)).fetch().get_secret_value()


def secret_from_stdin(path: Path) -> object:
    return from_stdin(path, lambda: on_command_line(file="-").fetch().get_secret_value())


def model(path: Path) -> object:
    return catalogue_file.load([path]).get("kitchen-scale").name


def plan(path: Path) -> object:
    found = plan_reader.read(path)
    if found.mistakes:
        raise InstallerError(ErrorCode.PLAN_INVALID, f"{found.source}: {found.mistakes[0]}", "")
    return found.rows[0].values["site"]


def ssid_of_card(card: CardReadings | None) -> str:
    assert card is not None
    assert card.certain is not None
    return card.certain.ssid


def network_of_code(code: object) -> object:
    assert code is not None
    return code.ssid  # type: ignore[attr-defined]


def secret_path(path: Path) -> object:
    path.chmod(0o600)
    return callback_url.secret_path(path).get_secret_value()


@dataclass(frozen=True)
class Kind:
    """A kind of text, how the program reads it, and what it finds. `code`: of an error."""

    name: str
    file: str
    text: str
    read: Callable[[Path], object]
    found: str
    code: ErrorCode
    toml: bool = False

    def __str__(self) -> str:
        return self.name


PROV = '{"ver":"v1","name":"PROV_Küche","pop":"abcd1234","transport":"ble"}\n'
WIFI = "WIFI:T:WPA;S:Küche;P:hunter2hunter2;;\n"
UNREADABLE = ErrorCode.SECRET_UNAVAILABLE
KINDS = [
    Kind("settings", "config.toml", '[ledger]\nsite = "Küche"\n', lambda p: settings.load(p).ledger.site, "Küche",
         ErrorCode.SETTINGS_INVALID, toml=True),
    Kind("answers", "a.toml", '[network]\nssid = "Küche"\n', lambda p: network_of_code(answers.load(p).network),
         "Küche", ErrorCode.ANSWERS_INVALID, toml=True),
    Kind("catalogue", "c.toml", MODEL, model, "Küche", ErrorCode.CATALOGUE_INVALID, toml=True),
    Kind("scenario", "s.toml", 'name = "Küche"\n', lambda p: scenario.load(p).name, "Küche",
         ErrorCode.SCENARIO_INVALID, toml=True),
    Kind("plan.toml", "p.toml", '[[row]]\nmodel = "body"\nsite = "Küche"\n', plan, "Küche",
         ErrorCode.PLAN_INVALID, toml=True),
    Kind("plan.csv", "p.csv", "model;site\nbody;Küche\n", plan, "Küche", ErrorCode.PLAN_INVALID),
    Kind("networks", "networks.toml", '[networks.home]\nssid = "Küche"\n',
         lambda _: saved_networks.load()["home"].ssid, "Küche", ErrorCode.SETTINGS_INVALID, toml=True),
    Kind("secret", "secret.txt", f" {SECRET} ü \n", secret, f" {SECRET} ü ", UNREADABLE),
    Kind("secret from a pipe", "secret.txt", f" {SECRET} ü \n", secret_from_stdin, f" {SECRET} ü ", UNREADABLE),
    Kind("network code", "qr.txt", WIFI, lambda p: ssid_of_card(wifi_code(f"@{p}", None)), "Küche", UNREADABLE),
    Kind("device code from a pipe", "qr.txt", PROV,
         lambda p: from_stdin(p, lambda: device_code("-", None).name),  # type: ignore[union-attr]
         "PROV_Küche", UNREADABLE),
    Kind("secret path", "path", f"{PATH}\n", secret_path, PATH, UNREADABLE),
]  # fmt: skip
SAVED_AS = ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le"]


def saved(text: str, encoding: str) -> bytes:
    return text.encode(encoding) if encoding.startswith("utf-8") else f"\ufeff{text}".encode(encoding)


@pytest.mark.parametrize("line_break", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("encoding", SAVED_AS)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_text_is_read_as_editors_and_shells_save_it(
    tmp_path: Path, kind: Kind, encoding: str, line_break: str
) -> None:
    file = tmp_path / kind.file
    file.write_bytes(saved(kind.text.replace("\n", line_break), encoding))
    assert kind.read(file) == kind.found


BROKEN = [
    ("Latin-1", lambda text: f"{text}# {SECRET} \n# caf\xe9\n".encode("latin-1"), "not UTF-8 text (line"),
    ("no mark", lambda text: text.encode("utf-16-le"), "seems to be UTF-16 text without"),
    ("half a character", lambda text: saved(text, "utf-16-le") + b"\x00", "damaged at byte"),
    ("a picture", lambda text: b"\0\0\0\rIHDR" + text.encode(), "not a text: it has zero bytes"),
    ("too much", lambda text: text.encode() + b"#" * 5_000_000, "longer than"),
]
# A table is also read in other encodings (`test_plan_check`), and only the first line of a pipe is read.
WHOLE_FILES = [kind for kind in KINDS if kind.name != "plan.csv" and "pipe" not in kind.name]


@pytest.mark.parametrize(("broken", "words"), [pytest.param(b, w, id=name) for name, b, w in BROKEN])
@pytest.mark.parametrize("kind", WHOLE_FILES, ids=str)
def test_what_is_no_text_is_told_with_its_place_and_without_its_content(
    tmp_path: Path, kind: Kind, broken: Callable[[str], bytes], words: str
) -> None:
    file = tmp_path / kind.file
    file.write_bytes(broken(kind.text))
    with pytest.raises(InstallerError) as caught:
        kind.read(file)
    error = caught.value
    assert error.code is kind.code
    assert words in error.what
    assert str(file) in error.what
    assert "hunter2" not in f"{error} {error!r} {error.data}"


@pytest.mark.parametrize(
    ("first_line", "words"),
    [
        (f"{SECRET} caf\xe9\n".encode("latin-1"), "is not UTF-8 text (line 1, byte 20)"),
        (f"{SECRET}\n".encode("utf-16-le"), "seems to be UTF-16"),
        (SECRET.encode() * 10_000, "is longer than 4096 bytes"),
    ],
    ids=["Latin-1", "no mark", "too much"],
)
def test_a_pipe_that_gives_no_text(tmp_path: Path, first_line: bytes, words: str) -> None:
    (tmp_path / "in").write_bytes(first_line)
    with pytest.raises(InstallerError) as caught:
        secret_from_stdin(tmp_path / "in")
    assert f"standard input {words}" in caught.value.what
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name not in ("secret path", "networks")], ids=str)
def test_a_file_that_is_not_there_and_a_folder_are_told_apart(tmp_path: Path, kind: Kind) -> None:
    words = ("No such file", "it is a folder") if "pipe" not in kind.name else ("is empty", "is empty")
    folder = tmp_path / "folder"
    folder.mkdir()
    for file, expected in zip((tmp_path / "none", folder), words, strict=True):
        with pytest.raises(InstallerError, match=expected) as caught:
            kind.read(file)
        assert caught.value.code is kind.code


@pytest.mark.parametrize("kind", [k for k in KINDS if k.toml], ids=str)
def test_broken_toml_is_told_with_line_and_column_only(tmp_path: Path, kind: Kind) -> None:
    file = tmp_path / kind.file
    file.write_text(f"# {SECRET}\npassphrase = {SECRET}\n", "utf-8")
    with pytest.raises(InstallerError) as caught:
        kind.read(file)
    error = caught.value
    assert error.code is kind.code
    assert "is not TOML: Invalid value (at line 2, column 14)" in error.what
    assert "hunter2" not in f"{error} {error!r} {error.data}"


@pytest.mark.parametrize(
    ("text", "words"),
    [("a = " + "[" * 2000, "nested"), ("a = " + "9" * 5000, "a number"), ('a = "x', "at end of document")],
)
def test_toml_that_no_parser_takes_is_an_error_of_the_text(text: str, words: str) -> None:
    with pytest.raises(UnreadableText, match=words):
        parse_toml(text)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("\ufeffpass word\r\n", "pass word"),
        ("\ufeff\ufeff pass \n\n", " pass \n"),
        ("pass\ufeffword", "pass\ufeffword"),
        ("pass\r", "pass"),
        ("\tpass \t", "\tpass \t"),
    ],
)
@pytest.mark.parametrize("place", ["file", "variable"])
def test_a_secret_loses_its_mark_and_one_line_break_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, kept: str, place: str
) -> None:
    (tmp_path / "s").write_bytes(written.encode())
    monkeypatch.setenv("WRITTEN", written)
    reference = on_command_line(file=str(tmp_path / "s")) if place == "file" else on_command_line(env="WRITTEN")
    assert reference.fetch().get_secret_value() == kept


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_holds_no_secret(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(InstallerError, match="s is empty") as caught:
        secret(tmp_path / "s")
    assert caught.value.code is UNREADABLE


def test_the_rest_of_standard_input_stays_for_the_next_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    # U+0A0A has the byte of a line break twice.
    text = "\ufeffpass\u0a0a\u010aword\r\nrest\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode("utf-16-le")), "utf-16-le"))
    assert on_command_line(file="-").fetch().get_secret_value() == "pass\u0a0a\u010aword"
    assert sys.stdin.readline() == "rest\n"


def test_a_pasted_text_loses_its_mark() -> None:
    assert network_of(f"\ufeff{WIFI}").ssids == {"Küche"}
    assert proof_in("\ufeffabcd1234", "PROV_1") == SecretStr("abcd1234")
    assert callback_url.expand_path("\ufeffhttps://clinic.example/hook", Path("none")).get_secret_value() == (
        "https://clinic.example/hook"
    )


def test_a_wrong_byte_is_counted_in_its_line() -> None:
    with pytest.raises(UnreadableText) as caught:
        decode(b"\xef\xbb\xbfone\ntw\xe9\n")
    assert (caught.value.line, caught.value.column) == (2, 3)


async def test_a_typed_secret_loses_the_mark_that_was_pasted_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"\ufeff{SECRET}\n" * 2))
    network = Network(ssid="Home", security=Security.WPA2)
    assert (await prompt(AskPassphrase(network=network))).get_secret_value() == SECRET
    assert _ask_passphrase(network).get_secret_value() == SECRET
