"""The passphrases that the command `networks` has stored in the system's keyring: which, and how they go."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from installer.storage.keyring import KeyringSilent
    from installer.wifi.saved_networks import SavedNetwork


def is_in_keyring(name: str, saved: SavedNetwork | None) -> bool:
    """Whether the file says that this command stored the passphrase in the keyring."""
    return saved is not None and saved.passphrase is not None and saved.passphrase.keyring == name


async def delete_passphrase(name: str, old: SavedNetwork | None) -> bool:
    """Delete what this command has stored in the keyring under this name; whether it was there.

    Raises SECRET_UNAVAILABLE if it is known to be there and stays.
    """
    from installer.storage import keyring as keyrings
    from installer.storage.secret_references import network_entry
    from installer.wifi import saved_networks

    keyring = await keyrings.find_keyring()
    try:
        if keyring is None:
            raise keyrings.KeyringFailed("it is switched off or not there")
        return await keyring.delete(network_entry(name))
    except keyrings.KeyringFailed as error:
        if not is_in_keyring(name, old):
            return False
        what = (
            f"Nothing was changed: the passphrase of “{printable(name)}” cannot be removed from the keyring: {error}."
        )
        if isinstance(error, keyrings.KeyringSilent):
            what = f"The passphrase of “{printable(name)}” may be removed later: the keyring gave {error}."
        raise InstallerError(
            ErrorCode.SECRET_UNAVAILABLE,
            what,
            "Unlock the keyring (DEVICE_INSTALLER_KEYRING must not be off), then try again. Or remove its entry "
            f"“{printable(network_entry(name))}” of device-installer with the keyring's own program, and the network "
            f"from {saved_networks.path()}.",
        ) from None


def may_be_saved(name: str, error: KeyringSilent) -> InstallerError:
    """SECRET_UNAVAILABLE for a keyring that did not answer in time, and may still store the passphrase."""
    return InstallerError(
        ErrorCode.SECRET_UNAVAILABLE,
        f"The passphrase of “{printable(name)}” may have been saved, or may be saved later: the keyring gave {error}.",
        "Unlock the keyring. Then give the same command with --replace, or remove the network: device-installer "
        f"networks remove {shlex.quote(printable(name))}",
        network=name,
    )
