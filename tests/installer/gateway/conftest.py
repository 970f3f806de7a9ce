"""A new outbox for each test; no keyring, and short waits between retries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from installer.cloud import client
from installer.gateway.outbox import Outbox


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox.open(tmp_path / "gateway.sqlite") as box:
        yield box


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DEVICE_INSTALLER_KEYRING", "off")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT", 0.001)
