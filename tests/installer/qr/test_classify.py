"""Classifying the texts of QR codes, and the errors for codes of other systems."""

from __future__ import annotations

import contextlib
import json
import string
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.qr.classify import QrKind, VendorLink, classify, kind_of, proof_in
from installer.qr.device_setup_code import MAX_CHARACTERS, DevicePayload, parse_device
from installer.wifi.card_readings import CardReadings

PROOF = "abcd1234 proof"


def code(**parts: Any) -> str:
    return json.dumps({"ver": "v1", "name": "PROV_CE03C0", "transport": "ble", **parts})


def proof(found: DevicePayload) -> str | None:
    return None if found.proof is None else found.proof.get_secret_value()


def refused(text: str) -> InstallerError:
    with pytest.raises(InstallerError) as caught:
        classify(text)
    return caught.value


def test_the_example_of_the_facts_sheet() -> None:
    found = classify('{"ver":"v1","name":"PROV_CE03C0","pop":"abcd1234","transport":"ble"}')
    assert isinstance(found, DevicePayload)
    assert (found.name, proof(found), found.username, found.transport, found.security) == (
        "PROV_CE03C0",
        "abcd1234",
        "",
        "ble",
        None,
    )
    assert found.has_secret


def test_security_2_with_a_user_name_and_keys_of_newer_versions() -> None:
    found = parse_device(code(pop=PROOF, username="wifiprov", security=2, network="wifi", colour={"of": ["case"]}))
    assert (found.username, found.security, proof(found)) == ("wifiprov", 2, PROOF)


@pytest.mark.parametrize(("parts", "has_secret"), [({}, False), ({"pop": ""}, False), ({"pop": None}, False)])
def test_a_code_without_a_proof_is_no_secret(parts: dict[str, Any], has_secret: bool) -> None:
    assert parse_device(code(**parts)).has_secret is has_secret


def test_a_proof_is_in_no_repr_and_no_dump() -> None:
    found = parse_device(code(pop=PROOF))
    assert PROOF not in repr(found) + str(found) + found.model_dump_json()


def test_a_wifi_code_goes_to_the_wifi_parser() -> None:
    found = classify(" WIFI:T:WPA;S:Home;P:12345678;;\n")
    assert isinstance(found, CardReadings)
    assert found.ssids == {"Home"}


PRINTED = "https://espressif.github.io/esp-jumpstart/qrcode.html?data="


@pytest.mark.parametrize("pop", ["abcd1234", "a+b c", "a&b=c#d", "50%25"])
@pytest.mark.parametrize("encode", [quote, str], ids=["encoded", "as printed"])
def test_the_code_in_an_address_that_a_device_prints_is_taken_out(pop: str, encode: Callable[[str], str]) -> None:
    found = classify(PRINTED + encode(code(pop=pop)))
    assert isinstance(found, DevicePayload)
    assert proof(found) == (pop if encode is quote else unquote(pop))
    assert kind_of(f"{PRINTED}MT%3AY.K9042C00KA0648G00") is QrKind.OTHER_SYSTEM
    assert kind_of(f"{PRINTED}hello") is QrKind.URL
    found = proof_in(PRINTED + encode(code(pop="abcd1234")), "PROV_CE03C0")
    assert isinstance(found, DevicePayload)
    assert found.proof is not None
    assert found.proof.get_secret_value() == "abcd1234"


@pytest.mark.parametrize(
    "url", ["https://withings.com/go", "HTTPS://App.Withings.com", "http://healthmate.withings.com./x?y=1"]
)
def test_a_link_to_the_vendor_leads_to_the_guided_way(url: str) -> None:
    assert isinstance(classify(url), VendorLink)


@pytest.mark.parametrize(
    "url", ["https://withings.com.example.org", "https://notwithings.com", "https://example.org/withings.com"]
)
def test_a_link_that_only_looks_like_the_vendors(url: str) -> None:
    assert kind_of(url) is QrKind.URL
    assert "web address" in refused(url).what


