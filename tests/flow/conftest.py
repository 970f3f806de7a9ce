"""The lab of a test: reset before each, and the one that `--lab` finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from installer.flow import lab_process
from tests.flow.support import PASSPHRASE, PROOF, LabWorld, use


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TEST_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("TEST_PROOF", PROOF)
    return tmp_path / "home"


@pytest.fixture
def world(home: Path, lab: Any) -> LabWorld:
    """The shared lab of this worker, back at its scenario."""
    state = lab_process.read_state(lab.state_file)
    assert state is not None
    world = LabWorld(state)
    use(world, lab.state_file)
    return world
