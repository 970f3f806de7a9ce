"""Converts values to the canonical units of the store. Pure functions."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from installer.measurement import CELSIUS, KILOCALORIE, KILOGRAM, MERCURY, METRE

# Other units that devices use: canonical unit, factor, and what is subtracted first. The pound and the inch are exact
# by definition; a conventional millimetre of mercury is 133.322387415 Pa.
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
    """The value in its canonical unit: exact if the factor is, else rounded to nine decimals. Other units stay."""
    found = _FACTORS.get(unit)
    if found is None:
        return plain_decimal(value), unit
    to, factor, offset = found
    with localcontext() as context:
        context.prec = 40
        converted = (value - offset) * factor
        exponent = converted.as_tuple().exponent
        if isinstance(exponent, int) and exponent < -9:
            converted = converted.quantize(_DIGITS, ROUND_HALF_EVEN)
    return plain_decimal(converted), to


def plain_decimal(value: Decimal) -> Decimal:
    """The same number in one form: no trailing zeros, no exponent, no minus zero."""
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
