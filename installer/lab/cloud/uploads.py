"""What a gateway delivers for devices that have no Wi-Fi, as the vendor's own app on a phone does.

Not part of the public API, which takes no uploads: hence under `/lab/`. The envelope is that of the services. One
measurement has one key, and comes to the account once however often it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from installer.lab.cloud.requests_and_answers import Call, Handler, invalid, json_list
from installer.lab.cloud.store import CloudStore, Sample
from installer.lab.cloud.user_data import Account

PATH = "/lab/gateway"
MOST = 100
EARLIEST, LATEST = 1_000_000_000, 4_000_000_000
# quantity and unit: meastype, and the power of ten of the whole number in which the cloud keeps it (§4.1).
MEASURES: dict[tuple[str, str], tuple[int, int]] = {
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
# What a day's activity is made of (§4.3).
DAY = {("steps", "steps"): "steps", ("distance", "m"): "distance"}


class _Unfit(Exception):
    """Why one measurement cannot be taken."""


@dataclass(frozen=True)
class _Upload:
    key: str
    mac: str
    taken: float
    values: Mapping[tuple[str, str], Decimal]


async def upload(call: Call) -> dict[str, Any]:
    """`measurements`: a JSON list of `{"key", "mac", "taken", "readings": [{"quantity", "value", "unit"}]}`.

    Answers `accepted`, keys that are in the account now (`known`: those among them that were before), and `refused`
    with the reasons.
    """
    account = call.account()
    given = json_list(call.need("measurements"), "measurements")
    if len(given) > MOST:
        raise invalid(f"at most {MOST} measurements at once")
    accepted, known, refused = [], [], []
    for entry in given:
        key = entry.get("key") if isinstance(entry, dict) else None
        if not isinstance(key, str) or not 16 <= len(key) <= 128:
            raise invalid("each measurement needs a key of 16 to 128 characters")
        if key in call.store.uploaded:
            known.append(key)
            accepted.append(key)
            continue
        try:
            _take(call.store, account, _read(key, entry))
        except _Unfit as error:
            refused.append({"key": key, "why": str(error)})
            continue
        call.store.uploaded.add(key)
        accepted.append(key)
    return {"accepted": accepted, "known": known, "refused": refused}


ACTIONS: dict[str, Handler] = {"upload": upload}


def _read(key: str, entry: dict[str, Any]) -> _Upload:
    mac, taken, readings = entry.get("mac"), entry.get("taken"), entry.get("readings")
    if not isinstance(mac, str) or not isinstance(readings, list):
        raise _Unfit("mac or readings are missing")
    if not isinstance(taken, (int, float)) or not EARLIEST <= taken <= LATEST:
        raise _Unfit("taken is no time")
    values = {}
    for reading in readings:
        try:
            number = Decimal(str(reading["value"]))
            values[str(reading["quantity"]), str(reading["unit"])] = number
        except (KeyError, TypeError, InvalidOperation):
            raise _Unfit("a reading is not quantity, value and unit") from None
        if not number.is_finite() or abs(number) > 10**9:
            raise _Unfit("a value is no number")
    return _Upload(key, mac, float(taken), values)


def _take(store: CloudStore, account: Account, sent: _Upload) -> None:
    device = store.device(sent.mac)
    if device is None or device.owner != account.userid:
        raise _Unfit("the device is not on this account")
    day = {DAY[what]: int(value) for what, value in sent.values.items() if what in DAY}
    measures = [
        {"type": kind, "value": round(sent.values[what].scaleb(-power)), "unit": power}
        for what, (kind, power) in MEASURES.items()
        if what in sent.values
    ]
    if not day and not measures:
        raise _Unfit("nothing that the cloud knows was measured")
    if day:
        store.measured(sent.mac, Sample(sent.taken, "getactivity", {"date": account.day(sent.taken), **day}))
    if measures:
        store.measured(sent.mac, Sample(sent.taken, "getmeas", {"measures": measures}))
