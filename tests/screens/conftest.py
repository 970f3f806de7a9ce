"""The pilot looks more often whether the app is idle: the tests await conditions, and need no long silence."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _eager_pilot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textual._wait.SLEEP_GRANULARITY", 0.004)
    monkeypatch.setattr("textual._wait.SLEEP_IDLE", 0.002)
