"""Pairing with a lab device: what it shows, which of its services want it, and the keys that it keeps.

Bumble's GATT server answers whether or not the link is encrypted, so `refusal` looks at each request before it does.
The rules are those of the Core Specification vol. 3 part C §10.3.1: 0x05 if there is no key for the client, or one
that needed no digits where digits are wanted; 0x0F if there is a key and the link does not use it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from typing import Any

from bumble import att, smp
from bumble.device import Connection, Device
from bumble.gatt import Service
from bumble.keys import MemoryKeyStore, PairingKeys
from bumble.pairing import PairingConfig, PairingDelegate

from installer.lab.device_faults import FaultCounter
from installer.lab.scenario import DeviceScenario

READ_BY_TYPE, READ_MULTIPLE, READ_MULTIPLE_VARIABLE, WRITE_COMMAND = 0x08, 0x0E, 0x20, 0x52
BY_HANDLE = (0x0A, 0x0C, 0x12, 0x16, WRITE_COMMAND)
DECLARATIONS = ("2800", "2801", "2802", "2803")
PAIRING_REQUEST = 0x01
Capability = PairingDelegate.IoCapability
CAPABILITIES = {
    None: Capability.NO_OUTPUT_NO_INPUT,
    "just-works": Capability.NO_OUTPUT_NO_INPUT,
    "passkey": Capability.DISPLAY_OUTPUT_ONLY,
    "compare": Capability.DISPLAY_OUTPUT_AND_YES_NO_INPUT,
    "enter": Capability.KEYBOARD_INPUT_ONLY,
}


class OwnKeys(MemoryKeyStore):
    """The keys of a device, by the other side's address.

    In legacy pairing both sides give each other a key. A device must answer with the one that it gave. Bumble 0.0.236
    answers with the one that it got, so the two are kept the other way round.
    """

    async def update(self, name: str, keys: PairingKeys) -> None:
        """Keep these keys."""
        keys.ltk_central, keys.ltk_peripheral = keys.ltk_peripheral, keys.ltk_central
        await super().update(name, keys)


class Bonding:
    """The pairing of one device. `shows`: six digits on its display now. `asks`: it waits for digits on its keys.

    `log`: gets what a person would see on the device.
    """

    def __init__(
        self, scenario: DeviceScenario, stack: Device, faults: FaultCounter, log: Callable[[str], None]
    ) -> None:
        self.kind = scenario.bonding
        self.shows: str | None = None
        self.keys = OwnKeys()
        self._fixed = scenario.passkey
        self._faults = faults
        self._log = log
        self._stack = stack
        self._secure_connections = not scenario.bonding_legacy
        self._protected: set[int] = set()
        self._typed: asyncio.Future[int | None] | None = None
        stack.keystore = self.keys
        stack.pairing_config_factory = self._config
        self._answer = stack.smp_manager.on_smp_pdu
        stack.smp_manager.on_smp_pdu = self._on_smp_pdu  # type: ignore[method-assign]

    @property
    def asks(self) -> bool:
        """Whether it waits for digits that a person types on it."""
        return self._typed is not None

    def protect(self, services: Iterable[Service]) -> None:
        """Answer requests for the values of these services only on an encrypted link. They are in the table."""
        if self.kind is None:
            return
        for service in services:
            for attribute in self._stack.gatt_server.attributes:
                inside = service.handle <= attribute.handle <= service.end_group_handle
                if inside and attribute.type.to_hex_str() not in DECLARATIONS:
                    self._protected.add(attribute.handle)

    def connected(self, connection: Connection) -> None:
        """A client has connected."""
        for event in (Connection.EVENT_PAIRING, Connection.EVENT_PAIRING_FAILURE, Connection.EVENT_DISCONNECTION):
            connection.on(event, self._ended)
        connection.on(Connection.EVENT_PAIRING, lambda _keys: self._log("paired"))
        connection.on(Connection.EVENT_PAIRING_FAILURE, lambda reason: self._log(f"pairing failed (0x{reason:02x})"))

    def forget(self) -> None:
        """Forget all keys, as after a reset."""
        self.keys.all_keys.clear()

    def enter(self, digits: str) -> None:
        """A person types these digits on the device. Raises ValueError if it asks for none."""
        if self._typed is None or self._typed.done():
            raise ValueError("the device does not ask for digits now")
        if len(digits) != 6 or not (digits.isascii() and digits.isdecimal()):
            raise ValueError("six digits are wanted")
        self._typed.set_result(int(digits))

    def refusal(self, connection: Connection, request: att.ATT_PDU) -> tuple[bool, att.ATT_PDU | None]:
        """Whether this request is refused, and what is answered then: nothing to a command."""
        handle = self._wanted(request) if self._protected else None
        if handle is None or not (error := self._lacks(connection)):
            return False, None
        if request.op_code == WRITE_COMMAND:
            return True, None
        answer = att.ATT_Error_Response(
            request_opcode_in_error=request.op_code, attribute_handle_in_error=handle, error_code=error
        )
        return True, answer

    def _wanted(self, request: Any) -> int | None:
        """The protected attribute that a request is about."""
        if request.op_code in BY_HANDLE:
            handles: Iterable[int] = (request.attribute_handle,)
        elif request.op_code in (READ_MULTIPLE, READ_MULTIPLE_VARIABLE):
            handles = request.set_of_handles
        elif request.op_code == READ_BY_TYPE:
            handles = (
                attribute.handle
                for attribute in self._stack.gatt_server.attributes
                if attribute.type == request.attribute_type
                and request.starting_handle <= attribute.handle <= request.ending_handle
            )
        else:
            return None
        return next((handle for handle in handles if handle in self._protected), None)

    def _lacks(self, connection: Connection) -> int | None:
        """The ATT error for what the link lacks; None if it has all that is wanted."""
        keys = self.keys.all_keys.get(str(connection.peer_address))
        kept = (keys.ltk or keys.ltk_peripheral) if keys is not None else None
        if not connection.is_encrypted:
            return int(att.ErrorCode.INSUFFICIENT_ENCRYPTION if kept else att.ErrorCode.INSUFFICIENT_AUTHENTICATION)
        session = self._stack.smp_manager.sessions.get(connection.handle)
        if session is not None:
            digits = session.pairing_method is not smp.PairingMethod.JUST_WORKS
        else:
            digits = kept is not None and kept.authenticated
        return None if digits or self.kind == "just-works" else int(att.ErrorCode.INSUFFICIENT_AUTHENTICATION)

    def _config(self, _connection: Connection) -> PairingConfig:
        return PairingConfig(
            sc=self._secure_connections,
            mitm=self.kind not in (None, "just-works"),
            bonding=True,
            delegate=_Device(self),
            identity_address_type=PairingConfig.AddressType.PUBLIC,
        )

    def _on_smp_pdu(self, connection: Connection, pdu: bytes) -> None:
        session = self._stack.smp_manager.sessions.get(connection.handle)
        if pdu[:1] == bytes((PAIRING_REQUEST,)) and session is not None and session.completed:
            # Bumble goes on with the session that is over, and would keep no keys.
            session.on_disconnection(0)
        self._answer(connection, pdu)

    def _ended(self, _event: object = None) -> None:
        self.shows = None
        if self._typed is not None and not self._typed.done():
            self._typed.cancel()
        self._typed = None

    # What a person sees on the device and does with it.

    def show(self, digits: int) -> None:
        """Show these digits."""
        self.shows = f"{digits:06}"
        self._log(f"shows {self.shows}")

    async def typed(self) -> int | None:
        """The digits that a person types on the device."""
        self._log("asks for six digits")
        self._typed = asyncio.get_running_loop().create_future()
        return await self._typed

    def person_refuses(self) -> bool:
        """Whether the person at the device says no this time."""
        if self._faults.consume("refuse_pairing") is None:
            return False
        self._log("fault: somebody refuses the pairing on the device")
        return True

    def new_digits(self) -> int:
        """The digits to show; Bumble 0.0.236 takes 000000 for none."""
        return int(self._fixed) if self._fixed else 1 + secrets.randbelow(999_999)


class _Device(PairingDelegate):
    """The device's side of one pairing."""

    def __init__(self, bonding: Bonding) -> None:
        super().__init__(CAPABILITIES[bonding.kind])
        self._bonding = bonding

    async def accept(self) -> bool:
        """With a comparison, the person refuses when the number is shown."""
        return self._bonding.kind == "compare" or not self._bonding.person_refuses()

    async def compare_numbers(self, number: int, digits: int) -> bool:
        """Show the number; the person at the device presses “yes”."""
        self._bonding.show(number)
        return not self._bonding.person_refuses()

    async def generate_passkey(self) -> int:
        """The digits to show."""
        return self._bonding.new_digits()

    async def display_number(self, number: int, digits: int) -> None:
        """Show them."""
        self._bonding.show(number)

    async def get_number(self) -> int | None:
        """What the person types."""
        return await self._bonding.typed()
