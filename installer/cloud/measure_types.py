"""The cloud's measure types (`meastype`) and data fields: their kinds and units (`withings-cloud.md` §4)."""

from __future__ import annotations

from installer.measurement import (
    CELSIUS,
    KILOCALORIE,
    KILOGRAM,
    MERCURY,
    METRE,
    MILLISECOND,
    PER_MINUTE,
    PERCENT,
    SECOND,
    STEPS,
    YEAR,
    Quantity,
)

# Groups of this category hold measurements; those of category 2 hold the goals of the person.
REAL_CATEGORY = 1
# Groups with these values of `attrib` were typed by a person.
TYPED_ATTRIBS = (2, 4)

# meastype: kind and unit.
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


# The types that a first measurement shows, in this order. Of two types with the same quantity the first one counts.
READING_TYPES: dict[int, Quantity] = {
    1: Quantity.WEIGHT,
    6: Quantity.FAT_RATIO,
    10: Quantity.SYSTOLIC,
    9: Quantity.DIASTOLIC,
    11: Quantity.PULSE,
    71: Quantity.TEMPERATURE,
    12: Quantity.TEMPERATURE,
}
# A blood pressure needs both values.
REQUIRED_TOGETHER: dict[int, frozenset[int]] = {9: frozenset({9, 10}), 10: frozenset({9, 10})}


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


# data_fields of getactivity (§4.3): kind and unit.
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
