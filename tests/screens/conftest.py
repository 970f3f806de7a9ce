"""Textual's pilot checks more often whether the app is idle, because the tests wait for conditions."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _eager_pilot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textual._wait.SLEEP_GRANULARITY", 0.004)
    monkeypatch.setattr("textual._wait.SLEEP_IDLE", 0.002)
