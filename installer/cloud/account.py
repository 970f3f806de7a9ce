"""An account in the cloud: its devices, linking a device, and waiting for its first measurement."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, TypeVar

from installer.catalogue.model import Model
from installer.cloud import data_api
from installer.cloud.api_models import CloudDevice, parse_list
from installer.cloud.first_measurement import REQUEST_FIELDS, first_measurement
from installer.cloud.rate_limit import poll_backoff
from installer.cloud.response import Family
from installer.cloud.token_refresh import AccountSession
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.measurement import Measurement

USER_PATH = "/v2/user"
MAX_PAGES = 50
# The cloud's dates and its clock are rounded to seconds.
ROUNDING_SECONDS = 2.0
SLEEP_MAT_TYPE = "Sleep Monitor"
T = TypeVar("T")
_MAC_ADDRESS = re.compile(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")


class Account(AccountSession):
    """An account with stored tokens.

    Every call may raise CLOUD_UNREACHABLE, CLOUD_BUSY, CLOUD_FAILED, TOKEN_REJECTED, and the errors of the store.
    """

    async def devices(self, seconds: float = 60.0) -> list[CloudDevice]:
        """The devices on the account."""
        body = await self.call(USER_PATH, "getdevice", "reading the devices of the account", seconds=seconds)
        return parse_list(CloudDevice, body, "devices")

    async def link(self, mac: str) -> CloudDevice:
        """Put the device with this MAC address on the account; needs a partner contract.

        Raises LINK_REFUSED with `status`; with `no_contract: True` if watching the account may still work.
        """
        if not _MAC_ADDRESS.fullmatch(mac):
            raise InstallerError(
                ErrorCode.LINK_REFUSED,
                "The cloud links by MAC address, and this system does not show the address of the device.",
                "Watch the account instead (link mode “watch”).",
                no_contract=True,
                no_mac=True,
            )
        try:
            body = await self.call(
                USER_PATH, "link", "linking the device", {"mac_addresses": json.dumps([mac.lower()])}, seconds=30.0
            )
        except InstallerError as error:
            raise _link_error(error, mac) from None
        for device in parse_list(CloudDevice, body, "devices"):
            if device.mac.upper() in ("", mac.upper()):
                return device
        # The answer may omit the device; then the account has it.
        for device in await self.devices():
            if device.mac.upper() == mac.upper():
                return device
        raise InstallerError(
            ErrorCode.CLOUD_FAILED,
            "The cloud reports the device as linked, but does not say which one it is.",
            "Check the account in the vendor's app, then try again.",
        )

    async def unlink(self, mac: str) -> None:
        """Remove the device from the account; needs a partner contract. Raises LINK_REFUSED."""
        try:
            await self.call(USER_PATH, "unlink", "unlinking the device", {"mac_address": mac.lower()}, idempotent=False)
        except InstallerError as error:
            raise _link_error(error, mac) from None

    async def watch_for(
        self,
        model: Model,
        before: Collection[str],
        since: float,
        deadline: float,
        *,
        only_new: bool = False,
        mac: str = "",
        claimed: Callable[[], Collection[str]] | None = None,
        on_poll: Callable[[InstallerError | None], None] | None = None,
    ) -> CloudDevice:
        """Poll the account until a device of this model is new on it, or has reached the cloud since `since`.

        `before`: the ids of the devices on the account at the start. `since`: unix seconds of this computer.
        `deadline`: seconds from now. `only_new`: a device that was there before counts only if its first contact with
        the cloud was after `since`. `mac`: the address of the device; a device with another known address is ignored.
        `claimed`: the ids of devices that belong to other installations at the same time. `on_poll` is called after
        every poll that found nothing, with the error if the cloud did not answer. Raises LINK_TIMEOUT.
        """
        timeout_error = InstallerError(
            ErrorCode.LINK_TIMEOUT,
            f"No {model.name} appeared in account “{self.name}” within {deadline:g} s.",
            "Check that the device is online and not on somebody else's account; then try again.",
            account=self.name,
            model=model.id,
        )

        async def poll(seconds_left: float) -> CloudDevice | None:
            others = claimed() if claimed is not None else ()
            candidates = [
                d
                for d in await self.devices(seconds=seconds_left)
                if matches_model(model, d) and d.device_id not in others and not _addresses_differ(d.mac, mac)
            ]
            new = next((d for d in candidates if d.device_id not in before), None)
            # A device that is set up again was on the account before; it has reached the cloud since.
            contacts = ((d, d.first_session if only_new else d.last_session) for d in candidates)
            active = (d for d, date in contacts if date is not None and date > self._cloud_time_since(since))
            return new or next(active, None)

        return await self._poll(poll, deadline, timeout_error, on_poll)

    async def first_data(self, model: Model, device_id: str, since: float, deadline: float) -> Measurement:
        """Wait for the first measurement of this device that reached the cloud after `since`.

        `since` and `deadline` as in `watch_for`. Raises FIRST_DATA_TIMEOUT; CATALOGUE_INVALID for a model without a
        data service.
        """
        if model.cloud.data is None:
            raise InstallerError(
                ErrorCode.CATALOGUE_INVALID,
                f"The catalogue does not say where the cloud keeps the data of {model.name}.",
                "Add data under [model.cloud] to its entry.",
                model=model.id,
            )
        timeout_error = InstallerError(
            ErrorCode.FIRST_DATA_TIMEOUT,
            f"No measurement of the {model.name} reached the cloud within {deadline:g} s.",
            "Take a measurement close to the access point, then try again. The device stays linked.",
            model=model.id,
            device_id=device_id,
        )
        return await self._poll(
            lambda seconds_left: self._first_data(model, device_id, since, seconds_left), deadline, timeout_error
        )

    async def check_first_data(self, model: Model, device_id: str, since: float) -> Measurement | None:
        """Look once for the first measurement. None if there is none yet, or the model has no data service."""
        return None if model.cloud.data is None else await self._first_data(model, device_id, since, 60.0)

    async def _first_data(self, model: Model, device_id: str, since: float, seconds: float) -> Measurement | None:
        service = model.cloud.data
        assert service is not None
        path = data_api.ENDPOINTS[service].path
        # Computed each time: an answer of the cloud may show that one of the two clocks is wrong.
        start = self._cloud_time_since(since)
        form = {**REQUEST_FIELDS[service], "lastupdate": str(int(start))}
        for _ in range(MAX_PAGES):
            body = await self.call(path, service.value, "reading the data of the device", form, seconds=seconds)
            found = first_measurement(model, device_id, start, body)
            offset = body.get("offset")
            if found is not None or not body.get("more") or isinstance(offset, bool) or not isinstance(offset, int):
                return found
            if offset <= int(form.get("offset", "0")):
                return None
            form["offset"] = str(offset)
        return None

    async def _poll(
        self,
        poll: Callable[[float], Awaitable[T | None]],
        deadline: float,
        timeout_error: InstallerError,
        on_poll: Callable[[InstallerError | None], None] | None = None,
    ) -> T:
        """Call `poll` (with the seconds left) until it finds something. Raises `timeout_error` at the deadline.

        If the cloud is unreachable or busy, polling goes on. If it still is at the deadline, that error is raised.
        """
        end = asyncio.get_running_loop().time() + deadline
        cloud_error: InstallerError | None = None
        try:
            async with asyncio.timeout(deadline):
                for wait in poll_backoff(self._client.cloud).waits():
                    try:
                        found = await poll(end - asyncio.get_running_loop().time())
                    except InstallerError as error:
                        if error.code not in (ErrorCode.CLOUD_UNREACHABLE, ErrorCode.CLOUD_BUSY):
                            raise
                        cloud_error = error
                    else:
                        cloud_error = None
                        if found is not None:
                            return found
                    if on_poll is not None:
                        on_poll(cloud_error)
                    await asyncio.sleep(wait)
        except TimeoutError:
            pass
        raise (cloud_error or timeout_error) from None

    def _cloud_time_since(self, local_time: float) -> float:
        return max(0.0, self._client.cloud_time(local_time) - ROUNDING_SECONDS)


def matches_model(model: Model, device: CloudDevice) -> bool:
    """Whether a device of the account is of this model. A sleep mat may have two ids or names (§2.2)."""
    if model.cloud.type == SLEEP_MAT_TYPE and device.type == SLEEP_MAT_TYPE:
        return True
    if device.model_id is not None:
        return device.model_id in model.cloud.model_ids
    return bool(device.model) and device.model == model.name


def _addresses_differ(one: str, other: str) -> bool:
    """Whether both addresses are known and differ."""
    return bool(_MAC_ADDRESS.fullmatch(one) and _MAC_ADDRESS.fullmatch(other)) and one.upper() != other.upper()


def _link_error(error: InstallerError, mac: str) -> InstallerError:
    """LINK_REFUSED if the cloud refused; any other error unchanged."""
    data = {k: v for k, v in error.data.items() if k in ("status", "family")}
    match error.data.get("family"):
        case Family.UNAUTHORIZED.value | Family.NOT_IMPLEMENTED.value:
            # The status for a partner without a contract is not documented; these two families are refusals.
            return InstallerError(
                ErrorCode.LINK_REFUSED,
                f"This application may not link or unlink devices (status {data['status']}).",
                "That needs a partner contract. Let the vendor's app add the device, and watch the account instead "
                "(link mode “watch”).",
                no_contract=True,
                **data,
            )
        case Family.INVALID.value:
            why, todo = (
                "the cloud does not know it, or this partner may not link it",
                "Check the address of the device.",
            )
        case Family.BAD_STATE.value:
            why, todo = (
                "it may be on another account",
                "Remove it from the other account in the vendor's app, reset it, and try again.",
            )
        case _:
            return error
    return InstallerError(
        ErrorCode.LINK_REFUSED,
        f"The cloud refused device {mac.upper()}: {why} (status {data['status']}).",
        todo,
        **data,
    )
