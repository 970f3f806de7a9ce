"""Wrong given answers are refused before the adapter is used: here the adapter does not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.provisioning import registry
from installer.provisioning.improv.driver import ImprovProvisioner
from installer.provisioning.nordic.driver import NordicProvisioner
from installer.provisioning.shelly.driver import ShellyProvisioner
from tests.flow.support import LabWorld, lines

NOWHERE = ["install", "--non-interactive", "--json", "--adapter", "hci:tcp-client:127.0.0.1:9"]
DEVICE = ["--device", "00:24:E4:00:00:02", "--sync", "wifi"]
HOME = [*DEVICE, "--ssid", "Home"]


@pytest.mark.parametrize(
    ("arguments", "code", "step"),
    [
        ([*HOME, "--passphrase-file", "/nowhere"], ErrorCode.SECRET_UNAVAILABLE, "network"),
        ([*HOME, "--passphrase-env", "NOT_SET"], ErrorCode.SECRET_UNAVAILABLE, "network"),
        ([*HOME, "--passphrase-env", "SHORT"], ErrorCode.PASSPHRASE_INVALID, "network"),
        ([*HOME, "--passphrase-env", "FINE", "--proof-env", "NOT_SET"], ErrorCode.SECRET_UNAVAILABLE, "find"),
        (["--model", "toaster"], ErrorCode.ANSWERS_INVALID, "find"),
        (["--model", "improv-device", "--require-encryption"], ErrorCode.ENCRYPTION_REQUIRED, "provision"),
        # Nothing to refuse: the adapter is used, and it does not exist.
        ([*HOME, "--passphrase-env", "FINE", "--require-encryption"], ErrorCode.ADAPTER_FAILED, "find"),
        (["--model", "move", "--ssid", "Home", "--passphrase-env", "NOT_SET"], ErrorCode.ADAPTER_FAILED, "find"),
        ([*HOME, "--passphrase-env", "NOT_SET", "--keep-wifi"], ErrorCode.ADAPTER_FAILED, "find"),
    ],
)
def test_before_any_radio(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: ErrorCode,
    step: str,
) -> None:
    monkeypatch.setenv("SHORT", "short")
    monkeypatch.setenv("FINE", "long enough for anybody")
    assert _main([*NOWHERE, *arguments]) == code.exit_status
    failed = next(e for e in lines(capsys.readouterr().out) if e["event"] == "failed")
    assert (failed["code"], failed["step"]) == (code.value, step)


def test_an_impossible_ssid_is_refused_with_the_answers(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main([*NOWHERE, *DEVICE, "--ssid", "x" * 33]) == ErrorCode.ANSWERS_INVALID.exit_status
    assert "33 bytes" in capsys.readouterr().err


def test_the_protocols_without_encryption_are_those_whose_drivers_say_so() -> None:
    unencrypted = (ImprovProvisioner, NordicProvisioner, ShellyProvisioner)
    assert all(registry.never_encrypt([driver.protocol]) for driver in unencrypted)
    assert registry.never_encrypt([driver.protocol for driver in unencrypted])
    assert not registry.never_encrypt(["espressif"])
    assert not registry.never_encrypt(["improv", "espressif"])
    assert not registry.never_encrypt(["guided"])


def test_a_network_that_the_device_does_not_see_is_likelier_the_reason(
    world: LabWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    install = ["install", "--lab", "--non-interactive", "--json", "--device", world.address("body"), "--sync", "wifi"]
    for ssid, secret, likely in (("Hone", "TEST_PASSPHRASE", "name"), ("Home", "TEST_PROOF", "passphrase")):
        command = [*install, "--ssid", ssid, "--passphrase-env", secret]
        assert _main(command) == ErrorCode.JOIN_FAILED.exit_status
        failed = next(e for e in lines(capsys.readouterr().out) if e["event"] == "failed")
        assert failed["data"]["likely"] == likely
        assert "check the passphrase" not in failed["todo"].lower()
