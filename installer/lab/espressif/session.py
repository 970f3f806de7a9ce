"""The endpoint prov-session of a lab device: the handshake of each security scheme, and the channel that comes of it.

Written from `facts/esp-provisioning.md` §4 to §6; it shares no code with the installer's driver.
"""

from __future__ import annotations

import secrets

from installer.lab.espressif.crypto import (
    Channel,
    Clear,
    Curve,
    HandlerFailed,
    Message,
    Sealed,
    Srp,
    Verifier,
    field,
    optional,
)
from installer.lab.espressif.scenario import EspressifScenario

COMMAND_0, RESPONSE_0, COMMAND_1, RESPONSE_1 = range(4)
FIRST, SECOND = 20, 22  # fields of the commands; each response is one further


class SessionEndpoint:
    """One session at a time. `channel`: what the other endpoints' bytes go through; None before a handshake's end."""

    def __init__(self, scenario: EspressifScenario) -> None:
        self._scenario = scenario
        proof = scenario.proof.get_secret_value()
        self._verifier = Verifier(scenario.username, proof) if scenario.security == 2 else None
        self._agreement: Curve | Srp | None = None
        self.channel: Channel | None = None
        self.count = 0

    def forget(self) -> None:
        """The client is gone, and its session with it."""
        self.channel = None
        self._agreement = None

    def is_proof(self, data: bytes) -> bool:
        """Whether this is the second command. Raises HandlerFailed."""
        return Message(data).message(10 + self._scenario.security).number(1) == COMMAND_1

    def write(self, data: bytes) -> bytes:
        """The response to a session message. Raises HandlerFailed, as the firmware does for a wrong proof."""
        message = Message(data)
        number = self._scenario.security
        if message.number(2) != number or not message.has(10 + number):
            raise HandlerFailed("a security scheme that this build has not")
        payload = message.message(10 + number)
        if number == 0:
            self._stands(Clear())
            return self.answer(RESPONSE_0, b"")
        step = payload.number(1)
        if step == COMMAND_0:
            # A new first message ends whatever session there was.
            self.channel = None
            return self._hello(payload.message(FIRST))
        agreement, self._agreement = self._agreement, None
        if step != COMMAND_1 or agreement is None:
            raise HandlerFailed("a session message out of order")
        part = payload.message(SECOND)
        if isinstance(agreement, Curve):
            verify = agreement.verify(part.bytes(2))
            self._stands(agreement.channel)
            return self.answer(RESPONSE_1, field(3, verify))
        proof = agreement.verify(part.bytes(1))
        nonce = secrets.token_bytes(8) + (1).to_bytes(4, "big")
        self._stands(Sealed(agreement.key[:32], nonce, counting=self._scenario.patch == 1))
        return self.answer(RESPONSE_1, field(2, proof) + field(3, nonce))

    def answer(self, step: int, content: bytes) -> bytes:
        """A response message of this scheme."""
        security = self._scenario.security
        payload = field(1, step) + field(FIRST + step, content)
        return optional(2, security) + field(10 + security, payload)

    def _hello(self, part: Message) -> bytes:
        if self._verifier is None:
            curve = Curve(part.bytes(1), self._scenario.proof.get_secret_value())
            self._agreement = curve
            return self.answer(RESPONSE_0, field(2, curve.public) + field(3, curve.start))
        srp = Srp(self._verifier, part.bytes(1), part.bytes(2))
        self._agreement = srp
        return self.answer(RESPONSE_0, field(2, srp.public) + field(3, self._verifier.salt))

    def _stands(self, channel: Channel) -> None:
        self.channel = channel
        self.count += 1
