"""The scenario file: the default one, what may be set, and what is said of mistakes."""

from __future__ import annotations

import pytest

from installer.errors import ErrorCode, InstallerError
from installer.lab import scenario
from installer.lab.access_points import JoinOutcome, WifiEnvironment
from installer.wifi.networks import Band


def test_the_default_world() -> None:
    world = scenario.load()
    assert [d.model for d in world.device] == [
        "body", "body-plus", "bpm-connect", "sleep", "thermo", "move", "pulse-hr", "generic", "generic"
    ]  # fmt: skip
    assert all(d.address.startswith("00:24:E4") for d in world.device if d.model != "generic")
    assert len(next(n for n in world.network if n.ssid == "Home").access_points) == 2
    assert {n.security.value for n in world.network} >= {"open", "wpa2", "wpa3", "enterprise"}


def test_an_empty_file_is_an_empty_world() -> None:
    world = scenario.parse("", "empty.toml")
    assert world.device == ()
    assert world.cloud.client_id == "lab-client"


def test_notifications_may_go_astray() -> None:
    world = scenario.parse("[cloud.callbacks]\nlose = 3\ndouble = 1\ndelay = 0.5\nremove_after = 4\n", "astray.toml")
    assert (world.cloud.callbacks.lose, world.cloud.callbacks.delay, world.cloud.callbacks.answer_seconds) == (
        3,
        0.5,
        2,
    )
    with pytest.raises(InstallerError, match=r"callbacks\.lose"):
        scenario.parse("[cloud.callbacks]\nlose = -1\n", "astray.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[device]\n", "line 1"),
        ("colour = 1", "colour: there is no such key"),
        ('[[device]]\nmodel = "toaster"\naddress = "00:24:E4:00:00:01"', "'body-plus'"),
        ('[[device]]\nmodel = "body"', "address: is missing"),
        ('[[device]]\nmodel = "body"\naddress = "1234"', "six pairs of hexadecimal digits"),
        ('[[device]]\nmodel = "body"\naddress = "00:24:E4:00:00:01"\nauthorization = "perhaps"', "'manual'"),
        (
            '[[device]]\nmodel = "body"\naddress = "00:24:E4:00:00:01"\nfaults = { drop = { on = "sunday" } }',
            "'credentials'",
        ),
        (
            '[[device]]\nmodel = "body"\naddress = "00:24:E4:00:00:01"\n' * 2,
            "two devices have the address 00:24:E4:00:00:01",
        ),
        ('[[network]]\nssid = "Home"\nsecurity = "wpa2"', "needs a passphrase"),
        ('[[network]]\nssid = "Home"\nsecurity = "magic"', "'wpa2'"),
        ('[[network]]\nssid = "A name that is longer than it may be"\nsecurity = "open"', "32 bytes"),
        ('[cloud]\nmode = "private"', "'public'"),
        ("bystanders = -1", "bystanders"),
    ],
)
def test_a_mistake_is_named_with_file_key_and_what_is_allowed(text: str, words: str) -> None:
    with pytest.raises(InstallerError) as wrong:
        scenario.parse(text, "mine.toml")
    assert wrong.value.code is ErrorCode.SCENARIO_INVALID
    assert "mine.toml" in wrong.value.what
    assert words in wrong.value.what


def test_a_mistake_in_a_network_does_not_show_its_passphrase() -> None:
    with pytest.raises(InstallerError) as wrong:
        scenario.parse('[[network]]\nssid = "Home"\npassphrase = "hush hush"\nsecurity = "magic"', "mine.toml")
    assert "hush" not in str(wrong.value)


def test_passphrases_are_in_no_repr_and_no_description() -> None:
    world = scenario.load()
    wifi = WifiEnvironment(world.network)
    shown = repr(world) + repr(wifi.networks) + str([n.describe() for n in wifi.networks.values()])
    for network in world.network:
        secret = network.passphrase.get_secret_value()
        assert not secret or secret not in shown


def test_a_device_hears_only_its_bands() -> None:
    wifi = WifiEnvironment(scenario.load().network)
    assert "Fast 5G" not in [h.ssid for h in wifi.scan((Band.GHZ_2_4,))]
    assert "Fast 5G" in [h.ssid for h in wifi.scan((Band.GHZ_2_4, Band.GHZ_5))]
    assert "Attic" not in [h.ssid for h in wifi.scan((Band.GHZ_2_4,))]


def test_the_passphrase_decides() -> None:
    world = scenario.load()
    wifi, bands = WifiEnvironment(world.network), (Band.GHZ_2_4,)
    home = next(n for n in world.network if n.ssid == "Home")
    office = next(n for n in world.network if n.ssid == "Office")
    assert wifi.join("Home", home.passphrase, bands) is JoinOutcome.JOINED
    assert wifi.join("Home", office.passphrase, bands) is JoinOutcome.WRONG_PASSPHRASE
    wifi.networks["Home"].up = False
    assert wifi.join("Home", home.passphrase, bands) is JoinOutcome.DOWN
