"""The keyring of the operating system, behind a deadline: a locked one may wait for its user for ever."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from installer.settings import ENV
from installer.storage.secret_references import SERVICE
from installer.timing.deadlines import in_thread

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SECONDS = 20.0
T = TypeVar("T")


class KeyringFailed(Exception):
    """The keyring did not do it: locked, refused, or no answer. Says why without any secret."""


def switched_off() -> bool:
    """Whether DEVICE_INSTALLER_KEYRING=off."""
    return os.environ.get(f"{ENV}KEYRING", "").strip().lower() in ("off", "0", "no", "false")


class SystemKeyring:
    """A usable keyring. Every call raises `KeyringFailed`."""

    def __init__(self, backend: KeyringBackend, seconds: float = SECONDS) -> None:
        self._backend = backend
        self._seconds = seconds
        self.name = str(getattr(backend, "name", "")) or type(backend).__name__

    async def get(self, entry: str) -> str | None:
        """The secret of this entry, or None."""
        return await _guarded(lambda: self._backend.get_password(SERVICE, entry), self._seconds)

    async def set(self, entry: str, secret: str) -> None:
        """Store a secret."""
        await _guarded(lambda: self._backend.set_password(SERVICE, entry, secret), self._seconds)

    async def delete(self, entry: str) -> None:
        """Remove an entry, if it is there."""

        def remove() -> None:
            if self._backend.get_password(SERVICE, entry) is not None:
                self._backend.delete_password(SERVICE, entry)

        await _guarded(remove, self._seconds)


async def find(seconds: float = SECONDS) -> SystemKeyring | None:
    """The keyring of this system, or None if there is none that protects what it keeps."""
    if switched_off():
        return None
    try:
        backend = await _guarded(_find, seconds)
    except KeyringFailed:
        return None
    return SystemKeyring(backend, seconds) if backend is not None else None


def _find() -> KeyringBackend | None:
    import keyring
    from keyring.backends import fail, null

    backend: KeyringBackend = keyring.get_keyring()
    if isinstance(backend, fail.Keyring | null.Keyring):
        return None
    # Below 1 are the makeshift ones, such as a plain file; our own file of mode 0600 is no worse and said aloud.
    return backend if backend.priority >= 1 else None


async def _guarded(call: Callable[[], T], seconds: float) -> T:
    try:
        return await in_thread(call, seconds)
    except TimeoutError:
        raise KeyringFailed(f"no answer within {seconds:g} s; perhaps it waits to be unlocked") from None
    # A keyring is a plug-in of somebody else's, which lets through whatever its libraries raise.
    except Exception as error:  # noqa: BLE001
        raise KeyringFailed(type(error).__name__) from None
