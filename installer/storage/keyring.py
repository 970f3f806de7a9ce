"""The keyring of the operating system. Every call has a deadline: a locked keyring waits for its user without end."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from installer import ENVIRONMENT_PREFIX
from installer.storage.secret_references import KEYRING_SERVICE
from installer.timing.deadlines import call_with_deadline

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

KEYRING_SECONDS = 20.0
T = TypeVar("T")


class KeyringFailed(Exception):
    """The keyring is locked, refused, or did not answer. The text says why and holds no secret."""


class KeyringSilent(KeyringFailed):
    """It did not answer in time. What was asked may still be done later."""


def switched_off() -> bool:
    """Whether DEVICE_INSTALLER_KEYRING=off."""
    return os.environ.get(f"{ENVIRONMENT_PREFIX}KEYRING", "").strip().lower() in ("off", "0", "no", "false")


class SystemKeyring:
    """A usable keyring. Every call raises `KeyringFailed`."""

    def __init__(self, backend: KeyringBackend, seconds: float = KEYRING_SECONDS) -> None:
        self._backend = backend
        self._seconds = seconds
        self.name = str(getattr(backend, "name", "")) or type(backend).__name__

    async def get(self, entry: str) -> str | None:
        """The secret of this entry, or None."""
        return await _guarded(lambda: self._backend.get_password(KEYRING_SERVICE, entry), self._seconds)

    async def set(self, entry: str, secret: str) -> None:
        """Store a secret."""
        await _guarded(lambda: self._backend.set_password(KEYRING_SERVICE, entry, secret), self._seconds)

    async def delete(self, entry: str) -> bool:
        """Remove an entry; False if it is not there."""

        def remove() -> bool:
            if self._backend.get_password(KEYRING_SERVICE, entry) is None:
                return False
            self._backend.delete_password(KEYRING_SERVICE, entry)
            return True

        return await _guarded(remove, self._seconds)


async def find_keyring(seconds: float = KEYRING_SECONDS) -> SystemKeyring | None:
    """The keyring of this system; None if there is none, or none that protects its entries."""
    if switched_off():
        return None
    try:
        backend = await _guarded(_find_backend, seconds)
    except KeyringFailed:
        return None
    return SystemKeyring(backend, seconds) if backend is not None else None


def _find_backend() -> KeyringBackend | None:
    from keyring.backends import fail, null

    from installer.storage.keyring_backend import keyring_library

    backend: KeyringBackend = keyring_library().get_keyring()
    if isinstance(backend, fail.Keyring | null.Keyring):
        return None
    # A priority below 1 is a fallback such as a plain file. Our own file of mode 0600 is no worse.
    return backend if backend.priority >= 1 else None


async def _guarded(call: Callable[[], T], seconds: float) -> T:
    try:
        return await call_with_deadline(call, seconds)
    except TimeoutError:
        raise KeyringSilent(f"no answer within {seconds:g} s; it may be locked") from None
    # A keyring is a plug-in; it may raise any error of its libraries.
    except Exception as error:  # noqa: BLE001
        raise KeyringFailed(type(error).__name__) from None
