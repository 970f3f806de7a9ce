"""One account: its devices, linking, and the first data of a device."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, TypeVar

from installer.catalogue.catalogue import Model
from installer.cloud import first_measurement
from installer.cloud.api_models import CloudDevice, entries
from installer.cloud.rate_limit import waits
from installer.cloud.response import Family
from installer.cloud.token_refresh import AccountSession
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.measurement import Measurement

USER = "/v2/user"
MAX_PAGES = 50
# Dates of the cloud are whole seconds, and so is the clock that it shows.
ROUNDING = 2.0
SLEEP_TYPE = "Sleep Monitor"
T = TypeVar("T")
_MAC = re.compile(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")


class Account(AccountSession):
    """An account whose tokens are stored.

    Every call may raise CLOUD_UNREACHABLE, CLOUD_BUSY, CLOUD_FAILED, TOKEN_REJECTED, and the errors of the store.
    """

    async def devices(self, seconds: float = 60.0) -> list[CloudDevice]:
        """The devices on the account."""
        body = await self.call(USER, "getdevice", "reading the devices of the account", seconds=seconds)
        return entries(CloudDevice, body, "devices")

    async def link(self, mac: str) -> CloudDevice:
        """Put the device with this MAC address on the account; needs a partner contract.

        Raises LINK_REFUSED with `status`, and with `no_contract: True` where watching the account may still work.
        """
        if not _MAC.fullmatch(mac):
            raise InstallerError(
                ErrorCode.LINK_REFUSED,
                "The cloud links by MAC address, and this system does not tell the one of the device.",
                "Watch the account instead (link mode “watch”).",
                no_contract=True,
                no_mac=True,
            )
        try:
            body = await self.call(
                USER, "link", "linking the device", {"mac_addresses": json.dumps([mac.lower()])}, seconds=30.0
            )
        except InstallerError as error:
            raise _refused(error, mac) from None
        for device in entries(CloudDevice, body, "devices"):
            if device.mac.upper() in ("", mac.upper()):
                return device
        # The answer may leave the device out; the account knows it.
        for device in await self.devices():
            if device.mac.upper() == mac.upper():
                return device
        raise InstallerError(
            ErrorCode.CLOUD_FAILED,
            "The cloud says that the device is linked, but does not say which one it is.",
            "Look into the account with the vendor's app, then try again.",
        )

    async def unlink(self, mac: str) -> None:
        """Take the device off the account; needs a partner contract. Raises LINK_REFUSED."""
        try:
            await self.call(USER, "unlink", "unlinking the device", {"mac_address": mac.lower()}, again=False)
        except InstallerError as error:
            raise _refused(error, mac) from None

    async def watch_for(
        self,
        model: Model,
        before: Collection[str],
        since: float,
        deadline: float,
        *,
        only_new: bool = False,
        mac: str = "",
        taken: Callable[[], Collection[str]] | None = None,
        looked: Callable[[InstallerError | None], None] | None = None,
    ) -> CloudDevice:
        """Wait until a device of this model is new on the account, or has reached the cloud since `since`.

        `before`: the ids of the devices that were there at the start; `since`: unix seconds of this computer;
        `deadline`: seconds from now. `only_new`: one that was there before counts only if it has reached the cloud
        for the first time since. `mac`: the address of the device: another one, whose address the cloud tells, is
        not taken for it. `taken`: the ids that belong to others, who watch at the same time. `looked` is told of every
        look that found nothing, and of the trouble if the cloud did not answer. Raises LINK_TIMEOUT.
        """
        late = InstallerError(
            ErrorCode.LINK_TIMEOUT,
            f"No {model.name} appeared in account “{self.name}” within {deadline:g} s.",
            "Check that the device is online, and that it is not on somebody else's account; then try again.",
            account=self.name,
            model=model.id,
        )

        async def look(left: float) -> CloudDevice | None:
            others = taken() if taken is not None else ()
            fitting = [
                d
                for d in await self.devices(seconds=left)
                if is_of(model, d) and d.device_id not in others and not _is_another(d.mac, mac)
            ]
            new = next((d for d in fitting if d.device_id not in before), None)
            # A device that was there before is set up again: then it has spoken to the cloud meanwhile.
            dates = ((d, d.first_session if only_new else d.last_session) for d in fitting)
            moved = (d for d, date in dates if date is not None and date > self._since(since))
            return new or next(moved, None)

        return await self._watch(look, deadline, late, looked)

    async def first_data(self, model: Model, device_id: str, since: float, deadline: float) -> Measurement:
        """Wait for the first measurement of this device that came in since `since`.

        `since` and `deadline` as in `watch_for`. Raises FIRST_DATA_TIMEOUT; CATALOGUE_INVALID for a model whose
        data the cloud does not have.
        """
        if model.cloud.data is None:
            raise InstallerError(
                ErrorCode.CATALOGUE_INVALID,
                f"The catalogue does not say where the cloud keeps the data of {model.name}.",
                "Give its entry [model.cloud] data.",
                model=model.id,
            )
        late = InstallerError(
            ErrorCode.FIRST_DATA_TIMEOUT,
            f"No measurement of the {model.name} reached the cloud within {deadline:g} s.",
            "Take a measurement close to the access point, then try again. The device stays linked.",
            model=model.id,
            device_id=device_id,
        )
        return await self._watch(lambda left: self._first_data(model, device_id, since, left), deadline, late)

    async def look_for_data(self, model: Model, device_id: str, since: float) -> Measurement | None:
        """One look for what `first_data` waits for; None if it is not there, or never will be."""
        return None if model.cloud.data is None else await self._first_data(model, device_id, since, 60.0)

    async def _first_data(self, model: Model, device_id: str, since: float, left: float) -> Measurement | None:
        assert model.cloud.data is not None
        service, action, fields = first_measurement.CALLS[model.cloud.data]
        # Asked anew each time: the first answer of the cloud may show that one of the two clocks is wrong.
        start = self._since(since)
        form = {**fields, "lastupdate": str(int(start))}
        for _ in range(MAX_PAGES):
            body = await self.call(service, action, "reading the data of the device", form, seconds=left)
            found = first_measurement.first(model, device_id, start, body)
            offset = body.get("offset")
            if found is not None or not body.get("more") or isinstance(offset, bool) or not isinstance(offset, int):
                return found
            if offset <= int(form.get("offset", "0")):
                return None
            form["offset"] = str(offset)
        return None

    async def _watch(
        self,
        look: Callable[[float], Awaitable[T | None]],
        deadline: float,
        late: InstallerError,
        looked: Callable[[InstallerError | None], None] | None = None,
    ) -> T:
        """What `look` (given the seconds that are left) finds, however often it takes. Raises `late`.

        A cloud that is away or busy for a while is waited for; if it still is at the deadline, that is the error.
        """
        end = asyncio.get_running_loop().time() + deadline
        trouble: InstallerError | None = None
        try:
            async with asyncio.timeout(deadline):
                for wait in waits(*self._client.cloud.poll_seconds):
                    try:
                        found = await look(end - asyncio.get_running_loop().time())
                    except InstallerError as error:
                        if error.code not in (ErrorCode.CLOUD_UNREACHABLE, ErrorCode.CLOUD_BUSY):
                            raise
                        trouble = error
                    else:
                        trouble = None
                        if found is not None:
                            return found
                    if looked is not None:
                        looked(trouble)
                    await asyncio.sleep(wait)
        except TimeoutError:
            pass
        raise (trouble or late) from None

    def _since(self, here: float) -> float:
        return max(0.0, self._client.cloud_time(here) - ROUNDING)


def is_of(model: Model, device: CloudDevice) -> bool:
    """Whether a device of the account is of this model (§2.2: one sleep mat may show under two ids or names)."""
    if model.cloud.type == SLEEP_TYPE and device.type == SLEEP_TYPE:
        return True
    if device.model_id is not None:
        return device.model_id in model.cloud.model_ids
    return bool(device.model) and device.model == model.name


def _is_another(told: str, mac: str) -> bool:
    """Whether both addresses are known and differ."""
    return bool(_MAC.fullmatch(told) and _MAC.fullmatch(mac)) and told.upper() != mac.upper()


def _refused(error: InstallerError, mac: str) -> InstallerError:
    """LINK_REFUSED for the cloud's refusals; any other error as it is."""
    data = {k: v for k, v in error.data.items() if k in ("status", "family")}
    match error.data.get("family"):
        case Family.UNAUTHORIZED.value | Family.NOT_IMPLEMENTED.value:
            # Which status the cloud gives a partner without contract is not documented; these are its refusals.
            return InstallerError(
                ErrorCode.LINK_REFUSED,
                f"This application may not link or unlink devices (status {data['status']}).",
                "That takes a partner contract. Let the vendor's app add the device, and watch the account instead "
                "(link mode “watch”).",
                no_contract=True,
                **data,
            )
        case Family.INVALID.value:
            why, todo = "the cloud does not know it, or not for this partner", "Check the address of the device."
        case Family.BAD_STATE.value:
            why, todo = (
                "it may be on another account",
                "Take it off the other account in the vendor's app, reset it, and try again.",
            )
        case _:
            return error
    return InstallerError(
        ErrorCode.LINK_REFUSED,
        f"The cloud refused device {mac.upper()}: {why} (status {data['status']}).",
        todo,
        **data,
    )
