"""The home and the lab of a test, as the tests of the flow have them; and a run that is observed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from installer.flow import lab_process
from tests.flow.conftest import home, world
from tests.flow.support import PASSPHRASE, PROOF, LabWorld, use
from tests.installer.lab.lab_process import LabProcess, fast_scenario
from tests.security.observed_run import SETTINGS, Observed
from tests.security.secret_matrix import Secret

__all__ = ["home", "world"]


@pytest.fixture(scope="session")
def _lab_with_own_secrets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    scenario = fast_scenario().replace(f'"{PASSPHRASE}"', f'"{Secret.PASSPHRASE}"')
    with LabProcess(tmp_path_factory.mktemp("lab"), scenario.replace(f'"{PROOF}"', f'"{Secret.PROOF}"')) as lab:
        yield lab


@pytest.fixture
def observed(home: Path, _lab_with_own_secrets: LabProcess, tmp_path: Path) -> Observed:
    """A lab whose secrets stand nowhere else, settings that name every secret, and a place for the witnesses."""
    _lab_with_own_secrets.call_now("POST", "/lab/reset")
    state = lab_process.read_state(_lab_with_own_secrets.state_file)
    assert state is not None
    world = LabWorld(state)
    use(world, _lab_with_own_secrets.state_file)
    (home / "config").mkdir(mode=0o700)
    (home / "config" / "config.toml").write_text(SETTINGS, "utf-8")
    for folder in (home / "export", tmp_path / "witness"):
        folder.mkdir(mode=0o700)
    return Observed(home, world, tmp_path / "witness")


@pytest.fixture
def saved(home: Path) -> None:
    """This computer has a saved network “home”, whose passphrase is in a variable."""
    (home / "config").mkdir(parents=True, exist_ok=True)
    text = '[networks.home]\nssid = "Home"\nsecurity = "wpa2"\npassphrase = { env = "TEST_PASSPHRASE" }\n'
    (home / "config" / "networks.toml").write_text(text, "utf-8")
