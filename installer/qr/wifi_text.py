"""The `WIFI:` text of QR codes: all its readings, and writing one. Pure.

Two grammars are in use (`facts/other-ble-provisioning.md` §5): (a) section 7 of the WPA3 specification,
percent-encoded; (b) that of ZXing and Android, with backslash escapes and the keys in any order. Some makers follow
neither and escape nothing. What the text does not decide is a reading of its own (`CardReadings`).
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator
from dataclasses import replace
from urllib.parse import unquote

from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.qr import wifi_text_parts
from installer.qr.wifi_text_parts import Parts
from installer.wifi.card_readings import CardReading, CardReadings
from installer.wifi.credentials import Credentials, check_credentials
from installer.wifi.networks import PASSPHRASE_MIN, Security

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
_COMPANY_KEYS = ("E", "PH2", "A", "AI")
_NO_PASSPHRASE = ("", "None", "null")  # what makers write that were given none, whatever T says
_MISTAKEN_FOR = ("big5", "shift_jis", "latin-1")  # for UTF-8, by QR readers that guess
_OTHER_CODES = (
    ("MT:", "the set-up code of a Matter device"),
    ("DPP:", "a Wi-Fi Easy Connect (DPP) code"),
    ("{", "the set-up code of one device, not of a Wi-Fi network"),
    ("HTTP", "a web address"),
)
_SWALLOWED = re.compile(r"(?<![A-Za-z0-9\\])P:.")  # the key of the passphrase, in the name of the network
# How a reading takes the text, as a person sees it.
STANDARD, LITERAL = "if its maker followed the standard", "if its maker marked no special character"
DECODED, WITHOUT_QUOTES = "if % begins an encoded character", "and put quotes around it"
REPAIRED = "and the QR reader mistook letters"


def parse(text: str) -> CardReadings:
    """All readings of a `WIFI:` text; the final `;;` may be missing.

    Raises ANSWERS_INVALID (another kind of text), SSID_INVALID, PASSPHRASE_INVALID and NETWORK_UNSUPPORTED (company
    networks, WEP) if no reading is possible. No error repeats a piece of the text.
    """
    text = text.strip()
    if len(text) > MAX_CHARACTERS:
        raise _not_wifi(f"The text is too long ({len(text)} characters).")
    if text[: len(PREFIX)].upper() != PREFIX:
        raise _not_wifi(_what_it_is(text))
    readings, error = _read(text[len(PREFIX) :])
    repaired = _with_right_letters(text)
    if repaired is not None:
        others = [replace(each, how=f"{each.how} {REPAIRED}") for each in _read(repaired[len(PREFIX) :])[0]]
        readings = others + [reading for reading in readings if reading not in others]
    if readings:
        return CardReadings(tuple(readings))
    raise error or _not_wifi("The text names no network: the part S: is missing.")


def _read(body: str) -> tuple[list[CardReading], InstallerError | None]:
    """The readings of what stands behind `WIFI:`, and the error of the first one that is not possible."""
    unescaped = wifi_text_parts.looks_unescaped(body)
    readings, error = _possible([*(_literal_ways(body) if unescaped else ()), *_standard_ways(body)])
    if not readings and not unescaped:
        readings, _ = _possible(_literal_ways(body))  # no network can be what the standard way gives
    return readings, error


def _with_right_letters(text: str) -> str | None:
    """The text with the letters that its code has, if a QR reader took its UTF-8 for another character set.

    zbar guesses: it gives “H繹hle” for “Höhle”. By chance, other texts hardly ever become UTF-8 so.
    """
    for wrong in () if text.isascii() else _MISTAKEN_FOR:
        try:
            repaired = text.encode(wrong).decode("utf-8")
        except UnicodeError:
            continue
        if repaired.isprintable():
            return repaired
    return None


def _possible(ways: Iterable[tuple[Parts, str]]) -> tuple[list[CardReading], InstallerError | None]:
    """The readings that can be right, without repetitions, and the error of the first one that cannot."""
    readings: list[CardReading] = []
    first_error: InstallerError | None = None
    for parts, how in ways:
        try:
            reading = _checked(parts, how)
        except InstallerError as error:
            first_error = first_error or error
            continue
        if reading not in readings:
            readings.append(reading)
    return readings, first_error


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


def _standard_ways(body: str) -> Iterator[tuple[Parts, str]]:
    """How the standard takes the text apart: values by key, and how in words; the likeliest first."""
    raw = wifi_text_parts.standard(body)
    if "S" not in raw:
        return
    percent_encoded = _percent_possible(body)
    if not percent_encoded or ("R" not in raw and "K" not in raw):  # only grammar (a) has these
        for parts, how in _quote_ways(raw, STANDARD):
            swallowed = _swallowed(parts)
            yield {} if swallowed else {k: wifi_text_parts.unescaped(v) for k, v in parts.items()}, how
    if percent_encoded:
        yield {key: unquote(value, errors="replace") for key, value in raw.items()}, DECODED


def _literal_ways(body: str) -> Iterator[tuple[Parts, str]]:
    """How the text is taken apart if its maker escapes nothing."""
    for parts in wifi_text_parts.literal(body):
        yield from _quote_ways({} if _swallowed(parts) else parts, LITERAL)


def _swallowed(parts: Parts) -> bool:
    """Whether the name of the network has run into the passphrase."""
    return "P" not in parts and _SWALLOWED.search(parts["S"]) is not None


def _quote_ways(parts: Parts, how: str) -> Iterator[tuple[Parts, str]]:
    """The parts with their quotes, and without them, where quotes stand around S or P.

    Quotes around hexadecimal digits are always taken off: makers put them there so that nobody reads a key.
    """
    kept = {key: value[1:-1] if _is_quoted_hex(key, value) else value for key, value in parts.items()}
    yield kept, how
    quoted = [key for key in ("S", "P") if _is_quoted(kept.get(key, ""))]
    if quoted:
        yield kept | {key: kept[key][1:-1] for key in quoted}, f"{how} {WITHOUT_QUOTES}"


def _is_quoted(value: str) -> bool:
    return len(value) > 2 and value[0] == value[-1] == '"' and not value.endswith('\\"')


def _is_quoted_hex(key: str, value: str) -> bool:
    inner = value[1:-1]
    long_enough = key != "P" or len(inner) >= PASSPHRASE_MIN  # else the quotes belong to it
    return _is_quoted(value) and long_enough and all(character in string.hexdigits for character in inner)


def _percent_possible(body: str) -> bool:
    return "%" in body and "\\" not in body and body.count("%") == len(_PERCENT.findall(body))


def _checked(parts: Parts, how: str) -> CardReading:
    """The reading of these parts. Raises the errors of `check_credentials`, without a name from the text."""
    if not parts:
        raise _damaged()
    kind, passphrase = parts.get("T", "").strip().upper(), parts.get("P", "")
    if passphrase in _NO_PASSPHRASE and "P" in parts and kind not in ("SAE", "WPA3"):
        kind, passphrase = "", ""
    company = "EAP" in kind or any(parts.get(key) for key in _COMPANY_KEYS)
    if company:
        security = Security.ENTERPRISE
    elif not kind and passphrase:
        security = Security.UNKNOWN
    else:
        security = _SECURITY.get(kind, Security.UNKNOWN)
    if security is Security.OPEN:
        passphrase = ""
    elif ("R" in parts or "K" in parts) and 0 < len(passphrase) < PASSPHRASE_MIN:
        security = Security.WPA3  # only such a network has these parts; T says WPA there too
    reading = CardReading(
        ssid=parts["S"],
        security=security,
        passphrase=SecretStr(passphrase),
        hidden=parts.get("H", "").strip().lower() in ("true", "1", "yes"),
        how=how,
        states_security=bool(kind),
        password_identifier=bool(parts.get("I")) and security is not Security.OPEN,
    )
    check_credentials(
        Credentials(network=reading.network, passphrase=reading.passphrase), called="the network of this code"
    )
    return reading


def _what_it_is(text: str) -> str:
    for start, meaning in _OTHER_CODES:
        if text.upper().startswith(start):
            return f"This is {meaning}."
    return "This is not the text of a Wi-Fi QR code."


def _damaged() -> InstallerError:
    return _not_wifi("The name of the network runs into its passphrase: the parts of the text are not told apart.")


def _not_wifi(what: str) -> InstallerError:
    return InstallerError(
        ErrorCode.ANSWERS_INVALID, what, "Such a text starts with WIFI: and looks like WIFI:T:WPA;S:name;P:passphrase;;"
    )
