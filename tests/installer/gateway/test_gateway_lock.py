"""The gateway's lock is deleted under it: it takes it again, or ends if another gateway was faster."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from installer.bluetooth.adapter import Adapter
from installer.catalogue.catalogue_file import load
from installer.errors import ErrorCode, InstallerError
from installer.gateway.devices import GatewayDevice
from installer.gateway.files_and_lock import GatewayFiles, hold_gateway_lock, is_running, running_pid
from installer.gateway.gateway import Gateway, GatewayParts
from installer.gateway.outbox import Outbox
from installer.storage.file_lock import file_lock
from tests.installer.gateway.support import until


@pytest.fixture
def files(tmp_path: Path) -> GatewayFiles:
    return GatewayFiles(tmp_path / "data")


async def no_adapter() -> Adapter:
    raise InstallerError(ErrorCode.BLUETOOTH_MISSING, "There is none.", "")


async def no_devices() -> Sequence[GatewayDevice]:
    return []


def gateway(files: GatewayFiles, outbox: Outbox, check_lock: object) -> Gateway:
    assert callable(check_lock)
    return Gateway(GatewayParts(files, load(), no_adapter, no_devices, ()), outbox, check_lock)


async def test_a_deleted_lock_is_taken_again_with_the_process_in_it(files: GatewayFiles) -> None:
    async with hold_gateway_lock(files) as check_lock:
        with Outbox.open(files.outbox) as outbox:
            running = asyncio.create_task(gateway(files, outbox, check_lock).run())
            files.lock.unlink()
            await until(lambda: running_pid(files) == os.getpid())
            assert await is_running(files)
            with pytest.raises(InstallerError) as caught:
                async with hold_gateway_lock(files):
                    pass
            assert caught.value.code is ErrorCode.GATEWAY_RUNNING
            assert not running.done()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def test_it_ends_if_another_gateway_has_the_lock_of_the_new_file(files: GatewayFiles) -> None:
    async with hold_gateway_lock(files) as check_lock:
        with Outbox.open(files.outbox) as outbox:
            files.lock.unlink()
            async with file_lock(files.lock, 1):
                with pytest.raises(InstallerError) as caught:
                    await asyncio.wait_for(gateway(files, outbox, check_lock).run(), 20)
    assert caught.value.code is ErrorCode.GATEWAY_RUNNING
    assert str(files.lock) in caught.value.what
