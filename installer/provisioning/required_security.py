"""What a device must show before it gets a secret, and whether it is still the device of the first connection. Pure.

What a device says never decides its own check: the minimum comes from the person (a proof, a label, an option) and from
what the same address showed before. Everybody can advertise any name and any address.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from installer.errors import ErrorCode, InstallerError
from installer.provisioning.provisioner import ConnectionSecurity

CHECK_DEVICE = "Check which device is in front of you, and restart or reset it."


@dataclass(frozen=True)
class RequiredSecurity:
    """The minimum for one device. `a | b` asks for what either of them asks for; nothing makes it lower.

    `proof`: the handshake must use a proof of possession. `scheme`: the lowest number of the security scheme, as a
    label states it. `encryption`: encrypted, and proved if the protocol has proofs (`--require-encryption`).
    """

    proof: bool = False
    scheme: int = 0
    encryption: bool = False

    def __or__(self, other: RequiredSecurity) -> RequiredSecurity:
        return RequiredSecurity(
            self.proof or other.proof, max(self.scheme, other.scheme), self.encryption or other.encryption
        )

    def unmet(
        self, security: ConnectionSecurity, *, can_prove: bool, before_handshake: bool = False, of: str = ""
    ) -> str:
        """What was asked for and is not there, as a part of a sentence; empty if the minimum is met.

        `can_prove`: whether devices of this protocol can prove themselves at all. `before_handshake`: a device that
        asks for a proof may still show that it has it. `of`: another device, for which this minimum was stated.
        """
        proved = security.proved or (before_handshake and security.wants_proof)
        reasons = []
        if self.proof and not proved:
            reasons.append("a proof of possession was given" + (f" for another device, {of}" if of else ""))
        if self.scheme > (security.scheme or 0):
            whose = f"the label or user name of another device, {of}," if of else "its label or user name"
            reasons.append(f"{whose} states security {self.scheme}")
        if self.encryption and security.encrypted and can_prove and not proved and not reasons:
            reasons.append("--require-encryption asks for a device that proves itself")
        return ", and ".join(reasons)


def offered(protocol: str, security: ConnectionSecurity) -> str:
    """What a connection offers, in words. `protocol`: its label."""
    number = f"security {security.scheme} of {protocol}" if security.scheme is not None else protocol
    if security.proved and not security.recordable:
        return f"{number} (encrypted, with a proof)"
    if not security.encrypted:
        return f"{number} (no encryption, no proof)"
    if security.recordable:
        return f"{number} (encrypted, but somebody who records the radio traffic may read it)"
    return f"{number} (encrypted, {'a proof is asked for' if security.wants_proof else 'no proof'})"


def too_low(name: str, address: str, unmet: str, offer: str, security: ConnectionSecurity) -> InstallerError:
    """SECURITY_TOO_LOW. `unmet`: from `RequiredSecurity.unmet`; `offer`: from `offered`."""
    return InstallerError(
        ErrorCode.SECURITY_TOO_LOW,
        f"{name} {address} has not proved itself: {unmet}, and the device offers {offer}. "
        "Nothing was sent. Another device may pretend to be this one.",
        f"{CHECK_DEVICE} Then try again.",
        address=address,
        security=security.scheme,
        encrypted=security.encrypted,
        proved=security.proved,
    )


@dataclass(frozen=True)
class SeenDevice:
    """What an address showed when it was connected before. An empty text or None: it was not known."""

    protocol: str = ""
    security: ConnectionSecurity | None = None
    serial: str = ""

    def raised_by(self, now: SeenDevice) -> SeenDevice:
        """What is expected from now on: what was known stays, what is new or higher is added."""
        security = now.security or self.security
        if self.security is not None and security is not None:
            security = self.security.at_least(security)
        return SeenDevice(self.protocol or now.protocol, security, self.serial or now.serial)

    def difference(self, now: SeenDevice, label_of: Callable[[str], str] = str) -> str:
        """How `now` is less than before, or another device, in words; empty if it may be the same.

        What was not known before is no difference. A serial number that can no longer be read is one, unless the device
        can prove itself. `label_of`: the label of a protocol's name.
        """
        if self.protocol and now.protocol and self.protocol != now.protocol:
            return f"it spoke {label_of(self.protocol)} before, and speaks {label_of(now.protocol)} now"
        before, after = self.security, now.security
        if before is not None and after is not None and after.is_lower_than(before):
            label = label_of(now.protocol or self.protocol)
            return f"it offered {offered(label, before)} before, and offers {offered(label, after)} now"
        if self.serial and now.serial and self.serial != now.serial:
            return f"its serial number was {self.serial}, and is {now.serial} now"
        proves = after is not None and (after.proved or after.wants_proof)
        if self.serial and not now.serial and not proves:
            return f"its serial number was {self.serial}, and cannot be read now"
        return ""


def changed(name: str, address: str, difference: str) -> InstallerError:
    """DEVICE_CHANGED. `difference`: from `SeenDevice.difference`."""
    return InstallerError(
        ErrorCode.DEVICE_CHANGED,
        f"{name} {address} is not as it was at the first connection: {difference}. Nothing was sent to it since. "
        "Another device may pretend to be this one.",
        f"{CHECK_DEVICE} If you have changed the device yourself, start a new installation: it forgets what was seen.",
        address=address,
    )
