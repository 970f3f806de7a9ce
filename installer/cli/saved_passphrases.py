"""The passphrases that the command `networks` has stored in the system's keyring: their entries, and how they go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from installer.wifi.saved_networks import SavedNetwork


def keyring_entry(name: str) -> str:
    """The entry of the keyring for the network saved under this name."""
    return f"network:{name}"


def is_in_keyring(name: str, saved: SavedNetwork | None) -> bool:
    """Whether the file says that this command stored the passphrase in the keyring."""
    return saved is not None and saved.passphrase is not None and saved.passphrase.keyring == name


async def delete_passphrase(name: str, old: SavedNetwork | None) -> bool:
    """Delete what this command has stored in the keyring under this name; whether it was there.

    Raises SECRET_UNAVAILABLE if it is known to be there and stays.
    """
    from installer.storage import keyring as keyrings
    from installer.wifi import saved_networks

    keyring = await keyrings.find_keyring()
    try:
        if keyring is None:
            raise keyrings.KeyringFailed("it is switched off or not there")
        return await keyring.delete(keyring_entry(name))
    except keyrings.KeyringFailed as error:
        if not is_in_keyring(name, old):
            return False
        raise InstallerError(
            ErrorCode.SECRET_UNAVAILABLE,
            f"Nothing was changed: the passphrase of “{printable(name)}” cannot be removed from the keyring: {error}.",
            "Unlock the keyring (DEVICE_INSTALLER_KEYRING must not be off), then try again. Or remove its entry "
            f"“{printable(keyring_entry(name))}” of device-installer with the keyring's own program, and the network "
            f"from {saved_networks.path()}.",
        ) from None
