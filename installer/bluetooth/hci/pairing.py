"""Pairing over a raw controller: Bumble's security manager, with a person's answers.

This computer says that it has a display and a keyboard, so the device's own abilities decide: nothing is asked, the six
digits that it shows, a number to compare, or digits to type on the device (Core Specification vol. 3 part H §2.3.5.1).
As BlueZ does, it asks for protection against somebody in the middle, and goes without if the device can do no better.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from bumble.core import BaseBumbleError, ProtocolError
from bumble.hci import Address
from bumble.keys import KeyStore, PairingKeys
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.smp import ErrorCode as SmpError

from installer.bluetooth.hci.kept_keys import Identity, RawBond
from installer.bluetooth.pairing import (
    PERSON_SECONDS,
    PairingDialog,
    PairingEnd,
    is_passkey,
    pairing_failed,
    pairing_needed,
)

if TYPE_CHECKING:
    from bumble.device import Connection, Device

# Both sides give up after PERSON_SECONDS without a message. The device says why if it comes first.
GRACE_SECONDS = 2.0
# How a device says that the digits were not the same; Bumble says so, too, when a person says no to a number.
_DIFFERENT = (SmpError.PASSKEY_ENTRY_FAILED, SmpError.CONFIRM_VALUE_FAILED, SmpError.DHKEY_CHECK_FAILED)


class FreshKeys(KeyStore):
    """Bumble's store of keys: only hands over what a pairing has just made. `made`: the address and its keys."""

    def __init__(self) -> None:
        self.made: tuple[str, PairingKeys] | None = None

    async def update(self, name: str, keys: PairingKeys) -> None:
        """Bumble calls this at the end of a pairing."""
        self.made = (name, keys)


class Questions(PairingDelegate):
    """What Bumble asks during one pairing, put to `dialog`. The notes say how it went: the error of SMP does not."""

    def __init__(self, dialog: PairingDialog | None, name: str) -> None:
        super().__init__(PairingDelegate.IoCapability.DISPLAY_OUTPUT_AND_KEYBOARD_INPUT)
        self._dialog = dialog
        self._name = name
        self._question: asyncio.Future[Any] | None = None
        self.stirred = asyncio.Event()  # a question began or ended
        self.nobody = self.digits = self.differs = False

    @property
    def asking(self) -> bool:
        """Whether a person is being asked."""
        return self._question is not None and not self._question.done()

    @property
    def problem(self) -> BaseException | None:
        """What the dialog raised. Bumble would hide it."""
        question = self._question
        return question.exception() if question is not None and question.done() and not question.cancelled() else None

    async def get_number(self) -> int | None:
        """The digits that the device shows."""
        typed = await self._ask(self._dialog.passkey(self._name)) if self._has_somebody() and self._dialog else None
        if typed is None or not is_passkey(typed):
            return None
        self.digits = True
        return _Digits(typed)

    async def compare_numbers(self, number: int, digits: int) -> bool:
        """Whether the device shows the same number."""
        if not self._has_somebody() or self._dialog is None:
            return False
        same = await self._ask(self._dialog.same_number(self._name, f"{number:0{digits}}"))
        self.differs = same is False
        return same is True

    async def generate_passkey(self) -> int:
        """The digits for a device with a keyboard."""
        return _Digits(await super().generate_passkey())

    async def display_number(self, number: int, digits: int) -> None:
        """Show them."""
        if self._has_somebody() and self._dialog is not None:
            self.digits = True
            self._dialog.show_passkey(self._name, f"{number:0{digits}}")

    def withdraw(self) -> None:
        """Ask no longer."""
        if self._question is not None:
            self._question.cancel()

    def _has_somebody(self) -> bool:
        self.nobody = self._dialog is None
        self.stirred.set()
        return not self.nobody

    async def _ask(self, question: Coroutine[Any, Any, Any]) -> Any:
        """The answer; None if the dialog raised something, which is then `problem`."""
        self._question = asyncio.ensure_future(question)
        self.stirred.set()
        await asyncio.wait({self._question})
        self.stirred.set()
        return None if self.problem is not None or self._question.cancelled() else self._question.result()


