"""The kept keys in use by one host: which device has which key, also behind an address that changes."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from installer.bluetooth.hci.kept_keys import Identity, KeptKeys, KeyFile, Peer, RawBond, parse
from installer.errors import InstallerError

RANDOM = 1


class KeyRing:
    """The keys of `file`; without one they are forgotten when the host is closed.

    Other processes pair, too: what is asked for here is looked up in the file each time.
    """

    def __init__(self, file: KeyFile | None = None) -> None:
        self._file = file
        self._text: bytes | None = None
        self._kept = KeptKeys()

    @property
    def kept(self) -> KeptKeys:
        """All that is kept now. Raises SECRET_UNAVAILABLE."""
        if self._file is not None and (text := self._file.read_keys()) != self._text:
            self._kept, self._text = parse(text, self._file.name), text
        return self._kept

    def identity(self) -> Identity:
        """Who this computer is; made up as long as it has no bond."""
        return self.kept.identity or _made_up()

    def bond_of(self, peer: Peer) -> RawBond | None:
        """The keys of the device that has this address or hides behind it."""
        kept = self.kept
        return next((b for b in kept.bonds if b.peer == peer), None) or _behind(peer, kept.bonds)

    def identity_of(self, peer: Peer) -> Peer:
        """The identity address of the device behind a changing address that a scan heard; else the address itself."""
        if not _is_private(peer):
            return peer
        try:
            bonds = self.kept.bonds
        except InstallerError:  # told where a connection needs the keys
            bonds = self._kept.bonds
        bond = _behind(peer, bonds)
        return peer if bond is None else bond.peer

    async def add(self, bond: RawBond, identity: Identity) -> None:
        """Keep this bond, which was made as `identity`. Raises FILE_UNWRITABLE, SECRET_UNAVAILABLE."""
        await self._change(lambda kept: kept.with_bond(bond, identity))

    async def forget(self, addresses: set[str]) -> tuple[RawBond, ...]:
        """Forget the bonds with these addresses, in capital letters; which these were. Raises as `add`."""
        gone: list[RawBond] = []

        def edit(kept: KeptKeys) -> KeptKeys:
            gone[:] = (bond for bond in kept.bonds if bond.address in addresses)
            return kept.without(addresses)

        await self._change(edit)
        return tuple(gone)

    async def _change(self, edit: Callable[[KeptKeys], KeptKeys]) -> None:
        if self._file is None:
            self._kept = edit(self._kept)
            return
        name = self._file.name
        await self._file.change(lambda text: edit(parse(text, name)).to_text())
        _ = self.kept


def _is_private(peer: Peer) -> bool:
    """Whether this is a resolvable private address: the two highest bits are 01."""
    return peer[0] == RANDOM and peer[1][5] >> 6 == 1


def _behind(peer: Peer, bonds: tuple[RawBond, ...]) -> RawBond | None:
    """The bond of the device behind a resolvable private address (Core Specification vol. 3 part C §10.8.2)."""
    if not _is_private(peer):
        return None
    from bumble.crypto import ah

    address = peer[1]
    return next((b for b in bonds if b.irk is not None and ah(b.irk, address[3:6]) == address[:3]), None)


def _made_up() -> Identity:
    # The two highest bits make it static; the rest must not be all ones or all zeros.
    return Identity(secrets.token_bytes(5) + bytes((0xC0 | secrets.randbelow(0x3F),)), secrets.token_bytes(16))
