"""Display units of lab devices: selectable units, conversion factors, rounding, and the text on the display."""

from __future__ import annotations

from installer.lab.models import UNITS, LabModel, Unit

KILOGRAMS_PER_POUND = 0.45359237
MMHG_PER_KILOPASCAL = 1000 / 133.322387415


def selectable_units(kind: LabModel) -> tuple[Unit, ...]:
    """The units that the owner of such a device can choose from."""
    return tuple(unit for profile in kind.measures for unit in UNITS.get(profile, ()))


def round_as_displayed(values: dict[str, float], unit: Unit | None) -> None:
    """Round the values to a tenth of the display's unit, as the device measures them."""
    if unit == "lb":
        values["weight"] = round(values["weight"] / KILOGRAMS_PER_POUND, 1) * KILOGRAMS_PER_POUND
    if unit == "°F":
        values["temperature"] = (round(values["temperature"] * 9 / 5 + 32, 1) - 32) * 5 / 9
    if unit == "kPa":
        for name in ("systolic", "diastolic"):
            values[name] = round(values[name] / MMHG_PER_KILOPASCAL, 1) * MMHG_PER_KILOPASCAL


def display_text(values: dict[str, float], unit: Unit | None, user: int | None) -> str:
    """The text on the device's display."""
    parts = []
    if "weight" in values:
        weight = values["weight"]
        parts.append(f"{weight / KILOGRAMS_PER_POUND:.1f} lb" if unit == "lb" else f"{weight:.2f} kg")
    if "fat_ratio" in values:
        parts.append(f"{values['fat_ratio']:.1f} % fat")
    if "systolic" in values:
        factor, digits, name = (MMHG_PER_KILOPASCAL, 1, "kPa") if unit == "kPa" else (1, 0, "mmHg")
        parts.append(f"{values['systolic'] / factor:.{digits}f}/{values['diastolic'] / factor:.{digits}f} {name}")
    if "temperature" in values:
        celsius = values["temperature"]
        parts.append(f"{celsius * 9 / 5 + 32:.1f} °F" if unit == "°F" else f"{celsius:.1f} °C")
    if "steps" in values:
        parts.append(f"{values['steps']:.0f} steps")
    if "asleep" in values:
        parts.append(f"{values['asleep'] // 3600:.0f} h {values['asleep'] % 3600 // 60:.0f} min asleep")
    if "pulse" in values:
        parts.append(f"pulse {values['pulse']:.0f}")
    return ", ".join(parts) + (f" (user {user})" if user is not None else "")
