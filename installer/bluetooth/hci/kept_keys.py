"""The keys of devices that this program has paired over a raw adapter, as they are kept: a JSON text.

They belong to this computer's identity, a static random address: devices know it by that, whichever controller it uses.
The address of the first pairing becomes the identity; it ends with the last bond.

    {"version": 1, "identity": {"address": "C0:…", "irk": HEX}, "bonds": [{"address": "00:24:…", "random": false,
     "name": "…", "ltk": HEX, "ediv": 0, "rand": HEX, "irk": HEX or null}]}

Keys and `rand` are in the order of bytes of HCI. `ediv` and `rand` are 0 with LE Secure Connections; in legacy pairing
they name the key to the device (Core Specification vol. 3 part H §2.4.2.3). `irk` resolves the device's private
addresses.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from installer.errors import ErrorCode, InstallerError

VERSION = 1
# The type of the address, 0: public, 1: random, and its bytes in the order of HCI.
Peer = tuple[int, bytes]


class KeyFile(Protocol):
    """Where the text is kept. Each method raises InstallerError."""

    @property
    def name(self) -> str:
        """Shown to a person: the path."""
        ...

    def read_keys(self) -> bytes | None:
        """The text; None if there is none."""
        ...

    async def change(self, edit: Callable[[bytes | None], bytes | None]) -> None:
        """Replace the text with what `edit` makes of it, None: with nothing. No other process changes it meanwhile."""
        ...


@dataclass(frozen=True)
class Identity:
    """Who this computer is for its devices. `address`: static random, in the order of HCI."""

    address: bytes
    irk: bytes = field(repr=False)


@dataclass(frozen=True)
class RawBond:
    """The keys of one device. `peer`: its identity address; `ltk`: what encrypts a link to it."""

    peer: Peer
    name: str
    ltk: bytes = field(repr=False)
    ediv: int = 0
    rand: bytes = field(default=bytes(8), repr=False)
    irk: bytes | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """The identity address in the usual form."""
        return text_of(self.peer[1])


@dataclass(frozen=True)
class KeptKeys:
    """All that is kept."""

    identity: Identity | None = None
    bonds: tuple[RawBond, ...] = ()

    def with_bond(self, bond: RawBond, identity: Identity) -> KeptKeys:
        """Also this bond, in place of an older one with the same device."""
        others = tuple(one for one in self.bonds if one.peer != bond.peer)
        return KeptKeys(self.identity or identity, (*others, bond))

    def without(self, addresses: set[str]) -> KeptKeys:
        """Without the bonds of the devices with these addresses, in capital letters."""
        left = tuple(one for one in self.bonds if one.address not in addresses)
        return replace(self, bonds=left) if left else KeptKeys()

    def to_text(self) -> bytes | None:
        """None if there is nothing to keep."""
        if self.identity is None or not self.bonds:
            return None
        content = {
            "version": VERSION,
            "identity": {"address": text_of(self.identity.address), "irk": self.identity.irk.hex()},
            "bonds": [
                {
                    "address": bond.address,
                    "random": bond.peer[0] == 1,
                    "name": bond.name,
                    "ltk": bond.ltk.hex(),
                    "ediv": bond.ediv,
                    "rand": bond.rand.hex(),
                    "irk": bond.irk.hex() if bond.irk is not None else None,
                }
                for bond in self.bonds
            ],
        }
        return json.dumps(content, ensure_ascii=False, indent=1).encode()


def parse(text: bytes | None, name: str) -> KeptKeys:
    """What this text keeps. `name`: of the file. Raises SECRET_UNAVAILABLE if it is damaged or of a newer version."""
    if text is None:
        return KeptKeys()
    try:
        return _kept(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # What is wrong is not told in detail: the text holds keys.
        raise InstallerError(
            ErrorCode.SECRET_UNAVAILABLE,
            f"The keys of paired devices in {name} cannot be read: the file is damaged, or of a newer version of this "
            "program.",
            "Put a copy back, or delete the file and pair the devices anew.",
            file=name,
        ) from None


def _kept(content: Any) -> KeptKeys:
    """Raises ValueError, KeyError, TypeError, AttributeError if it has another form."""
    if content["version"] != VERSION:
        raise ValueError("another version of this program has written it")
    identity = content["identity"]
    return KeptKeys(
        Identity(_address(identity["address"]), _bytes(identity["irk"], 16)),
        tuple(_bond(entry) for entry in content["bonds"]),
    )


def _bond(entry: dict[str, Any]) -> RawBond:
    ediv, name, random, irk = entry["ediv"], entry["name"], entry["random"], entry["irk"]
    if not (isinstance(name, str) and isinstance(random, bool) and type(ediv) is int and 0 <= ediv <= 0xFFFF):
        raise ValueError("a value of another type")
    return RawBond(
        (int(random), _address(entry["address"])),
        name,
        _bytes(entry["ltk"], 16),
        ediv,
        _bytes(entry["rand"], 8),
        None if irk is None else _bytes(irk, 16),
    )


def _address(text: str) -> bytes:
    return _bytes(text.replace(":", ""), 6)[::-1]


def _bytes(text: str, size: int) -> bytes:
    value = bytes.fromhex(text)
    if len(value) != size:
        raise ValueError("another length")
    return value


def text_of(address: bytes) -> str:
    """The usual form of an address that is in the order of HCI."""
    return ":".join(f"{byte:02X}" for byte in reversed(address))
