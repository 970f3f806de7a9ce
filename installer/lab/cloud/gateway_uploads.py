"""Uploads by a gateway for devices without Wi-Fi, as the vendor's app on a phone does.

The public API takes no uploads, so the path is under `/lab/`. The envelope is that of the services. Each measurement
has a key and is stored once, however often it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from installer.lab.cloud.accounts import Account
from installer.lab.cloud.requests_and_responses import Call, Handler, invalid_params, json_list
from installer.lab.cloud.store import CloudStore, Sample

PATH = "/lab/gateway"
MAX_MEASUREMENTS = 100
EARLIEST, LATEST = 1_000_000_000, 4_000_000_000
# Quantity and unit: meastype, and the power of ten of the integer that the cloud stores (§4.1).
MEASURE_TYPES: dict[tuple[str, str], tuple[int, int]] = {
    ("weight", "kg"): (1, -3),
    ("fat-free mass", "kg"): (5, -3),
    ("fat ratio", "%"): (6, -1),
    ("diastolic pressure", "mmHg"): (9, 0),
    ("systolic pressure", "mmHg"): (10, 0),
    ("pulse", "1/min"): (11, 0),
    ("temperature", "°C"): (71, -2),
    ("muscle mass", "kg"): (76, -3),
    ("hydration", "kg"): (77, -3),
}
# Quantity and unit: field of a day's activity (§4.3).
ACTIVITY_FIELDS = {("steps", "steps"): "steps", ("distance", "m"): "distance"}


class _Rejected(Exception):
    """Why one measurement is rejected."""


@dataclass(frozen=True)
class _Upload:
    key: str
    mac: str
    taken: float
    values: Mapping[tuple[str, str], Decimal]


async def upload(call: Call) -> dict[str, Any]:
    """`measurements`: a JSON list of `{"key", "mac", "taken", "readings": [{"quantity", "value", "unit"}]}`.

    Returns `accepted`: keys that are in the account now (`known`: those that were there before), and `refused` with
    the reasons.
    """
    account = call.account()
    entries = json_list(call.required("measurements"), "measurements")
    if len(entries) > MAX_MEASUREMENTS:
        raise invalid_params(f"at most {MAX_MEASUREMENTS} measurements at once")
    accepted, known, refused = [], [], []
    for entry in entries:
        key = entry.get("key") if isinstance(entry, dict) else None
        if not isinstance(key, str) or not 16 <= len(key) <= 128:
            raise invalid_params("each measurement needs a key of 16 to 128 characters")
        if key in call.store.uploaded_keys:
            known.append(key)
            accepted.append(key)
            continue
        try:
            _store(call.store, account, _read(key, entry))
        except _Rejected as error:
            refused.append({"key": key, "why": str(error)})
            continue
        call.store.uploaded_keys.add(key)
        accepted.append(key)
    return {"accepted": accepted, "known": known, "refused": refused}


ACTIONS: dict[str, Handler] = {"upload": upload}


def _read(key: str, entry: dict[str, Any]) -> _Upload:
    mac, taken, readings = entry.get("mac"), entry.get("taken"), entry.get("readings")
    if not isinstance(mac, str) or not isinstance(readings, list):
        raise _Rejected("mac or readings are missing")
    if not isinstance(taken, (int, float)) or not EARLIEST <= taken <= LATEST:
        raise _Rejected("taken is not a valid time")
    values = {}
    for reading in readings:
        try:
            number = Decimal(str(reading["value"]))
            values[str(reading["quantity"]), str(reading["unit"])] = number
        except (KeyError, TypeError, InvalidOperation):
            raise _Rejected("a reading is not quantity, value and unit") from None
        if not number.is_finite() or abs(number) > 10**9:
            raise _Rejected("a value is not a number")
    return _Upload(key, mac, float(taken), values)


def _store(store: CloudStore, account: Account, sent: _Upload) -> None:
    device = store.device(sent.mac)
    if device is None or device.owner != account.userid:
        raise _Rejected("the device is not on this account")
    day = {ACTIVITY_FIELDS[what]: int(value) for what, value in sent.values.items() if what in ACTIVITY_FIELDS}
    measures = [
        {"type": kind, "value": round(sent.values[what].scaleb(-power)), "unit": power}
        for what, (kind, power) in MEASURE_TYPES.items()
        if what in sent.values
    ]
    if not day and not measures:
        raise _Rejected("no quantity that the cloud knows")
    if day:
        store.store_sample(sent.mac, Sample(sent.taken, "getactivity", {**day}))
    if measures:
        store.store_sample(sent.mac, Sample(sent.taken, "getmeas", {"measures": measures}))
