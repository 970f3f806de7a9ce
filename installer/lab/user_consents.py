"""The users of a lab device, who give their consent before it sends their measurements: User Data (0x181C).

Layouts: User Data Service 1.1, User Control Point (0x2A9F), User Index (0x2A9A). No code is shared with the installer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bumble import att
from bumble.core import UUID, ProtocolError
from bumble.gatt import Characteristic, Service

from installer.lab.scenario_parts import Reading

if TYPE_CHECKING:
    from installer.lab.device import LabDevice

USER_DATA, CONTROL_POINT, USER_INDEX = 0x181C, 0x2A9F, 0x2A9A
CONSENT, RESPONSE = 0x02, 0x20
SUCCESS, NOT_SUPPORTED, INVALID_PARAMETER, NOT_AUTHORIZED = 0x01, 0x02, 0x03, 0x05
UNKNOWN_USER = 0xFF
Properties = Characteristic.Properties


class UserConsents:
    """`user`: who has given consent over this connection. `on_consent` is called when somebody has."""

    def __init__(self, device: LabDevice, habits: Reading, on_consent: Callable[[], None]) -> None:
        self._device = device
        self._codes = habits.consents
        self._on_consent = on_consent
        self._task: asyncio.Task[None] | None = None
        self.user: int | None = None
        self._point: Characteristic[bytes] = Characteristic(
            UUID.from_16_bits(CONTROL_POINT),
            Properties.WRITE | Properties.INDICATE,
            att.Attribute.WRITEABLE,
            att.AttributeValue(write=self._written),
        )

    @property
    def are_needed(self) -> bool:
        """Whether nothing is sent without a consent."""
        return bool(self._codes)

    def allows(self, user: int | None) -> bool:
        """Whether a measurement of this user may be sent now."""
        return not self._codes or (self.user is not None and user in (None, self.user))

    def link_ended(self) -> None:
        """A consent is for one connection."""
        self.user = None
        if self._task is not None:
            self._task.cancel()

    def service(self) -> Service:
        """The User Data service."""
        index: Characteristic[bytes] = Characteristic(
            UUID.from_16_bits(USER_INDEX),
            Properties.READ,
            att.Attribute.READABLE,
            att.AttributeValue(read=lambda _connection: bytes((UNKNOWN_USER if self.user is None else self.user,))),
        )
        return Service(UUID.from_16_bits(USER_DATA), [self._point, index])

    def _written(self, _connection: Any, data: bytes) -> None:
        self._task = asyncio.create_task(self._answer(data[0] if data else 0, self._judge(bytes(data))))

    def _judge(self, data: bytes) -> int:
        if data[:1] != bytes((CONSENT,)):
            return NOT_SUPPORTED
        if len(data) != 4 or data[1] not in self._codes:
            return INVALID_PARAMETER
        if int.from_bytes(data[2:], "little") != self._codes[data[1]]:
            return NOT_AUTHORIZED
        self.user = data[1]
        return SUCCESS

    async def _answer(self, operation: int, value: int) -> None:
        connection = self._device.connection
        if connection is None:
            return
        try:
            await self._device.server.indicate_subscriber(connection, self._point, bytes((RESPONSE, operation, value)))
        except (TimeoutError, ProtocolError):
            return
        if value == SUCCESS:
            self._device.log(f"user {self.user} has given consent")
            self._on_consent()
