"""The endpoint prov-session of a lab device: the handshake of each security scheme, and the channel that it gives.

Written from `facts/esp-provisioning.md` §4 to §6; it shares no code with the installer's driver.
"""

from __future__ import annotations

import secrets

from installer.lab.espressif.crypto import (
    Channel,
    GcmChannel,
    HandlerFailed,
    PlainChannel,
    SrpAgreement,
    SrpVerifier,
    X25519Agreement,
)
from installer.lab.espressif.scenario import EspressifScenario
from installer.lab.protobuf_wire import Message, field, optional

COMMAND_0, RESPONSE_0, COMMAND_1, RESPONSE_1 = range(4)
COMMAND_0_FIELD, COMMAND_1_FIELD = 20, 22  # the field of the response is the next number


class SessionEndpoint:
    """One session at a time. `channel`: the encryption of the other endpoints; None until the handshake has ended."""

    def __init__(self, scenario: EspressifScenario) -> None:
        self._scenario = scenario
        proof = scenario.proof.get_secret_value()
        self._verifier = SrpVerifier(scenario.username, proof) if scenario.security == 2 else None
        self._agreement: X25519Agreement | SrpAgreement | None = None
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
            raise HandlerFailed("an unsupported security scheme")
        payload = message.message(10 + number)
        if number == 0:
            self._establish(PlainChannel())
            return self.answer(RESPONSE_0, b"")
        step = payload.number(1)
        if step == COMMAND_0:
            # A new first message ends the earlier session.
            self.channel = None
            return self._begin_agreement(payload.message(COMMAND_0_FIELD))
        agreement, self._agreement = self._agreement, None
        if step != COMMAND_1 or agreement is None:
            raise HandlerFailed("a session message out of order")
        part = payload.message(COMMAND_1_FIELD)
        if isinstance(agreement, X25519Agreement):
            verify = agreement.verify(part.bytes(2))
            self._establish(agreement.channel)
            return self.answer(RESPONSE_1, field(3, verify))
        proof = agreement.verify(part.bytes(1))
        nonce = secrets.token_bytes(8) + (1).to_bytes(4, "big")
        self._establish(GcmChannel(agreement.key[:32], nonce, counting=self._scenario.patch == 1))
        return self.answer(RESPONSE_1, field(2, proof) + field(3, nonce))

    def answer(self, step: int, content: bytes) -> bytes:
        """A response message of this scheme."""
        security = self._scenario.security
        payload = field(1, step) + field(COMMAND_0_FIELD + step, content)
        return optional(2, security) + field(10 + security, payload)

    def _begin_agreement(self, part: Message) -> bytes:
        if self._verifier is None:
            curve = X25519Agreement(part.bytes(1), self._scenario.proof.get_secret_value())
            self._agreement = curve
            return self.answer(RESPONSE_0, field(2, curve.public) + field(3, curve.start))
        srp = SrpAgreement(self._verifier, part.bytes(1), part.bytes(2))
        self._agreement = srp
        return self.answer(RESPONSE_0, field(2, srp.public) + field(3, self._verifier.salt))

    def _establish(self, channel: Channel) -> None:
        self.channel = channel
        self.count += 1
