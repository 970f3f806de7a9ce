"""A device that got a passphrase says what it likes: no error, address or record repeats it, in any usual form."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.wifi.repeated_secrets import repeats, without_secrets

SECRET = "Höhe & Tiefe: 100% sicher"
SECRETS = [SecretStr(SECRET), SecretStr("")]
FORMS = [
    SECRET,
    SECRET.upper(),
    SECRET[::-1],
    quote(SECRET),
    quote(SECRET).lower(),
    SECRET.replace(" ", "+").replace("%", "%25").replace("&", "%26"),
    SECRET.replace(" ", "_"),
    json.dumps(SECRET),
    SECRET.encode().hex(),
    base64.b64encode(SECRET.encode()).decode(),
    base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
    base64.b32encode(SECRET.encode()).decode(),
]


@pytest.mark.parametrize("form", FORMS)
def test_every_usual_form_is_found_and_left_out(form: str) -> None:
    assert repeats(f"http://device.example/?p={form}&x=1", SECRETS)
    error = InstallerError(ErrorCode.DEVICE_REFUSED, f"It refused ({form}).", "Restart it.", words=[form], status=7)
    found = without_secrets(error, SECRETS)
    assert (found.code, found.todo, found.data) == (ErrorCode.DEVICE_REFUSED, "Restart it.", {"status": 7})
    assert form not in found.what


@pytest.mark.parametrize("text", ["http://192.168.1.7/", "The device refused (error -104).", ""])
def test_other_words_stay_as_they_are(text: str) -> None:
    error = InstallerError(ErrorCode.DEVICE_REFUSED, text, "Restart it.", status=7)
    assert without_secrets(error, [*SECRETS, SecretStr("four")]) is error
    assert not repeats(text, [SecretStr("")])
