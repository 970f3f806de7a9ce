"""What can be stored: the kinds of values with their units, and other units turned into them: pure.

A kind is a word for what was measured; `installer.measurement.Quantity` and this table share their words. The
numbers are the cloud's meastypes (`withings-cloud.md` §4.1); where no public source tells the unit, it is empty.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from installer.measurement import Quantity

KILOGRAM, PERCENT, MERCURY, PER_MINUTE, CELSIUS = "kg", "%", "mmHg", "1/min", "°C"
SECOND, METRE, STEPS, KILOCALORIE = "s", "m", "steps", "kcal"
MILLISECOND, YEAR = "ms", "years"

# meastype: kind and canonical unit.
MEASURE_TYPES: dict[int, tuple[str, str]] = {
    1: (Quantity.WEIGHT.value, KILOGRAM),
    4: ("height", METRE),
    5: ("fat-free mass", KILOGRAM),
    6: (Quantity.FAT_RATIO.value, PERCENT),
    8: ("fat mass", KILOGRAM),
    9: (Quantity.DIASTOLIC.value, MERCURY),
    10: (Quantity.SYSTOLIC.value, MERCURY),
    11: (Quantity.PULSE.value, PER_MINUTE),
    12: ("ambient temperature", CELSIUS),
    54: ("oxygen saturation", PERCENT),
    71: (Quantity.TEMPERATURE.value, CELSIUS),
    73: ("skin temperature", CELSIUS),
    76: ("muscle mass", KILOGRAM),
    77: ("hydration", KILOGRAM),
    88: ("bone mass", KILOGRAM),
    91: ("pulse wave velocity", "m/s"),
    123: ("VO2 max", "mL/min/kg"),
    130: ("atrial fibrillation result", ""),
    135: ("QRS interval", MILLISECOND),
    136: ("PR interval", MILLISECOND),
    137: ("QT interval", MILLISECOND),
    138: ("corrected QT interval", MILLISECOND),
    139: ("atrial fibrillation result (optical)", ""),
    155: ("vascular age", YEAR),
    167: ("nerve health score", ""),
    168: ("extracellular water", KILOGRAM),
    169: ("intracellular water", KILOGRAM),
    170: ("visceral fat", ""),
    173: ("segmental fat-free mass", KILOGRAM),
    174: ("segmental fat mass", KILOGRAM),
    175: ("segmental muscle mass", KILOGRAM),
    196: ("electrodermal activity", ""),
    226: ("basal metabolic rate", KILOCALORIE),
    227: ("metabolic age", YEAR),
    229: ("electrochemical skin conductance", ""),
}

# data_fields of getsummary (§4.2): kind and unit.
NIGHT_FIELDS: dict[str, tuple[str, str]] = {
    "total_sleep_time": (Quantity.SLEEP.value, SECOND),
    "total_timeinbed": ("time in bed", SECOND),
    "lightsleepduration": ("light sleep", SECOND),
    "deepsleepduration": ("deep sleep", SECOND),
    "remsleepduration": ("REM sleep", SECOND),
    "wakeupduration": ("time awake in bed", SECOND),
    "wakeupcount": ("times awake", ""),
    "hr_average": ("pulse asleep", PER_MINUTE),
    "rr_average": ("breaths asleep", PER_MINUTE),
    "snoring": ("snoring", SECOND),
    "sleep_score": ("sleep score", ""),
}

# data_fields of getactivity (§4.3).
DAY_FIELDS: dict[str, tuple[str, str]] = {
    "steps": (Quantity.STEPS.value, STEPS),
    "distance": ("distance", METRE),
    "elevation": ("elevation", METRE),
    "soft": ("soft activity", SECOND),
    "moderate": ("moderate activity", SECOND),
    "intense": ("intense activity", SECOND),
    "active": ("time active", SECOND),
    "calories": ("active energy", KILOCALORIE),
    "totalcalories": ("total energy", KILOCALORIE),
    "hr_average": ("pulse over the day", PER_MINUTE),
    "hr_min": ("lowest pulse", PER_MINUTE),
    "hr_max": ("highest pulse", PER_MINUTE),
    "hr_zone_0": ("time in pulse zone 0", SECOND),
    "hr_zone_1": ("time in pulse zone 1", SECOND),
    "hr_zone_2": ("time in pulse zone 2", SECOND),
    "hr_zone_3": ("time in pulse zone 3", SECOND),
}

# Other units that devices use: canonical unit, factor, and what is taken off first. The pound and the inch are exact
# by definition; a pascal is 1/133.322387415 of a millimetre of mercury (conventional).
_FACTORS: dict[str, tuple[str, Decimal, Decimal]] = {
    "lb": (KILOGRAM, Decimal("0.45359237"), Decimal(0)),
    "st": (KILOGRAM, Decimal("6.35029318"), Decimal(0)),
    "g": (KILOGRAM, Decimal("0.001"), Decimal(0)),
    "in": (METRE, Decimal("0.0254"), Decimal(0)),
    "kPa": (MERCURY, Decimal(1000) / Decimal("133.322387415"), Decimal(0)),
    "kJ": (KILOCALORIE, 1 / Decimal("4.184"), Decimal(0)),
    "°F": (CELSIUS, Decimal(5) / Decimal(9), Decimal(32)),
}
_DIGITS = Decimal("1e-9")


def canonical(value: Decimal, unit: str) -> tuple[Decimal, str]:
    """The value in its canonical unit: exact where the factor is, else rounded to nine decimals; other units stay."""
    found = _FACTORS.get(unit)
    if found is None:
        return plain(value), unit
    to, factor, offset = found
    with localcontext() as context:
        context.prec = 40
        turned = (value - offset) * factor
        exponent = turned.as_tuple().exponent
        if isinstance(exponent, int) and exponent < -9:
            turned = turned.quantize(_DIGITS, ROUND_HALF_EVEN)
    return plain(turned), to


def plain(value: Decimal) -> Decimal:
    """The same number written in one way only: no needless zeros, no exponent, no minus zero."""
    if not value:
        return Decimal(0)
    text = str(value)
    if "E" not in text and (text[-1] != "0" or "." not in text):
        return value
    with localcontext() as context:
        context.prec = 60
        short = value.normalize()
        exponent = short.as_tuple().exponent
        return short.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else short
