"""Cards as fifteen makers write them: each is read exactly, or its true reading is offered; no error repeats them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.errors import InstallerError
from installer.qr.classify import classify, device_of, network_of
from installer.qr.wifi_text import parse
from installer.wifi.card_readings import CardReading

CARDS = json.loads(Path(__file__).with_name("cards_of_makers.json").read_text("utf-8"))
NETWORKS = CARDS["networks"]
TEXTS = [(maker, name, text) for maker, texts in CARDS["texts"].items() for name, text in texts.items()]
# In these networks are quotes or backslashes that a maker left as they are: a person has to choose.
ASKED = {"quotes", "backslash", "endbackslash"}


def is_true(reading: CardReading, name: str, text: str) -> bool:
    network = NETWORKS[name]
    # Two makers leave out that a network hides its name: what is not in the text, nobody can read.
    hidden = network["hidden"] and "H:true" in text
    found = (reading.ssid, reading.passphrase.get_secret_value(), reading.hidden)
    return found == (network["ssid"], network["passphrase"] or "", hidden)


@pytest.mark.parametrize(("maker", "name", "text"), TEXTS, ids=[f"{maker}-{name}" for maker, name, _ in TEXTS])
def test_the_network_is_read_exactly_or_offered(maker: str, name: str, text: str) -> None:
    readings = parse(text).readings
    assert is_true(readings[0], name, text), f"{maker}: the likeliest of {len(readings)} readings is another network"
    assert len(readings) == 1 or name in ASKED


def test_most_texts_are_certain() -> None:
    assert sum(parse(text).certain is not None for _, _, text in TEXTS) >= 0.9 * len(TEXTS)


def pieces(secret: str, length: int) -> Iterable[str]:
    return (secret[i : i + length] for i in range(max(len(secret) - length + 1, 1)))


def spoken(text: str) -> str:
    """All that a caller could show of this text: the errors of each reader, and the repr of what was read."""
    said = []
    for read in (classify, network_of, device_of, parse):
        try:
            found = read(text)
        except InstallerError as error:
            said.append(f"{error} {error!r} {error.args} {error.data}")
        else:
            said.append(repr(found))
            if hasattr(found, "ambiguous"):
                said.append(str(found.ambiguous()) + repr(found.ambiguous().data))
    return " ".join(said)


def escaped(value: str) -> str:
    return re.sub(r'([\\;,":])', r"\\\1", value)


WRITERS: dict[str, Callable[[str, str], str]] = {
    "escaped": lambda ssid, secret: f"WIFI:T:WPA;S:{escaped(ssid)};P:{escaped(secret)};;",
    "literal": lambda ssid, secret: f"WIFI:T:WPA;S:{ssid};P:{secret};;",
    "literal, S first": lambda ssid, secret: f"WIFI:S:{ssid};T:WPA;P:{secret};H:false;;",
    "literal, P first": lambda ssid, secret: f"WIFI:P:{secret};S:{ssid};T:WPA;",
    "company": lambda ssid, secret: f"WIFI:T:WPA2-EAP;S:{ssid};E:PEAP;PH2:MSCHAPV2;I:me;P:{secret};;",
    "wep": lambda ssid, secret: f"WIFI:T:WEP;S:{ssid};P:{secret};;",
    "in an address": lambda ssid, secret: f"https://example.org/qr.html?data=WIFI:T:WPA;S:{ssid};P:{secret};;",
    "device": lambda ssid, secret: json.dumps({"ver": secret, "name": ssid, "pop": secret}),
}
# Letters that stand in no message: so a piece of a secret in a message is no coincidence.
SECRETS = st.text('0179qxjzQXJZ;:\\,"% ', min_size=4, max_size=70)
NAMES = st.text('abc;:\\,"% ', min_size=0, max_size=40)
CHANGES = st.tuples(st.integers(0, 200), st.sampled_from(["", ";", "\\", ":", '"', ";P:", ";S:", "%", "{", "\n"]))


@given(st.sampled_from(sorted(WRITERS)), NAMES, SECRETS, st.lists(CHANGES, max_size=3))
def test_no_error_and_no_repr_repeats_a_piece_of_the_passphrase(
    writer: str, ssid: str, secret: str, changes: list[tuple[int, str]]
) -> None:
    text = WRITERS[writer](ssid, secret)
    for place, change in changes:
        place %= len(text)
        text = text[:place] + change + text[place + (not change) :]
    said = spoken(text)
    for piece in pieces(secret, 4):
        assert piece not in said or not re.search(r"[0179qxjzQXJZ]{2}", piece)


@pytest.mark.parametrize("maker", CARDS["texts"])
def test_no_damaged_card_of_a_maker_shows_its_passphrase(maker: str) -> None:
    for name, text in CARDS["texts"][maker].items():
        if NETWORKS[name]["passphrase"] is None:
            continue
        # The word stands in messages, too.
        text, secret = (value.replace("password", "qxzjqxzj") for value in (text, NETWORKS[name]["passphrase"]))
        for damaged in (text[len("WIFI:") :], text.replace("T:WPA", "T:WEP"), text.replace("P:", "P", 1), text[:-3]):
            said = spoken(damaged)
            assert [piece for piece in pieces(secret, 7) if piece in said] == []
            assert NETWORKS[name]["ssid"] not in said or name == "plain"


SPECIAL = 'ab1;:\\,"% '


@given(
    st.text(SPECIAL, min_size=1, max_size=12),
    st.text(SPECIAL, min_size=8, max_size=16),
    st.sampled_from(["escaped", "literal", "literal, S first", "literal, P first"]),
)
def test_a_card_is_never_silently_another_network(ssid: str, secret: str, writer: str) -> None:
    """A maker that escapes nothing, or all: a certain reading is the true one. Not so where nothing shows which it was.

    Left out: a name or a passphrase that looks escaped (`a\\,b`), because escaped texts look the same.
    """
    text = WRITERS[writer](ssid, secret)
    if writer != "escaped" and re.search(r'\\[\\;,":]', ssid + secret):
        return
    if (writer != "escaped" and re.search(r'^".*"$', ssid)) or re.search(r'^".*"$', secret):
        return
    found = parse(text)
    truth = (ssid, secret)
    offered = [(reading.ssid, reading.passphrase.get_secret_value()) for reading in found.readings]
    assert truth in offered, (text, offered)