class _Digits(int):
    """A passkey. Bumble 0.0.236 takes 000000, which is zero, for none."""

    def __bool__(self) -> bool:
        return True


async def pair(
    device: Device, link: Connection, gone: asyncio.Event, dialog: PairingDialog | None, address: str, name: str
) -> tuple[RawBond, Identity] | None:
    """Pair with the device at the other end of the link; its keys, and as whom they were made.

    None: it is paired for as long as the link lasts, because the device keeps no keys. `gone`: set when the link or the
    controller is down; `address`, `name`: for errors. Raises PAIRING_NEEDED, PAIRING_FAILED, and what the dialog does.
    The link may then be up or down.
    """
    questions = Questions(dialog, name)
    device.pairing_config_factory = lambda _link: PairingConfig(
        sc=True,
        mitm=True,
        bonding=True,
        delegate=questions,
        identity_address_type=PairingConfig.AddressType.RANDOM,
    )
    fresh = device.keystore = FreshKeys()
    refused: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    listener = link.on(
        link.EVENT_CONNECTION_ENCRYPTION_FAILURE, lambda status: None if refused.done() else refused.set_result(status)
    )
    work = asyncio.ensure_future(link.pair())
    try:
        end = await _end_of(work, refused, gone, questions)
        if questions.problem is not None:
            raise questions.problem
        if questions.nobody:
            raise pairing_needed(address, name)
        if end is not None:
            raise pairing_failed(address, name, end)
        session = device.smp_manager.sessions.get(link.handle)
        bonding = session is not None and session.bonding
    finally:
        questions.withdraw()
        link.remove_listener(link.EVENT_CONNECTION_ENCRYPTION_FAILURE, listener)
        work.cancel()
        await asyncio.wait({work})
        if not work.cancelled():
            work.exception()
    bond = _bond(*fresh.made, name) if bonding and fresh.made is not None else None
    return None if bond is None else (bond, Identity(bytes(device.static_address), device.irk))


async def _end_of(
    work: asyncio.Future[None], refused: asyncio.Future[int], gone: asyncio.Event, questions: Questions
) -> PairingEnd | None:
    """Wait for the end of the pairing: None if it succeeded."""
    while True:
        questions.stirred.clear()
        stirred = asyncio.ensure_future(questions.stirred.wait())
        dropped = asyncio.ensure_future(gone.wait())
        ends: set[asyncio.Future[Any]] = {work, refused, stirred, dropped}
        await asyncio.wait(ends, timeout=PERSON_SECONDS + GRACE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        moved = stirred.done()
        stirred.cancel()
        dropped.cancel()
        if gone.is_set():
            return PairingEnd.DEVICE_HUNG_UP
        if work.done() or refused.done():
            break
        if questions.nobody or not moved:
            return PairingEnd.PERSON_TOO_LATE if questions.asking else PairingEnd.DEVICE_TOO_LATE
    if not work.done():
        return PairingEnd.DEVICE_REFUSED
    if work.cancelled():
        return PairingEnd.DEVICE_HUNG_UP
    error = work.exception()
    if error is None:
        return None
    if questions.differs:
        return PairingEnd.OTHER_NUMBER
    if isinstance(error, ProtocolError):
        wrong = questions.digits and error.error_code in _DIFFERENT
        return PairingEnd.WRONG_DIGITS if wrong else PairingEnd.DEVICE_REFUSED
    if isinstance(error, BaseBumbleError):
        return PairingEnd.DEVICE_HUNG_UP
    raise error


def _bond(made_for: str, keys: PairingKeys, name: str) -> RawBond | None:
    """The bond in Bumble's keys; None if the device gave no key for a later connection."""
    identity = Address(made_for, keys.address_type if keys.address_type is not None else Address.RANDOM_DEVICE_ADDRESS)
    key = keys.ltk or keys.ltk_central
    if key is None or len(key.value) != 16:
        return None
    return RawBond(
        (int(identity.is_random), bytes(identity)),
        name,
        key.value,
        key.ediv or 0,
        key.rand or bytes(8),
        keys.irk.value if keys.irk is not None else None,
    )
