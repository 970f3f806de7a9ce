"""Delivers to the lab's cloud, as the vendor's own app would; the real cloud's public API takes no uploads."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from installer.errors import ErrorCode, InstallerError
from installer.gateway.devices import LAB_CLOUD, GatewayDevice
from installer.gateway.outbox import Item
from installer.gateway.sinks import Refused, SinkFailure, measurement_of, received
from installer.text import printable

if TYPE_CHECKING:
    from installer.cloud.account import Account

SERVICE, ACTION = "/lab/gateway", "upload"
SECONDS = 20.0
# What one account's sign-in, or one device's link, is about: others fare better.
OWN = (ErrorCode.ACCOUNT_UNKNOWN, ErrorCode.TOKEN_REJECTED, ErrorCode.SECRET_UNAVAILABLE)


class LabCloud:
    """The lab's cloud; the accounts' tokens are those of the installation."""

    name = LAB_CLOUD
    label = "the lab's cloud"
    batch = 25  # so that even long ones fit into a request of 64 KiB

    def __init__(self, open_account: Callable[[str], Awaitable[Account]]) -> None:
        self._open = open_account
        self._accounts: dict[str, Account] = {}

    def takes(self, target: GatewayDevice) -> bool:
        """Devices that are linked to an account."""
        return bool(target.account)

    async def deliver(self, items: Sequence[Item]) -> Sequence[Refused]:
        """Send them with their keys, so that one that is sent twice is there once."""
        refused: list[Refused] = []
        for name, those in groupby(items, key=lambda item: item.account):
            try:
                refused += await self._upload(name, list(those))
            except InstallerError as error:
                asked = error.data.get("wait_seconds")
                raise SinkFailure(
                    error,
                    whole=error.code not in OWN,
                    retry_after=float(asked) if isinstance(asked, (int, float)) else None,
                ) from None
        return refused

    async def close(self) -> None:
        """The accounts' connection belongs to whoever opened it."""
        self._accounts.clear()

    async def _upload(self, name: str, items: list[Item]) -> list[Refused]:
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = await self._open(name)
        sent = json.dumps([_entry(item) for item in items], ensure_ascii=False)
        try:
            body = await account.call(
                SERVICE, ACTION, "delivering measurements", {"measurements": sent}, seconds=SECONDS
            )
        except InstallerError:
            # Its tokens may have been changed by another program; the next try reads them anew.
            del self._accounts[name]
            raise
        return _outcome(items, body)


def _entry(item: Item) -> dict[str, Any]:
    from installer.measurements import units

    measurement = measurement_of(item)
    readings = []
    for reading in measurement.readings:
        value, unit = units.canonical(reading.value, reading.unit)
        readings.append({"quantity": reading.quantity.value, "value": f"{value:f}", "unit": unit})
    taken = measurement.taken or received(item)
    return {"key": item.key, "mac": item.device, "taken": taken.timestamp(), "readings": readings}


def _outcome(items: list[Item], body: dict[str, Any]) -> list[Refused]:
    """What was refused. Raises CLOUD_FAILED unless every key was answered."""
    accepted = {key for key in body.get("accepted", ()) if isinstance(key, str)}
    why = {r["key"]: str(r.get("why", "")) for r in body.get("refused", ()) if isinstance(r, dict) and "key" in r}
    if any(item.key not in accepted and item.key not in why for item in items):
        raise InstallerError(
            ErrorCode.CLOUD_FAILED, "The cloud did not answer for every measurement.", "It is tried again."
        )
    return [Refused(item, printable(why[item.key], 200)) for item in items if item.key not in accepted]
