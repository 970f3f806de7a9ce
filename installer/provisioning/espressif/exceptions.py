"""What can be wrong with what a device answers, before it is put into words for a person."""

from __future__ import annotations

# Status of `facts/esp-provisioning.md` §4, in words.
STATUS = {
    1: "invalid security scheme",
    2: "invalid message",
    3: "too many sessions",
    4: "invalid argument",
    5: "internal error",
    6: "cryptographic error",
    7: "invalid session",
}


class ProtocolFault(Exception):
    """Base of all. The text never holds what the device sent."""


class Malformed(ProtocolFault):
    """The bytes do not parse, have a wrong length, are not authentic, or answer another question."""


class Garbled(Malformed):
    """The bytes do not even begin as an answer does: where nothing tells whether they are authentic, a wrong key."""


class Refused(ProtocolFault):
    """The device answered with a status other than success."""

    def __init__(self, status: int) -> None:
        super().__init__(STATUS.get(status, f"status {status}"))
        self.status = status


class WrongProof(ProtocolFault):
    """The two sides do not hold the same proof of possession."""
