"""The home and the lab of a test, as the tests of the flow have them; and a run that is observed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from installer.flow import lab_process
from tests.flow.conftest import home, world
from tests.flow.support import PASSPHRASE, PROOF, LabWorld, use
from tests.installer.lab.lab_process import LabProcess, fast_scenario
from tests.security.observed_run import SETTINGS, Observed
from tests.security.secret_matrix import Secret

__all__ = ["home", "world"]


@pytest.fixture
def observed(home: Path, lab_factory: Callable[[str | None], LabProcess], tmp_path: Path) -> Observed:
    """A lab whose secrets stand nowhere else, settings that name every secret, and a place for the witnesses."""
    scenario = (
        fast_scenario().replace(f'"{PASSPHRASE}"', f'"{Secret.PASSPHRASE}"').replace(f'"{PROOF}"', f'"{Secret.PROOF}"')
    )
    lab = lab_factory(scenario)
    state = lab_process.read_state(lab.state_file)
    assert state is not None
    world = LabWorld(state)
    use(world, lab.state_file)
    (home / "config").mkdir(mode=0o700)
    (home / "config" / "config.toml").write_text(SETTINGS, "utf-8")
    for folder in (home / "export", tmp_path / "witness"):
        folder.mkdir(mode=0o700)
    return Observed(home, world, tmp_path / "witness")
