"""The `WIFI:` text of QR codes: parse and write. Pure.

Two grammars are in use (`facts/other-ble-provisioning.md` §5): (a) section 7 of the WPA3
specification, percent-encoded, with the keys T R S H I P K; (b) that of ZXing and Android,
with backslash escapes and the keys in any order. If a `%` is valid in both, the text is
not decoded, and `WifiText.other` has the decoded reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.wifi.credentials import Credentials, check_credentials
from installer.wifi.networks import Network, Security

PREFIX = "WIFI:"
MAX_CHARACTERS = 1024  # far more than a valid text has
_ESCAPED = '\\;,:"'
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_SECURITY = {
    "": Security.OPEN,
    "NOPASS": Security.OPEN,
    "WEP": Security.WEP,
    "WPA": Security.WPA_WPA2,
    "WPA2": Security.WPA2,
    "WPA3": Security.WPA3,
    "SAE": Security.WPA3,
    "WPA/WPA2": Security.WPA_WPA2,
    "WPA2/WPA3": Security.WPA2_WPA3,
}
_OTHER_CODES = (
    ("MT:", "the set-up code of a Matter device"),
    ("DPP:", "a Wi-Fi Easy Connect (DPP) code"),
    ("{", "the set-up code of one device, not of a Wi-Fi network"),
    ("HTTP", "a web address"),
)


@dataclass(frozen=True)
class WifiText:
    """The content of a `WIFI:` text. `other`: the percent-decoded reading, if both are possible."""

    ssid: str
    security: Security
    passphrase: SecretStr = field(default=SecretStr(""))
    hidden: bool = False
    other: WifiText | None = None

    @property
    def network(self) -> Network:
        """The network alone."""
        return Network(ssid=self.ssid, security=self.security, hidden=self.hidden)


def parse(text: str) -> WifiText:
    """Parse a `WIFI:` text of either grammar; the final `;;` may be missing.

    Raises ANSWERS_INVALID (another kind of text), SSID_INVALID, PASSPHRASE_INVALID and NETWORK_UNSUPPORTED (company
    networks, WEP). No error contains the passphrase.
    """
    text = text.strip()
    if len(text) > MAX_CHARACTERS:
        raise _not_wifi(f"The text is too long ({len(text)} characters).")
    if text[: len(PREFIX)].upper() != PREFIX:
        raise _not_wifi(_what_it_is(text))
    parts = dict(reversed([_key_and_value(part) for part in _split(text[len(PREFIX) :]) if part]))
    if "S" not in parts:
        raise _not_wifi("The text names no network: the part S: is missing.")
    plain = {key: _unescape(_unquote(value)) for key, value in parts.items()}
    if not _percent_possible(parts.values()):
        return _checked(plain)
    decoded = {key: unquote(value, errors="replace") for key, value in plain.items()}
    if "R" in parts or "K" in parts or any("%3b" in value.lower() for value in parts.values()):
        return _checked(decoded)
    result = _checked(plain)
    try:
        other = _checked(decoded)
    except InstallerError:
        return result
    return WifiText(result.ssid, result.security, result.passphrase, result.hidden, other)


def write(credentials: Credentials) -> str:
    """Write `credentials` in grammar (b): T, S, P, H with backslash escapes. The text contains the passphrase.

    Raises the errors of `installer.wifi.credentials.check_credentials`.
    """
    check_credentials(credentials)
    network = credentials.network
    passphrase = credentials.passphrase.get_secret_value()
    parts = [] if network.security is Security.OPEN or not passphrase else [f"T:{_type(network.security)}"]
    parts.append(f"S:{_escape(network.ssid)}")
    if passphrase:
        parts.append(f"P:{_escape(passphrase)}")
    if network.hidden:
        parts.append("H:true")
    return PREFIX + ";".join(parts) + ";;"


def _type(security: Security) -> str:
    # All readers know WPA; only a WPA3 network needs another value.
    return "SAE" if security is Security.WPA3 else "WPA"


def _escape(value: str) -> str:
    return "".join("\\" + c if c in _ESCAPED else c for c in value)


def _split(body: str) -> list[str]:
    parts, part, escaped = [], "", False
    for character in body:
        if character == ";" and not escaped:
            parts.append(part)
            part = ""
            continue
        part += character
        escaped = character == "\\" and not escaped
    return [*parts, part]


def _key_and_value(part: str) -> tuple[str, str]:
    key, _, value = part.partition(":")
    return key.strip().upper(), value


def _unquote(value: str) -> str:
    quoted = len(value) >= 2 and value[0] == value[-1] == '"' and not value.endswith('\\"')
    return value[1:-1] if quoted else value


def _unescape(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)


def _percent_possible(values: Iterable[str]) -> bool:
    text = "".join(values)
    return "%" in text and "\\" not in text and text.count("%") == len(_PERCENT.findall(text))


def _checked(parts: dict[str, str]) -> WifiText:
    kind = parts.get("T", "").strip().upper()
    passphrase = parts.get("P", "")
    if "EAP" in kind or ("E" in parts and kind not in _SECURITY):
        security = Security.ENTERPRISE
    elif not kind and passphrase:
        security = Security.UNKNOWN
    else:
        security = _SECURITY.get(kind, Security.UNKNOWN)
    if security is Security.OPEN:
        passphrase = ""
    found = WifiText(parts["S"], security, SecretStr(passphrase), parts.get("H", "").strip().lower() == "true")
    check_credentials(Credentials(network=found.network, passphrase=found.passphrase))
    return found


def _what_it_is(text: str) -> str:
    for start, meaning in _OTHER_CODES:
        if text.upper().startswith(start):
            return f"This is {meaning}."
    return "This is not the text of a Wi-Fi QR code."


def _not_wifi(what: str) -> InstallerError:
    return InstallerError(
        ErrorCode.ANSWERS_INVALID, what, "Such a text starts with WIFI: and looks like WIFI:T:WPA;S:name;P:passphrase;;"
    )
