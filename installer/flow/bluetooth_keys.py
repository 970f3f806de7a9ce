"""The file of the keys of devices that were paired over a raw adapter: private, changed by one process at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from installer import settings
from installer.errors import ErrorCode, InstallerError
from installer.storage.atomic_write import PRIVATE_MODE
from installer.storage.file_lock import file_lock
from installer.storage.private_files import (
    OTHER_OWNER,
    READ_BY_OTHERS,
    make_private_folder,
    read_private,
    write_private,
)

if TYPE_CHECKING:
    from installer.bluetooth.adapter import Adapter
    from installer.bluetooth.bonds import Bond
    from installer.bluetooth.own_links import OwnLinks

MAX_BYTES = 1 << 20
LOCK_SECONDS = 10.0


class BluetoothKeysFile:
    """Such a file; see `installer.bluetooth.hci.kept_keys` for what is in it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def in_data_dir(cls, *, lab: bool = False) -> BluetoothKeysFile:
        """That of this user; the lab has its own. Raises FOLDER_UNSAFE."""
        return cls(settings.data_dir() / ("lab-bluetooth-keys.json" if lab else "bluetooth-keys.json"))

    @property
    def name(self) -> str:
        """The path."""
        return str(self._path)

    def read_keys(self) -> bytes | None:
        """The content; None if there is no file. Raises SECRET_UNAVAILABLE."""
        try:
            content, problem = read_private(self._path, MAX_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(str(error.strerror)) from None
        if problem == OTHER_OWNER:
            raise self._unreadable("it belongs to another user")
        if problem == READ_BY_OTHERS:
            with contextlib.suppress(OSError):
                self._path.chmod(PRIVATE_MODE)
        return content

    async def change(self, edit: Callable[[bytes | None], bytes | None]) -> None:
        """Replace the content. Raises FILE_UNWRITABLE, SECRET_UNAVAILABLE."""
        try:
            make_private_folder(self._path.parent)
            async with file_lock(self._path.with_suffix(".lock"), LOCK_SECONDS):
                content = edit(self.read_keys())
                if content is None:
                    self._path.unlink(missing_ok=True)
                else:
                    write_private(self._path, content, any_age=True)
        except TimeoutError:
            raise self._unwritable("another run of this program has held it for too long") from None
        except OSError as error:
            raise self._unwritable(str(error.strerror)) from None

    def _unreadable(self, why: str) -> InstallerError:
        return InstallerError(
            ErrorCode.SECRET_UNAVAILABLE,
            f"The keys of paired devices in {self._path} cannot be read: {why}.",
            "Correct that, or move the file away and pair the devices anew.",
            file=self.name,
        )

    def _unwritable(self, why: str) -> InstallerError:
        return InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"The keys of paired devices cannot be kept in {self._path}: {why}.",
            "Check the permissions and the free space of the folder, then pair the device again.",
            file=self.name,
        )


async def raw_bonds() -> list[Bond]:
    """The devices that were paired over raw adapters, those of the lab too, by address. Raises SECRET_UNAVAILABLE."""
    from installer.bluetooth.bonds import Bond
    from installer.bluetooth.hci.kept_keys import parse

    return [
        Bond(bond.address, bond.name, kind, False, file.name)
        for kind, file in _files()
        for bond in sorted(parse(file.read_keys(), file.name).bonds, key=lambda one: one.address)
    ]


async def forget_raw_bonds(addresses: Iterable[str]) -> None:
    """Erase the keys of these devices. Raises ERASURE_INCOMPLETE."""
    from installer.bluetooth.hci.key_ring import KeyRing

    wanted = {address.upper() for address in addresses}
    for _, file in _files():
        try:
            if file.read_keys() is not None:
                await KeyRing(file).forget(wanted)
        except InstallerError as error:
            raise InstallerError(ErrorCode.ERASURE_INCOMPLETE, error.what, error.todo, file=file.name) from None


def _files() -> list[tuple[str, BluetoothKeysFile]]:
    return [("hci:", BluetoothKeysFile.in_data_dir()), ("lab", BluetoothKeysFile.in_data_dir(lab=True))]


async def open_adapter(spec: str | None, *, lab: bool = False, links: OwnLinks | None = None) -> Adapter:
    """The adapter that `spec` names; see `installer.bluetooth.open_adapter`. A raw one keeps its keys."""
    from installer.bluetooth import open_adapter as opening
    from installer.bluetooth.adapter import RAW_HCI_PREFIX

    raw = spec is not None and spec.startswith(RAW_HCI_PREFIX)
    return await opening.open_adapter(spec, links, BluetoothKeysFile.in_data_dir(lab=lab) if raw else None)
