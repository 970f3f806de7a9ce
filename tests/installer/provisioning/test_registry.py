"""The GATT table decides which driver a device gets."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bumble.gatt import Service

from installer.bluetooth.open_adapter import open_adapter
from installer.errors import ErrorCode, InstallerError
from installer.provisioning import registry
from installer.provisioning.improv.driver import ImprovProvisioner
from installer.provisioning.registry import provisioner_for
from tests.installer.bluetooth.bench import SERVICE, VALUE, Bench, Properties, characteristic, connected
from tests.installer.provisioning.improv.fake_device import CAPABILITIES, ImprovDevice


async def test_an_improv_device_gets_the_improv_driver_whatever_was_hinted() -> None:
    async with Bench() as bench, await open_adapter(bench.adapter) as adapter:
        await ImprovDevice().start(bench)
        async with await connected(adapter) as connection:
            for hint in ("improv", "guided", "nordic", None):
                assert isinstance(await provisioner_for(connection, hint), ImprovProvisioner)


async def test_an_incomplete_table_is_no_proof() -> None:
    async with Bench() as bench, await open_adapter(bench.adapter) as adapter:
        await ImprovDevice().start(bench, without=CAPABILITIES)
        async with await connected(adapter) as connection:
            assert await provisioner_for(connection, "improv") is None


async def test_an_unknown_device_gets_none() -> None:
    async with Bench() as bench, await open_adapter(bench.adapter) as adapter:
        await bench.peripheral([Service(SERVICE, [characteristic(VALUE, Properties.READ)])])
        async with await connected(adapter) as connection:
            assert await provisioner_for(connection, "improv") is None


@pytest.fixture
def broken_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package whose protocol cannot be imported, and one that has the name of a built-in protocol."""
    for name, target in (("broken", "nowhere_at_all:THING"), ("twin", "installer.provisioning.improv.protocol:IMPROV")):
        metadata = tmp_path / f"{name}_package-1.0.dist-info"
        metadata.mkdir()
        metadata.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-package\nVersion: 1.0\n")
        metadata.joinpath("entry_points.txt").write_text(f"[{registry.ENTRY_POINTS}]\n{name} = {target}\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    registry._from_packages.cache_clear()
    yield "broken"
    registry._from_packages.cache_clear()


def test_a_package_that_cannot_be_used_is_named_and_prevents_nothing_else(broken_package: str) -> None:
    assert registry.protocols() == registry.BUILT_IN
    assert registry.label_of("improv") == "Improv Wi-Fi"
    words = [f"{error.what} {error.todo}" for error in registry.unusable_packages()]
    assert len(words) == 2
    assert "broken-package" in words[0]
    assert "twin-package" in words[1]
    assert "another protocol has already" in words[1]
    with pytest.raises(InstallerError) as caught:
        registry.is_protocol(broken_package)
    assert caught.value.code is ErrorCode.SETTINGS_INVALID


def test_a_folder_of_catalogue_files_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_CONFIG_DIR", str(tmp_path))
    assert registry.load_catalogue().models
    (tmp_path / "catalogue").write_text("in the way")
    with pytest.raises(InstallerError, match="folder of your catalogue files") as caught:
        registry.load_catalogue()
    assert caught.value.code is ErrorCode.CATALOGUE_INVALID
