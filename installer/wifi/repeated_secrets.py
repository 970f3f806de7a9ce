"""Finds a secret that a device repeats in its own words, and takes it out of errors and addresses. Pure.

A device that got a passphrase chooses what it says afterwards: in an error, in its name, in the address of its page.
Such words go to the screen, to events and to the ledger, which others can read. Usual ways to write a text are
recognised (letters of another case, percent signs, JSON, hexadecimal, base64, backwards). A device can always find
another one; but whoever has the secret needs no record to pass it on.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, unquote_plus

from pydantic import SecretStr

from installer.errors import InstallerError

LEFT_OUT = "(left out: it repeats a secret)"
MIN_CHARACTERS = 5  # a shorter one is in many words by chance


def repeats(text: str, secrets: Sequence[SecretStr]) -> bool:
    """Whether the text has one of these secrets in it, in any usual way to write it."""
    found = {form for way in (text, unquote(text), unquote_plus(text)) for form in (way, _without_escapes(way))}
    shown = [form.casefold() for form in found]
    squeezed = [re.sub(r"[\W_]+", "", form) for form in shown]
    return any(
        any(needle in form for form in shown) or any(needle in form for form in squeezed)
        for secret in secrets
        for needle in _ways_to_write(secret.get_secret_value())
    )


def without_secrets(error: InstallerError, secrets: Sequence[SecretStr]) -> InstallerError:
    """The error itself, or a copy without the texts that repeat one of these secrets."""
    data = {key: value for key, value in error.data.items() if not repeats(_as_text(value), secrets)}
    what, todo = _clean(error.what, secrets), _clean(error.todo, secrets)
    if (what, todo, len(data)) == (error.what, error.todo, len(error.data)):
        return error
    return InstallerError(error.code, what, todo, **data)


def _clean(text: str, secrets: Sequence[SecretStr]) -> str:
    if not repeats(text, secrets):
        return text
    for secret in secrets:
        value = secret.get_secret_value()
        if len(value) >= MIN_CHARACTERS:
            text = text.replace(value, LEFT_OUT)
    return "What the device said is left out: it repeats a secret." if repeats(text, secrets) else text


def _ways_to_write(secret: str) -> set[str]:
    """The secret in the forms that are looked for, in small letters; none for one that is too short."""
    if len(secret) < MIN_CHARACTERS:
        return set()
    raw = secret.encode("utf-8", "surrogatepass")
    codes = [base64.b64encode(raw), base64.urlsafe_b64encode(raw), base64.b32encode(raw)]
    squeezed = re.sub(r"[\W_]+", "", secret)
    forms = [secret, secret[::-1], raw.hex(), *(code.decode().rstrip("=") for code in codes)]
    forms += [squeezed] if len(squeezed) >= 2 * MIN_CHARACTERS else []
    return {form.casefold() for form in forms}


def _without_escapes(text: str) -> str:
    """The text with JSON's escapes read."""
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text).replace("\\", "")


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
