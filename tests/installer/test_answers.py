"""Answers: reading a file, refusing secrets in it, and merging options into it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from installer.answers import Answers, NetworkAnswer, StepKey, load, to_toml, validate
from installer.catalogue.model import SyncMethod
from installer.cli.answers_from_options import merge, steps
from installer.cli.options import Flags
from installer.errors import ErrorCode, InstallerError
from installer.storage.secret_references import SecretRef

WHOLE = """
version = 1
[find]
device = "00-24-e4-00-00-02"
[sync]
method = "wifi"
[network]
ssid = "Zoë's 🏠 Wi-Fi"
passphrase = { env = "HOME_WIFI" }
[link]
account = "alex"
mode = "watch"
[verify]
wait = 30
"""


def test_a_whole_file_is_read_and_written_again_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    path.write_text(WHOLE, "utf-8")
    answers = load(path)
    assert answers.find is not None
    assert answers.find.device == "00:24:E4:00:00:02"
    assert answers.network is not None
    assert answers.network.passphrase == SecretRef(env="HOME_WIFI")
    again = tmp_path / "again.toml"
    again.write_text(to_toml(answers), "utf-8")
    assert load(again) == answers


def test_a_typed_passphrase_is_in_no_dump_repr_or_schema() -> None:
    answers = Answers(network=NetworkAnswer(ssid="Home", secret=SecretStr("correct horse")))
    assert "correct horse" not in to_toml(answers) + repr(answers) + answers.model_dump_json() + str(answers)
    assert "secret" not in str(Answers.model_json_schema()["$defs"]["NetworkAnswer"]["properties"].keys())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[sync]\nmethod = 'wlan'", ["sync.method", "'wifi' or 'bluetooth'"]),
        ("[find]\ndevice = '00:24'", ["find.device", "00:24:E4:12:34:56"]),
        ("[find]", ["find", "name a device"]),
        ("[network]\npassphrase = {file = 'x'}", ["network.ssid", "missing"]),
        ("[network]\nssid = ''", ["network.ssid", "empty"]),
        ("[network]\nssid = '123456789012345678901234567890123'", ["33 bytes", "at most 32"]),
        ("[netwrok]\nssid = 'x'", ["netwrok", "no such key"]),
        ("[network]\nssid='x'\npassphrase = {env='A', file='b'}", ["exactly one of keyring, env, file"]),
        ("version = 2", ["version", "1"]),
        ("x = = 1", ["not TOML", "line 1"]),
    ],
)
def test_a_mistake_is_named_with_file_key_and_what_is_allowed(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(InstallerError) as caught:
        load(path)
    assert caught.value.code is ErrorCode.ANSWERS_INVALID
    for word in [str(path), *words]:
        assert word in caught.value.what


def test_a_passphrase_in_plain_text_is_refused_without_being_repeated() -> None:
    with pytest.raises(InstallerError) as caught:
        validate({"network": {"ssid": "Home", "passphrase": "correct horse"}}, "f.toml")
    assert caught.value.code is ErrorCode.ANSWERS_INVALID
    assert "keyring" in caught.value.todo
    assert "correct horse" not in str(caught.value) + str(caught.value.data)


@pytest.mark.parametrize("find", [{"secret": "abcd1234"}, {"proof": "abcd1234"}])
def test_a_proof_in_plain_text_is_refused_too(find: dict[str, str]) -> None:
    with pytest.raises(InstallerError, match=r"find\.proof contains a secret") as caught:
        validate({"find": {"model": "body", **find}}, "f.toml")
    assert "abcd1234" not in str(caught.value) + str(caught.value.data)


def test_a_file_holds_no_reading_of_a_card_and_no_code_as_a_name() -> None:
    readings = {"readings": [{"ssid": "Home", "security": "wpa2", "passphrase": "correct horse"}]}
    with pytest.raises(InstallerError, match="contains a secret") as caught:
        validate({"network": {"ssid": "Home", "readings": readings}}, "f.toml")
    assert "correct horse" not in str(caught.value)
    with pytest.raises(InstallerError, match="the text of a code") as caught:
        validate({"network": {"ssid": "WIFI:S:a;P:correct horse;;"}}, "f.toml")
    assert "correct horse" not in str(caught.value)


def test_flags_win_over_the_file() -> None:
    file = validate(
        {"find": {"device": "00:24:E4:00:00:02"}, "sync": {"method": "bluetooth"}, "network": {"ssid": "A"}}, "f"
    )
    merged = merge(file, Flags(model="sleep", sync="WiFi", ssid="B", passphrase_file="-", account="x"))
    assert merged.find is not None
    assert (merged.find.model, merged.find.device) == ("sleep", None)
    assert merged.sync is not None
    assert merged.sync.method is SyncMethod.WIFI
    assert merged.network is not None
    assert (merged.network.ssid, merged.network.passphrase) == ("B", SecretRef(file="-"))
    assert merged.link is not None
    assert merged.link.account == "x"


def test_what_no_flag_says_stays_as_the_file_has_it() -> None:
    file = validate({"sync": {"method": "wifi"}, "network": {"ssid": "A", "passphrase": {"env": "P"}}}, "f")
    assert merge(file, Flags()) == file
    assert merge(file, Flags(ssid="B")).network == NetworkAnswer(ssid="B", passphrase=SecretRef(env="P"))


@pytest.mark.parametrize(
    "flags",
    [
        Flags(passphrase_file="a", passphrase_env="B", ssid="x"),
        Flags(passphrase_env="B"),
        Flags(hidden=True),
    ],
)
def test_flags_that_contradict_each_other_are_a_usage_error(flags: Flags) -> None:
    with pytest.raises(InstallerError) as caught:
        merge(None, flags)
    assert caught.value.code is ErrorCode.USAGE


def test_ask_names_steps() -> None:
    assert steps(" network, link ,") == {StepKey.NETWORK, StepKey.LINK}
    assert steps("") == frozenset()
    with pytest.raises(InstallerError, match="no step") as caught:
        steps("wifi")
    assert "find, sync, network, provision, link, verify" in caught.value.todo
