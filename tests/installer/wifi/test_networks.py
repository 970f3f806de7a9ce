"""Networks and credentials: what is refused before it is sent, and the error texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.wifi.credentials import Credentials, check_credentials, passphrase_problem, passphrase_warning
from installer.wifi.networks import Band, Network, Security, by_ssid, check_network, check_ssid


@pytest.mark.parametrize("ssid", ["a", "x" * 32, "Zoë's 🏠 Wi-Fi", " "])
def test_a_possible_ssid(ssid: str) -> None:
    check_ssid(ssid)


@pytest.mark.parametrize(
    ("ssid", "word"), [("", "empty"), ("x" * 33, "33 bytes"), ("🏠" * 9, "36 bytes"), ("a\0", "NUL")]
)
def test_an_impossible_ssid_says_why(ssid: str, word: str) -> None:
    with pytest.raises(InstallerError, match=word) as caught:
        check_ssid(ssid)
    assert caught.value.code is ErrorCode.SSID_INVALID


@pytest.mark.parametrize(
    ("passphrase", "security", "word"),
    [
        ("1234567", Security.WPA2, "at least 8 characters: 1 more"),
        ("", Security.WPA2, "empty"),
        ("x" * 65, Security.WPA2, "at most 63"),
        ("g" * 64, Security.WPA2, "hexadecimal"),
        ("1234567", Security.UNKNOWN, "WPA3 and nothing older"),
        ("ä" * 32, Security.WPA2, "64"),
        ("password\n", Security.WPA2, "line break"),
        ("password\n", Security.WPA3, "line break"),
        ("password", Security.OPEN, "takes no passphrase"),
    ],
)
def test_an_impossible_passphrase_says_why_and_never_repeats_it(passphrase: str, security: Security, word: str) -> None:
    problem = passphrase_problem(passphrase, security)
    assert problem is not None
    assert word in problem
    assert len(passphrase) < 2 or passphrase not in problem


@pytest.mark.parametrize(
    ("passphrase", "security"),
    [
        ("12345678", Security.WPA2),
        ("x" * 63, Security.WPA_WPA2),
        ("0123456789abcdefABCDEF" + "0" * 42, Security.WPA2),
        ("pässwörd", Security.WPA3),
        ("pässwort", Security.WPA2),
        ("äää-1", Security.WPA2),
        ("ä" * 31, Security.WPA_WPA2),
        ("кодовое слово", Security.UNKNOWN),
        ("abc", Security.WPA3),
        ("", Security.OPEN),
        ("", Security.UNKNOWN),
        ("correct horse battery staple", Security.UNKNOWN),
    ],
)
def test_a_possible_passphrase(passphrase: str, security: Security) -> None:
    assert passphrase_problem(passphrase, security) is None


@pytest.mark.parametrize(
    ("passphrase", "security", "words"),
    [
        ("correct horse", Security.WPA2, []),
        ("кодовое слово", Security.WPA2, ["as UTF-8"]),
        ("schönschön", Security.WPA2, ["as UTF-8", "stored in two ways"]),
        ("abc", Security.WPA3, ["fewer than 8"]),
        ("", Security.OPEN, []),
    ],
)
def test_a_passphrase_that_not_everything_takes_is_told(passphrase: str, security: Security, words: list[str]) -> None:
    warning = passphrase_warning(passphrase, security)
    assert all(word in warning for word in words)
    assert bool(warning) is bool(words)
    assert not passphrase or passphrase not in warning


@pytest.mark.parametrize(("security", "word"), [(Security.ENTERPRISE, "company network"), (Security.WEP, "WEP")])
def test_networks_that_no_device_can_join_are_refused_in_words(security: Security, word: str) -> None:
    credentials = Credentials(network=Network(ssid="Corp", security=security), passphrase=SecretStr("12345678"))
    with pytest.raises(InstallerError, match=word) as caught:
        check_credentials(credentials)
    assert caught.value.code is ErrorCode.NETWORK_UNSUPPORTED


def test_access_points_of_one_ssid_become_one_row_with_the_best_signal() -> None:
    seen = [
        Network(ssid="Home", rssi=-70, bssid="1"),
        Network(ssid="Office", rssi=-60),
        Network(ssid="Home", rssi=-40, bssid="2"),
    ]
    rows = by_ssid(seen)
    assert [(n.ssid, n.rssi, n.access_points) for n in rows] == [("Home", -40, 2), ("Office", -60, 1)]


B2, B5, B6 = Band.GHZ_2_4, Band.GHZ_5, Band.GHZ_6


def heard(*bands: Band | None) -> Network:
    """One SSID with an access point on each of these bands, the strongest first."""
    (network,) = by_ssid(Network(ssid="Home", rssi=-40 - i, band=band) for i, band in enumerate(bands))
    return network


@pytest.mark.parametrize(
    ("network", "device", "possible"),
    [
        (heard(B2), ("2.4 GHz",), True),
        (heard(B5), ("2.4 GHz",), False),
        (heard(B6, B5), ("2.4 GHz",), False),
        (heard(B5, B2), ("2.4 GHz",), True),
        (heard(B6), ("2.4 GHz", "5 GHz"), False),
        (heard(B5), ("2.4 GHz", "5 GHz"), True),
        (heard(B5), (), True),
        (heard(None), ("2.4 GHz",), True),
        (heard(B5, None), ("2.4 GHz",), True),
        (heard(None, B5), ("2.4 GHz",), True),
    ],
)
def test_a_network_on_none_of_the_devices_bands_is_refused(
    network: Network, device: tuple[str, ...], possible: bool
) -> None:
    # Merging twice changes nothing: front ends may merge again.
    (again,) = by_ssid([network])
    assert again == network
    if possible:
        check_network(network, device)
        return
    with pytest.raises(InstallerError, match=r"“Home” is on .* only") as caught:
        check_network(network, device)
    assert caught.value.code is ErrorCode.NETWORK_UNSUPPORTED
    assert "2.4 GHz" in caught.value.todo


@given(st.text(max_size=100), st.sampled_from(Security))
def test_every_text_gets_a_verdict(passphrase: str, security: Security) -> None:
    problem = passphrase_problem(passphrase, security)
    assert problem is None or problem.endswith((".", "more."))


def test_a_passphrase_is_in_no_repr() -> None:
    credentials = Credentials(network=Network(ssid="Home"), passphrase=SecretStr("correct horse"))
    assert "correct horse" not in repr(credentials) + str(credentials) + credentials.model_dump_json()
