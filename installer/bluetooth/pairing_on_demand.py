"""The pairing of one connection: whether a failed request means that the device wants it, and who is asked.

The clocks of requests stand still meanwhile: a person who reads digits takes longer than a device.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDBusError, BleakGATTProtocolError

from installer.bluetooth.pairing import (
    PAIRING_REQUIRED_ERRORS,
    PairingDialog,
    PairingEnd,
    pairing_failed,
    pairing_needed,
)
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from installer.bluetooth.adapter import Adapter

# BlueZ's words for insufficient authentication, encryption or authorization. Other refusals have the same names.
_BLUEZ_WISHES = {
    ("org.bluez.Error.NotPermitted", "Not paired"),
    ("org.bluez.Error.NotAuthorized", "Operation Not Authorized"),
}


@dataclass(frozen=True)
class Wish:
    """A request that failed because the device wants to be paired. `error`: of the request, if it is not paired.

    `certain`: the device said so. Else the request was not answered, which BlueZ does when nobody answered for the
    pairing that it began by itself.
    """

    error: InstallerError
    certain: bool


class PairingOnDemand:
    """Pairs once for a connection. `dialog`: who answers; None: nobody, and nothing is paired. `done`: it has."""

    def __init__(self, adapter: Adapter, device: BLEDevice) -> None:
        self.dialog: PairingDialog | None = None
        self.done = False
        self._adapter = adapter
        self._device = device
        self._address = device.address.upper()
        self._name = printable(device.name or "", 32)
        self._turn = asyncio.Lock()
        self._limits: set[asyncio.Timeout] = set()

    async def wish(self, error: BaseException, failure: InstallerError) -> Wish | None:
        """Whether `error` of a request means that the device wants to be paired. `failure`: the same for a person."""
        if isinstance(error, BleakGATTProtocolError):
            return Wish(failure, True) if int(error.args[0]) in PAIRING_REQUIRED_ERRORS else None
        if isinstance(error, BleakDBusError):
            known = (error.dbus_error, error.args[1] if len(error.args) > 1 else "") in _BLUEZ_WISHES
            return Wish(failure, True) if known else None
        if not isinstance(error, TimeoutError) or not self._adapter.leaves_requests_unanswered:
            return None
        if self._turn.locked() or not await self._adapter.is_bonded(self._device):
            return Wish(failure, False)
        return None

    async def others_may_ask(self) -> bool:
        """Whether another program may be asking a person for the pairing that a request of ours began."""
        return await self._adapter.others_may_pair(self._device)

    async def pair(self, client: BleakClient, activity: str, *, anew: bool = False) -> None:
        """Pair, unless this connection has. The link may be down afterwards. `anew`: the system finds the device anew.

        Raises PAIRING_NEEDED, PAIRING_FAILED, what the dialog raises, and the adapter's errors.
        """
        async with self._turn:
            if self.done:
                return
            dialog = self.require_dialog(activity)
            with self.clocks_stopped():
                # A person can answer for one device at a time.
                async with self._adapter.pairing_turn:
                    self._adapter.pairing_dialog = dialog
                    try:
                        if anew:
                            await self._adapter.look_anew(self._device)
                        await self._adapter.pair(client, self._device)
                        self.done = True
                    finally:
                        self._adapter.pairing_dialog = None
                        dialog.pairing_ended(paired=self.done)

    def require_dialog(self, activity: str) -> PairingDialog:
        """Who answers. Raises PAIRING_NEEDED if nobody does."""
        if self.dialog is None:
            raise pairing_needed(self._address, self._name, activity)
        return self.dialog

    @contextmanager
    def explained(self, wish: Wish) -> Iterator[None]:
        """Add to the failure of a pairing what it was for, if that is not certain."""
        try:
            yield
        except InstallerError as error:
            if wish.certain or error.code not in (ErrorCode.PAIRING_NEEDED, ErrorCode.PAIRING_FAILED):
                raise
            what = f"{wish.error.what} It may want to be paired first. {error.what}"
            raise InstallerError(error.code, what, error.todo, **error.data) from None

    def too_weak(self) -> InstallerError:
        """PAIRING_FAILED: it is paired, and the device still wants more."""
        return pairing_failed(self._address, self._name, PairingEnd.TOO_WEAK)

    @contextmanager
    def stops(self, limit: asyncio.Timeout) -> Iterator[None]:
        """Let this limit stand still during a pairing."""
        self._limits.add(limit)
        try:
            yield
        finally:
            self._limits.discard(limit)

    @contextmanager
    def clocks_stopped(self) -> Iterator[None]:
        """While a person may be asked."""
        now = asyncio.get_running_loop().time()
        left = {limit: limit.when() for limit in self._limits}
        for limit in left:
            limit.reschedule(None)
        try:
            yield
        finally:
            passed = asyncio.get_running_loop().time() - now
            for limit, when in left.items():
                if when is not None and limit in self._limits:
                    limit.reschedule(when + passed)
