"""The notifications that a driver has subscribed to on one connection."""

from __future__ import annotations

from collections.abc import Callable

from installer.bluetooth.connection import Connection
from installer.errors import InstallerError


class Subscriptions:
    """Subscribes to each characteristic once. `timeout`: seconds for one request."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self._characteristics: list[str] = []

    async def add(self, characteristic: str, callback: Callable[[bytes], None]) -> None:
        """Call `callback` with each notification. Raises DEVICE_REFUSED, DEVICE_MISBEHAVED, CONNECTION_LOST."""
        if characteristic not in self._characteristics:
            await self._connection.subscribe(characteristic, callback, timeout=self._timeout)
            self._characteristics.append(characteristic)

    async def close(self) -> None:
        """Unsubscribe from all. Never raises for a connection that is gone."""
        try:
            while self._characteristics:
                await self._connection.unsubscribe(self._characteristics.pop(), timeout=self._timeout)
        except InstallerError:
            self._characteristics.clear()
