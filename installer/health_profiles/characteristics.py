"""Bytes of the standard health characteristics to measurements. Pure functions, no input or output.

Sources: the SIG's GATT Specification Supplement for 0x2A9D, 0x2A9C, 0x2A35, 0x2A49, 0x2A1C, 0x2A37; the Physical
Activity Monitor Service 1.0 for 0x2B40. All numbers are little-endian.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from installer.catalogue.catalogue import Profile
from installer.health_profiles import weight_scale
from installer.health_profiles.characteristic_fields import CodecError, Fields, NoValue, float32, sfloat
from installer.measurement import Measurement, Quantity, Reading

__all__ = ["CHARACTERISTICS", "Characteristic", "CodecError", "NoValue", "Parts", "Told", "decode", "float32", "sfloat"]

_SMALLEST, _LARGEST = Decimal("1e-9"), Decimal("1e9")
_UNKNOWN_24 = 0xFFFFFF
_FIRST, _LAST = 0x01, 0x02

# Measurement Status of a blood-pressure monitor: mask, value, words, and the bit of its features that vouches for it.
_PRESSURE_STATUS = (
    (0x0001, 0x0001, "body movement", 0x0001),
    (0x0002, 0x0002, "cuff too loose", 0x0002),
    (0x0004, 0x0004, "irregular pulse", 0x0004),
    (0x0018, 0x0008, "pulse too high", 0x0008),
    (0x0018, 0x0010, "pulse too low", 0x0008),
    (0x0020, 0x0020, "wrong position", 0x0010),
)
# Temperature Type (0x2A1D).
_SITES = {
    1: "armpit",
    2: "body",
    3: "ear",
    4: "finger",
    5: "gastro-intestinal tract",
    6: "mouth",
    7: "rectum",
    8: "toe",
    9: "eardrum",
}
# Body Sensor Location (0x2A38).
_LOCATIONS = {1: "chest", 2: "wrist", 3: "finger", 4: "hand", 5: "ear lobe", 6: "foot"}


@dataclass(frozen=True)
class Characteristic:
    """Where a profile's measurements come from: service and characteristic (16-bit numbers)."""

    service: str
    uuid: str


CHARACTERISTICS = {
    Profile.WEIGHT: Characteristic("181d", "2a9d"),
    Profile.BLOOD_PRESSURE: Characteristic("1810", "2a35"),
    Profile.TEMPERATURE: Characteristic("1809", "2a1c"),
    Profile.HEART_RATE: Characteristic("180d", "2a37"),
    Profile.STEPS: Characteristic("183e", "2b40"),
    Profile.BODY_COMPOSITION: Characteristic("181b", "2a9c"),
}


def decode(profile: Profile, data: bytes) -> Measurement:
    """The measurement in one notification or indication. Raises CodecError; NoValue where there is none.

    Its times: `device_time` as the device's clock shows it, `taken` the same in this computer's time zone, as far as
    such a time can be. What comes in several parts is put together by `Parts`.
    """
    return _dated(_DECODERS[profile](Fields(data)))


def here(shown: datetime | None) -> datetime | None:
    """A time on a clock of this computer's time zone; None for one that the system cannot place."""
    try:
        return shown.astimezone() if shown is not None else None
    except (ValueError, OverflowError, OSError):
        return None


class Told(NamedTuple):
    """A measurement with its bytes; those of one that came in several messages stand one after the other.

    `piece`: what one message of several adds, with the time and the user of the first: to be kept, for the device may
    forget it. `whole`: to be handed on. A measurement of one message is both.
    """

    measurement: Measurement
    raw: bytes
    piece: bool = True
    whole: bool = True


