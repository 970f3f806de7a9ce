"""Faults at every message of every driver: links that drop, wrong answers, another app that takes over.

The messages are counted in a conversation without a fault, so none is left out when one is added.
"""

from __future__ import annotations

import pytest

from installer.errors import ErrorCode
from tests.installer.provisioning.conversations import KINDS, table

ANSWERS = ("value", "more of the value", "notification", "indication")
# Parts of one conversation that run beside each other.
PARTS = {"probe": 1, "health": 1}
SHARES = [(name, part, PARTS.get(name, 2)) for name in KINDS for part in range(PARTS.get(name, 2))]
# A device may end the connection on a wrong proof, so that is what a drop means right there.
LOST = {ErrorCode.CONNECTION_LOST, ErrorCode.PROOF_WRONG}
WRONG = {
    ErrorCode.DEVICE_MISBEHAVED,
    ErrorCode.SESSION_TAKEN,
    ErrorCode.PROOF_WRONG,
    ErrorCode.CONNECTION_LOST,
    ErrorCode.PROVISIONING_TIMEOUT,
    ErrorCode.DEVICE_REFUSED,
}


@pytest.mark.parametrize(("name", "part", "parts"), SHARES)
async def test_the_link_drops_at_every_message(name: str, part: int, parts: int) -> None:
    async with table(name) as talks:
        messages = await talks.whole()
        talks.device.factory_reset()
        told = 0
        for number in range(1 + part, len(messages) + 1, parts):
            error = await talks.fault(drop={"on": "message", "number": number})
            told += error is not None
            # Once the device has said that it has joined, a link that drops is no failure any more.
            if error is not None:
                assert error.code in LOST, (number, messages[number - 1], error)
        assert told >= (len(messages) // parts) // 2


@pytest.mark.parametrize("kind", ["truncated", "oversized", "order"])
@pytest.mark.parametrize("name", KINDS)
async def test_every_answer_is_wrong_once(name: str, kind: str) -> None:
    async with table(name) as talks:
        messages = await talks.whole()
        talks.device.factory_reset()
        for number, what in enumerate(messages, 1):
            if what in ANSWERS:
                error = await talks.fault(garbage={"on": "message", "number": number, "kind": kind})
                assert error is None or error.code in WRONG, (number, what, error)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.joins])
async def test_a_reboot_while_joining(name: str) -> None:
    async with table(name) as talks:
        error = await talks.fault(reboot={})
        assert error is not None
        assert (error.code, error.data.get("sent", True)) == (ErrorCode.CONNECTION_LOST, True)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.joins])
async def test_another_app_takes_over_at_every_message(name: str) -> None:
    """Whatever comes of it, it is told in words, and a second try succeeds."""
    async with table(name) as talks:
        messages = await talks.whole()
        talks.device.factory_reset()
        errors = []
        for number in range(1, len(messages) + 1, 3):
            error = await talks.fault(takeover={"number": number})
            if error is not None:
                errors.append(error.code)
        assert ErrorCode.SESSION_TAKEN in errors or name == "improv"
        # A Nordic device that failed to join what the other app wants says so to both.
        allowed = {ErrorCode.SESSION_TAKEN, ErrorCode.PROOF_WRONG, ErrorCode.NETWORK_NOT_FOUND}
        assert set(errors) <= allowed, errors
