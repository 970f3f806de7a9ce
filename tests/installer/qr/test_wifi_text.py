"""WIFI: texts: both grammars, the ambiguous percent sign, and refused texts."""

from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.qr.wifi_text import WifiText, parse, write
from installer.wifi.credentials import Credentials
from installer.wifi.networks import Network, Security

SECRET = "correct horse 42"


def secret(found: WifiText) -> str:
    return found.passphrase.get_secret_value()


@pytest.mark.parametrize(
    ("text", "ssid", "passphrase", "security", "hidden"),
    [
        (r"WIFI:T:WPA;S:My\;Net;P:a\\b\:cdefg;H:true;;", "My;Net", r"a\b:cdefg", Security.WPA_WPA2, True),
        ("WIFI:S:Cafe;;", "Cafe", "", Security.OPEN, False),
        ("WIFI:T:WPA;R:1;S:Home%3BNet;P:secret123;;", "Home;Net", "secret123", Security.WPA_WPA2, False),
        ("WIFI:P:secret123;S:Home;T:WPA2", "Home", "secret123", Security.WPA2, False),
        ("wifi:T:nopass;S:Guests;P:ignored;;", "Guests", "", Security.OPEN, False),
        ("WIFI:T:SAE;S:Höhle;P:schön-schön;;", "Höhle", "schön-schön", Security.WPA3, False),
        ('WIFI:T:WPA;S:"BEEF";P:"12345678";;', "BEEF", "12345678", Security.WPA_WPA2, False),
        ('WIFI:T:WPA;S:\\"BEEF\\";P:12345678;;', '"BEEF"', "12345678", Security.WPA_WPA2, False),
        ("WIFI:T:WPA;S:a:b;P:12345678;;", "a:b", "12345678", Security.WPA_WPA2, False),
        ("WIFI:S:NoType;P:12345678;;", "NoType", "12345678", Security.UNKNOWN, False),
        ("WIFI:T:WPA;R:3;S:Caf%C3%A9;P:100%25sure;K:MDkw;;", "Café", "100%sure", Security.WPA_WPA2, False),
        (r"WIFI:T:WPA;S:Caf%C3%A9\;;P:12345678;;", "Caf%C3%A9;", "12345678", Security.WPA_WPA2, False),
        ("  WIFI:T:WPA;S:Home;P:12345678;;\n", "Home", "12345678", Security.WPA_WPA2, False),
    ],
)
def test_examples(text: str, ssid: str, passphrase: str, security: Security, hidden: bool) -> None:
    found = parse(text)
    assert (found.ssid, secret(found), found.security, found.hidden) == (ssid, passphrase, security, hidden)
    assert found.other is None


def test_doubtful_percent_sign_is_kept_and_the_other_reading_offered() -> None:
    found = parse("WIFI:T:WPA;S:Caf%C3%A9;P:100%25sure;;")
    assert (found.ssid, secret(found)) == ("Caf%C3%A9", "100%25sure")
    assert found.other is not None
    assert (found.other.ssid, secret(found.other)) == ("Café", "100%sure")


def test_a_percent_sign_that_cannot_be_an_encoding_is_literal() -> None:
    found = parse("WIFI:T:WPA;R:1;S:Home;P:100% sure;;")
    assert secret(found) == "100% sure"
    assert found.other is None


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ("", ErrorCode.ANSWERS_INVALID, "not the text"),
        ("MT:Y.K9042C00KA0648G00", ErrorCode.ANSWERS_INVALID, "Matter"),
        ("DPP:C:81/1;M:001122334455;V:2;K:MDkw;;", ErrorCode.ANSWERS_INVALID, "Easy Connect"),
        ('{"ver":"v1","name":"PROV_1"}', ErrorCode.ANSWERS_INVALID, "one device"),
        ("https://example.org/", ErrorCode.ANSWERS_INVALID, "web address"),
        ("WIFI:T:WPA;P:12345678;;", ErrorCode.ANSWERS_INVALID, "names no network"),
        ("WIFI:" + "x" * 2000, ErrorCode.ANSWERS_INVALID, "too long"),
        ("WIFI:T:WPA;S:;P:12345678;;", ErrorCode.SSID_INVALID, "empty"),
        ("WIFI:T:WPA;S:" + "é" * 17 + ";P:12345678;;", ErrorCode.SSID_INVALID, "34 bytes"),
        ("WIFI:T:WPA;S:Home;P:1234567;;", ErrorCode.PASSPHRASE_INVALID, "1 more"),
        ("WIFI:T:WPA;S:Home;P:" + "x" * 64 + ";;", ErrorCode.PASSPHRASE_INVALID, "hexadecimal"),
        ("WIFI:T:WPA2-EAP;S:Office;E:PEAP;PH2:MSCHAPV2;I:me;P:secret;;", ErrorCode.NETWORK_UNSUPPORTED, "802.1X"),
        ("WIFI:T:WEP;S:Old;P:12345;;", ErrorCode.NETWORK_UNSUPPORTED, "WEP"),
    ],
)
def test_refused_with_a_reason(text: str, code: ErrorCode, word: str) -> None:
    with pytest.raises(InstallerError) as caught:
        parse(text)
    assert caught.value.code is code
    assert word in caught.value.what


def test_no_repr_and_no_error_holds_the_passphrase() -> None:
    assert SECRET not in repr(parse(f"WIFI:T:WPA;S:Home;P:{SECRET};;"))
    with pytest.raises(InstallerError) as caught:
        parse(f"WIFI:T:WPA;S:Home;P:{SECRET * 5};;")
    assert SECRET not in str(caught.value) + repr(caught.value)


SSIDS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=32).filter(
    lambda ssid: len(ssid.encode()) <= 32
)
PRINTABLE = "".join(c for c in string.printable if " " <= c <= "~")
PASSPHRASES = st.text(PRINTABLE, min_size=8, max_size=63) | st.text(string.hexdigits, min_size=64, max_size=64)


@given(ssid=SSIDS, passphrase=PASSPHRASES, hidden=st.booleans())
def test_round_trip(ssid: str, passphrase: str, hidden: bool) -> None:
    network = Network(ssid=ssid, security=Security.WPA_WPA2, hidden=hidden)
    # An encoded semicolon shows grammar (a); a name or passphrase hardly contains one by chance.
    assume("%3b" not in (ssid + passphrase).lower())
    found = parse(write(Credentials(network=network, passphrase=SecretStr(passphrase))))
    assert (found.ssid, found.security, found.hidden) == (ssid, Security.WPA_WPA2, hidden)
    assert secret(found) == passphrase


@given(ssid=SSIDS, hidden=st.booleans())
def test_round_trip_of_an_open_network(ssid: str, hidden: bool) -> None:
    assume("%3b" not in ssid.lower())
    network = Network(ssid=ssid, security=Security.OPEN, hidden=hidden)
    found = parse(write(Credentials(network=network)))
    assert (found.ssid, found.security, secret(found), found.hidden) == (ssid, Security.OPEN, "", hidden)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InstallerError):
        parse("WIFI:" + text)
