"""CSV cells that no spreadsheet takes for a formula (CSV injection, CWE-1236)."""

from __future__ import annotations

# What OWASP's page “CSV Injection” lists: a cell that begins with one of these may be run as a formula. The last four
# are the full-width forms of the first four. `%` and `|` are not in the list, and `%` is a unit of measurements.
FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def text_cell(text: str) -> str:
    """The text; if a spreadsheet could take it for a formula, with an apostrophe before it.

    Some spreadsheets skip white space, so a prefix counts after white space, too.
    """
    is_formula = text.startswith(FORMULA_PREFIXES) or text.lstrip().startswith(FORMULA_PREFIXES)
    return f"'{text}" if is_formula else text
