"""Fixtures: the lab's cloud with the default scenario, a home of its own, no keyring, short waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from installer.cloud import client
from tests.installer.cloud.world import Lab, lab


@pytest.fixture
async def practice(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path / "accounts") as running:
        yield running


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(autouse=True)
def _no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_KEYRING", "off")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits before retries; these tests do not check them."""
    monkeypatch.setattr(client, "FIRST_WAIT", 0.001)
