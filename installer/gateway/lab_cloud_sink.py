"""The lab's cloud as a sink: uploads as the vendor's own app would. The real cloud's public API takes no uploads."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from installer.errors import ErrorCode, InstallerError
from installer.gateway.devices import GatewayDevice
from installer.gateway.outbox import Item
from installer.gateway.sinks import LAB_CLOUD, RefusedItem, SinkFailure, measurement_of, received_time
from installer.text import printable

if TYPE_CHECKING:
    from installer.cloud.account import Account

UPLOAD_SERVICE, UPLOAD_ACTION = "/lab/gateway", "upload"
UPLOAD_SECONDS = 20.0
# These concern one account; uploads of other accounts can succeed.
SINGLE_ACCOUNT_ERRORS = (ErrorCode.ACCOUNT_UNKNOWN, ErrorCode.TOKEN_REJECTED, ErrorCode.SECRET_UNAVAILABLE)


class LabCloudSink:
    """The lab's cloud, with the tokens of the stored accounts."""

    name = LAB_CLOUD
    label = "the lab's cloud"
    batch = 25  # so that 25 long measurements fit into a request of 64 KiB

    def __init__(self, open_account: Callable[[str], Awaitable[Account]]) -> None:
        self._open = open_account
        self._accounts: dict[str, Account] = {}

    def accepts(self, device: GatewayDevice) -> bool:
        """Devices that are linked to an account."""
        return bool(device.account)

    async def deliver(self, items: Sequence[Item]) -> Sequence[RefusedItem]:
        """Upload them with their keys, so that a repeated one is stored once."""
        refused: list[RefusedItem] = []
        for name, group in groupby(items, key=lambda item: item.account):
            try:
                refused += await self._upload(name, list(group))
            except InstallerError as error:
                asked = error.data.get("wait_seconds")
                raise SinkFailure(
                    error,
                    all_devices=error.code not in SINGLE_ACCOUNT_ERRORS,
                    retry_after=float(asked) if isinstance(asked, (int, float)) else None,
                ) from None
        return refused

    async def close(self) -> None:
        """Forget the accounts; their connections belong to the caller that opened them."""
        self._accounts.clear()

    async def _upload(self, name: str, items: list[Item]) -> list[RefusedItem]:
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = await self._open(name)
        sent = json.dumps([_entry(item) for item in items], ensure_ascii=False)
        try:
            body = await account.call(
                UPLOAD_SERVICE, UPLOAD_ACTION, "delivering measurements", {"measurements": sent}, seconds=UPLOAD_SECONDS
            )
        except InstallerError:
            # Another program may have changed the tokens; the next try reads them again.
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
    taken = measurement.taken or received_time(item)
    return {"key": item.key, "mac": item.device, "taken": taken.timestamp(), "readings": readings}


def _outcome(items: list[Item], body: dict[str, Any]) -> list[RefusedItem]:
    """The refused measurements. Raises CLOUD_FAILED unless the cloud answered for every key."""
    accepted = {key for key in body.get("accepted", ()) if isinstance(key, str)}
    reasons = {r["key"]: str(r.get("why", "")) for r in body.get("refused", ()) if isinstance(r, dict) and "key" in r}
    if any(item.key not in accepted and item.key not in reasons for item in items):
        raise InstallerError(
            ErrorCode.CLOUD_FAILED, "The cloud did not answer for every measurement.", "The gateway tries again."
        )
    return [RefusedItem(item, printable(reasons[item.key], 200)) for item in items if item.key not in accepted]
