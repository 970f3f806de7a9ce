"""Which store is opened; passwords on the command line or in the settings' URL are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer import settings
from installer.errors import ErrorCode, InstallerError
from installer.measurements import open_store
from installer.settings import DataSettings, Settings
from installer.storage.secret_references import on_command_line

SECRET = "database-password-that-nobody-may-see"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_HOME", str(tmp_path))


def test_a_file_by_default_and_one_of_its_own_for_the_lab(tmp_path: Path) -> None:
    own = Settings(data=DataSettings(url=f"sqlite:///{tmp_path}/clinic.sqlite"))
    for store in (
        open_store.open_store(Settings()),
        open_store.open_store(own, lab=True),
        open_store.open_store(own),
        open_store.open_store(own, lab=True, given=f"sqlite:///{tmp_path}/given.sqlite"),
    ):
        store.close()
    found = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.sqlite")}
    assert found == {"data/measurements.sqlite", "data/lab-measurements.sqlite", "clinic.sqlite", "given.sqlite"}


@pytest.mark.parametrize("url", [f"postgresql://me:{SECRET}@db/x", f"postgresql://db/x?password={SECRET}"])
def test_a_password_on_the_command_line_or_in_the_settings_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InstallerError) as caught:
        open_store.open_store(Settings(), given=url)
    assert caught.value.code is ErrorCode.USAGE
    assert SECRET not in f"{caught.value} {caught.value.data}"
    path = tmp_path / "config.toml"
    path.write_text(f'[data]\nurl = "{url}"\n', "utf-8")
    with pytest.raises(InstallerError) as refused:
        settings.load(path)
    assert refused.value.code is ErrorCode.SETTINGS_INVALID
    assert "data.url" in refused.value.what
    assert SECRET not in f"{refused.value} {refused.value.data}"


def test_the_password_of_the_settings_goes_to_the_database_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    data = DataSettings(url="postgresql://me@127.0.0.1:1/x", password=on_command_line(env="DB_PASSWORD"))
    with pytest.raises(InstallerError) as caught:
        open_store.open_store(Settings(data=data))
    assert caught.value.code is ErrorCode.DATABASE_FAILED
    assert SECRET not in f"{caught.value} {caught.value.data} {data!r}"
    monkeypatch.delenv("DB_PASSWORD")
    with pytest.raises(InstallerError) as missing:
        open_store.open_store(Settings(data=data))
    assert missing.value.code is ErrorCode.SECRET_UNAVAILABLE
