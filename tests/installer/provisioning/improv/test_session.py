"""The Improv session where timing decides: which of two words about the state is the newer one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from installer.provisioning.improv import codec
from installer.provisioning.improv.codec import State
from installer.provisioning.improv.session import Session


class Overtaking:
    """A connection whose notification is handled before the answer that was sent first.

    A real stack does this now and then: the answer wakes a task, the notification calls a function at once.
    """

    advert = None
    address = "00:24:E4:00:00:01"

    def __init__(self) -> None:
        self.listeners: dict[str, Callable[[bytes], None]] = {}

    def has_characteristic(self, uuid: str, service: str | None = None) -> bool:
        return True

    async def subscribe(self, uuid: str, callback: Callable[[bytes], None], **_: Any) -> None:
        self.listeners[uuid] = callback

    async def read(self, uuid: str, **_: Any) -> bytes:
        self.listeners[codec.STATE](bytes((State.AUTHORIZED,)))
        return bytes((State.AUTHORIZATION_REQUIRED,))


async def test_a_button_pressed_while_the_state_is_read_is_not_forgotten() -> None:
    session = Session(Overtaking(), 5.0)  # type: ignore[arg-type]
    await session.open()
    assert session.state is State.AUTHORIZED