@pytest.mark.parametrize(
    ("text", "says", "todo"),
    [
        ("MT:Y.K9042C00KA0648G00", "Matter", "Matter app"),
        ("34970112332", "Matter", "Matter app"),
        ("3497-011-2332", "Matter", "Matter app"),
        ("749701123365521327694", "Matter", "Matter app"),
        ("X-HM://0023ISYWYDEMO", "HomeKit", "Home app"),
        ("123-45-678", "HomeKit", "Home app"),
        ("v=1&&eui=18b430000000000a&&cc=J01NU5", "Thread", "app of its maker"),
        ("Z:000D6F0000000001$I:83FED3407A939723A5C639B26916D505C3B5", "Zigbee", "Zigbee hub"),
        ("90" + "01234567890" * 5, "Z-Wave", "Z-Wave hub"),
        ("otpauth://totp/me?secret=JBSWY3DPEHPK3PXP", "authenticator app", "show it to nobody"),
        ("DPP:C:81/1;M:aabbccddeeff;V:2;K:MDkw;;", "Easy Connect", "Android phone"),
        (code(transport="softap"), "SoftAP", "app of the device's maker"),
        (code(transport="carrier pigeon"), "neither over Bluetooth", "app of the device's maker"),
        (code(network="thread"), "Thread", "app of the device's maker"),
    ],
)
def test_other_systems_are_named_with_what_to_use_instead(text: str, says: str, todo: str) -> None:
    error = refused(text)
    assert error.code is ErrorCode.DEVICE_UNSUPPORTED
    assert says in error.what
    assert todo in error.todo


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not the text of a set-up code"),
        ("hello", "not the text of a set-up code"),
        ("34970112333", "not the text of a set-up code"),  # the check digit of a Matter code is wrong
        ("{", "damaged"),
        ('{"ver":"v1","name":"PRO', "damaged"),
        ("[" * 2000, "not the text"),
        ("{" + '"a":[' * 700, "damaged"),
        ('{"ver":"v2","name":"PROV_1","pop":"abcd1234 proof"}', "version v2"),
        ('{"name":"PROV_1"}', "does not know"),
        (code(ver=PROOF), "does not know"),
        (code(name=""), "names no device"),
        (code(name=None), "names no device"),
        (code(name="a\x1b[31m"), "names no device"),
        (code(name=7), "“name” is not a text"),
        (code(name="n" * 249), "“name” is too long"),
        (code(pop=[PROOF]), "“pop” is not a text"),
        ('{"ver":"v1","name":"\\ud800"}', "not a possible text"),
        (code(security=3, pop=PROOF), "none of 0, 1 and 2"),
        (code(security=True), "none of 0, 1 and 2"),
        (code(security="2"), "none of 0, 1 and 2"),
        ("x" * (MAX_CHARACTERS + 1), "too long"),
    ],
)
def test_damaged_and_foreign_texts_say_what_is_wrong_and_repeat_nothing(text: str, says: str) -> None:
    error = refused(text)
    assert error.code is ErrorCode.ANSWERS_INVALID
    assert says in error.what
    assert PROOF not in str(error)


@pytest.mark.parametrize("digits", ["34970112332", "123-45-678", "12345678"])
def test_digits_may_be_a_proof_whatever_else_they_are(digits: str) -> None:
    assert proof_in(digits, "PROV_1") == SecretStr(digits)


def test_every_number_of_a_security_scheme() -> None:
    assert [parse_device(code(security=s)).security for s in (0, 1, 2)] == [0, 1, 2]


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    with contextlib.suppress(InstallerError):
        assert classify(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("ver", "name", "pop", "transport", "username", "security", "network", "password")


@given(st.dictionaries(st.sampled_from(KEYS), JSON | st.sampled_from(["v1", "ble", "wifi"])), st.booleans())
def test_any_json_is_read_or_refused_in_words(parts: dict[str, Any], sound: bool) -> None:
    text = json.dumps({"ver": "v1", "name": "PROV_1", "transport": "ble"} | parts if sound else parts)
    with contextlib.suppress(InstallerError):
        assert parse_device(text).name == parts.get("name", "PROV_1")


NAMES = st.text(string.ascii_letters + string.digits + "_ -é🏠", min_size=1, max_size=40).filter(str.strip)


@given(NAMES, st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_name_and_proof_come_through_unchanged(name: str, pop: str) -> None:
    found = parse_device(code(name=name, pop=pop))
    assert (found.name, proof(found)) == (name, pop)


def test_the_label_of_an_installed_device_is_told_from_a_set_up_code() -> None:
    error = refused("device-installer:link/a1b2c3d4?a=0024E4123456&m=body&s=wifi")
    assert error.code is ErrorCode.ANSWERS_INVALID
    assert "label" in error.what
    assert "`device-installer link`" in error.todo
