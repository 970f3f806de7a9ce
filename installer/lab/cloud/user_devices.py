"""`/v2/user`: the devices of an account, link and unlink, and the user's profile (`withings-cloud.md` §2)."""

from __future__ import annotations

import re
from typing import Any

from installer.lab.cloud.accounts import Device
from installer.lab.cloud.requests_and_responses import (
    BAD_STATE,
    NOT_IMPLEMENTED,
    ApiError,
    Call,
    Handler,
    invalid_params,
    json_list,
)

MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")
MAX_LINKED = 100


async def get_device(call: Call) -> dict[str, Any]:
    """The devices on the account. `mac_address` and `fw` are for partners with a contract only."""
    account = call.account("user.info")
    devices = []
    for device in call.store.devices_of(account):
        entry = _entry(call, device, account.user.timezone)
        entry["hash_deviceid"] = device.device_id
        entry["first_session_date"] = None if call.store.scenario.null_session_dates else device.first_session
        if call.store.mode == "contract":
            entry["mac_address"] = device.mac.lower()
            entry["fw"] = "1"
        devices.append(entry)
    return {"devices": devices}


async def link(call: Call) -> dict[str, Any]:
    """Link devices to the account by MAC address: all of them, or none."""
    account = call.account("user.info")
    call.require_contract()
    macs = json_list(call.required("mac_addresses"), "mac_addresses")
    if not macs or len(macs) > MAX_LINKED:
        raise invalid_params("mac_addresses")
    devices = list({d.mac: d for d in (_device(call, mac, "mac_addresses") for mac in macs)}.values())
    if any(d.owner not in (None, account.userid) for d in devices):
        raise ApiError(BAD_STATE, "Bad state: a device is on another account")
    for device in devices:
        call.store.link(device, account)
    return {
        "devices": [
            {
                **_entry(call, device, account.user.timezone),
                "mac_address": device.mac.lower(),
                "serial_number": device.serial_number,
            }
            for device in devices
        ]
    }


async def unlink(call: Call) -> dict[str, Any]:
    """Remove a device from the account."""
    account = call.account("user.info")
    call.require_contract()
    device = _device(call, call.required("mac_address"), "mac_address")
    if device.owner != account.userid:
        raise invalid_params("mac_address")
    call.store.unlink(device)
    return {}


async def activate(call: Call) -> dict[str, Any]:
    """For cellular devices in bulk; the lab has none."""
    call.require_contract()
    raise ApiError(NOT_IMPLEMENTED, "Not implemented")


async def get(call: Call) -> dict[str, Any]:
    """The profile of a user (signed), by `email` or `userid`."""
    call.check_signature()
    call.require_contract()
    email, userid = call.params.get("email"), call.params.get("userid")
    account = call.store.account_by_email(email) if email else call.store.account(userid or "")
    if account is None:
        raise invalid_params("no such user")
    user = account.user
    return {"user": {"userid": account.userid, "email": user.email, "firstname": user.name, "timezone": user.timezone}}


async def get_goals(call: Call) -> dict[str, Any]:
    """The user's goals: always an empty list, in the form of the real API."""
    call.account("user.info")
    call.require_contract()
    return {"goals": []}


def _device(call: Call, mac: Any, name: str) -> Device:
    device = call.store.device(mac) if isinstance(mac, str) and MAC.fullmatch(mac) else None
    if device is None:
        raise invalid_params(name)
    return device


def _entry(call: Call, device: Device, timezone: str) -> dict[str, Any]:
    scenario = call.store.scenario
    return {
        "type": device.type,
        "model": "" if scenario.blank_model else device.model,
        "model_id": device.model_id,
        "battery": scenario.battery,
        "deviceid": device.device_id,
        "timezone": timezone,
        "last_session_date": None if scenario.null_session_dates else device.last_session,
    }


ACTIONS: dict[str, Handler] = {
    "getdevice": get_device,
    "link": link,
    "unlink": unlink,
    "activate": activate,
    "get": get,
    "getgoals": get_goals,
}
