"""The location of the ledger, and the command that an error gives for its migration."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from installer.errors import ErrorCode, InstallerError
from installer.ledger import location
from installer.settings import LedgerSettings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path))
    monkeypatch.delenv(location.URL_VARIABLE, raising=False)


def test_the_advice_means_the_ledger_that_was_outdated(tmp_path: Path) -> None:
    plain, url = LedgerSettings(), f"sqlite:///{tmp_path}/a b.sqlite"
    assert location.target(None, plain).migrate_command == "device-installer ledger migrate"
    assert location.target(None, plain, lab=True).migrate_command == "device-installer ledger migrate --lab"
    for lab in (False, True):
        command = shlex.split(location.target(url, plain, lab=lab).migrate_command)
        assert command == ["device-installer", "ledger", "migrate", "--ledger", url]


def test_a_password_is_refused_before_it_could_stand_in_an_advice() -> None:
    with pytest.raises(InstallerError) as raised:
        location.target("postgresql://me:hunter2@db/ledger", LedgerSettings())
    assert raised.value.code is ErrorCode.DATABASE_FAILED
    assert "hunter2" not in str(raised.value)