class Parts:
    """Puts together the measurements of one profile that come in several messages, and decodes the others.

    `feed` with every message in order; `rest` when no more can come.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._held: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[Told]:
        """What this message tells and completes. Raises CodecError, after it has yielded what came before.

        NoValue where there is no measurement.
        """
        if self._profile is Profile.BODY_COMPOSITION:
            yield from self._composition(data)
        elif self._profile is Profile.STEPS:
            yield from self._steps(data)
        else:
            yield Told(decode(self._profile, data), data)

    def rest(self) -> Iterator[Told]:
        """What the first part alone says, where the other never came."""
        held, self._held = self._held, []
        if held and self._profile is Profile.BODY_COMPOSITION:
            yield Told(decode(self._profile, held[0]), held[0], piece=False)

    def _composition(self, data: bytes) -> Iterator[Told]:
        if self._held and weight_scale.continues(self._held[0], data):
            first = self._held.pop()
            more, joined = (_dated(measurement) for measurement in weight_scale.joined(first, data))
            if more.readings:
                yield Told(more, first + data, whole=False)
            yield Told(joined, first + data, piece=False)
            return
        yield from self.rest()
        measurement = decode(self._profile, data)
        if weight_scale.is_split(data):
            self._held = [data]
            yield Told(measurement, data, whole=False)
        else:
            yield Told(measurement, data)

    def _steps(self, data: bytes) -> Iterator[Told]:
        header = Fields(data).number(1)
        if header & _FIRST:
            self._held = []
        elif not self._held or (self._held[-1][0] >> 2) + 1 & 0x3F != header >> 2:
            self._held = []
            raise CodecError("a part of a summary is missing")
        self._held.append(data)
        if header & _LAST:
            parts, self._held = self._held, []
            whole = bytes((_FIRST | _LAST,)) + b"".join(part[1:] for part in parts)
            yield Told(decode(self._profile, whole), b"".join(parts))


def _dated(measurement: Measurement) -> Measurement:
    return measurement.model_copy(update={"taken": here(measurement.device_time)})


def _blood_pressure(fields: Fields) -> Measurement:
    flags = fields.number(1)
    unit = "kPa" if flags & 0x01 else "mmHg"
    systolic, diastolic, mean = (fields.sfloat() for _ in range(3))
    shown = fields.moment() if flags & 0x02 else None
    pulse = fields.sfloat() if flags & 0x04 else None
    user = fields.user() if flags & 0x08 else None
    status = fields.number(2) if flags & 0x10 else 0
    fields.end(flags & 0xE0)
    if systolic is None or diastolic is None:
        raise NoValue("the monitor reports that the measurement failed")
    return Measurement(
        readings=_readings(
            (Quantity.SYSTOLIC, systolic, unit),
            (Quantity.DIASTOLIC, diastolic, unit),
            (Quantity.PULSE, pulse, "1/min"),
            (Quantity.MEAN_PRESSURE, mean, unit),
        ),
        device_time=shown,
        user=user,
        status=tuple(words for mask, value, words, _ in _PRESSURE_STATUS if status & mask == value),
    )


def vouched(features: bytes) -> frozenset[str]:
    """The words of a blood-pressure status that its Blood Pressure Feature (0x2A49) vouches for. Raises CodecError."""
    known = Fields(features).number(2)
    return frozenset(words for _, _, words, feature in _PRESSURE_STATUS if known & feature)


def site(profile: Profile, data: bytes) -> str:
    """Where on the body: of a Temperature Type (0x2A1D) or a Body Sensor Location (0x2A38). Raises CodecError."""
    known = _LOCATIONS if profile is Profile.HEART_RATE else _SITES
    return known.get(Fields(data).number(1), "")


def _temperature(fields: Fields) -> Measurement:
    flags = fields.number(1)
    value = fields.float32()
    shown = fields.moment() if flags & 0x02 else None
    site = _SITES.get(fields.number(1), "") if flags & 0x04 else ""
    fields.end(flags & 0xF8)
    if value is None:
        raise NoValue("the thermometer reports that the measurement failed")
    unit = "°F" if flags & 0x01 else "°C"
    return Measurement(readings=_readings((Quantity.TEMPERATURE, value, unit)), device_time=shown, site=site)


def _heart_rate(fields: Fields) -> Measurement:
    flags = fields.number(1)
    value = fields.number(2 if flags & 0x01 else 1)
    energy = Decimal(fields.number(2)) if flags & 0x08 else None
    intervals: tuple[Decimal, ...] = ()
    if flags & 0x10:
        if fields.left % 2:
            raise CodecError("half an interval between heartbeats")
        intervals = tuple(Decimal(fields.number(2)) / 1024 for _ in range(fields.left // 2))
    fields.end(flags & 0xE0)
    if flags & 0x06 == 0x04 or value == 0:
        raise NoValue("the sensor has no contact to the skin")
    return Measurement(
        readings=_readings((Quantity.PULSE, Decimal(value), "1/min"), (Quantity.ENERGY, energy, "kJ")),
        intervals=intervals,
    )


def _steps(fields: Fields) -> Measurement:
    header, flags = fields.number(1), fields.number(1)
    if header & (_FIRST | _LAST) != _FIRST | _LAST:
        raise CodecError("a part of a summary alone says nothing")
    fields.number(2 + 2 + 4)  # session, sub-session, time since the session began
    sequence = fields.number(4)
    kinds = [fields.number(3) for bit in (0x01, 0x02, 0x04) if flags & bit]
    distance, worn = (fields.number(3) if flags & bit else _UNKNOWN_24 for bit in (0x08, 0x10))
    fields.end(flags & 0xE0)
    known = [count for count in kinds if count != _UNKNOWN_24]
    if not known:
        raise NoValue("the summary counts no steps")
    return Measurement(
        readings=_readings(
            (Quantity.STEPS, Decimal(sum(known)), "steps"),
            (Quantity.DISTANCE, None if distance == _UNKNOWN_24 else Decimal(distance), "m"),
            (Quantity.WORN, None if worn == _UNKNOWN_24 else Decimal(worn), "s"),
        ),
        sequence=sequence,
    )


def _readings(*found: tuple[Quantity, Decimal | None, str]) -> tuple[Reading, ...]:
    for _, value, _ in found:
        # Exponents of a FLOAT go to ±128; whoever shows or stores such a number would choke on its digits.
        if value and not _SMALLEST <= abs(value) < _LARGEST:
            raise CodecError("a number that no device measures")
    return tuple(Reading(quantity=q, value=v, unit=u) for q, v, u in found if v is not None)


_DECODERS: dict[Profile, Callable[[Fields], Measurement]] = {
    Profile.WEIGHT: weight_scale.weight,
    Profile.BLOOD_PRESSURE: _blood_pressure,
    Profile.TEMPERATURE: _temperature,
    Profile.HEART_RATE: _heart_rate,
    Profile.STEPS: _steps,
    Profile.BODY_COMPOSITION: weight_scale.composition,
}
