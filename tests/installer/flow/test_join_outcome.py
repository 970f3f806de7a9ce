"""The likely reason of a failed join, from the device's own list of networks."""

from __future__ import annotations

from typing import Any

import pytest

from installer.errors import ErrorCode, InstallerError
from installer.flow.steps.join_failure_reason import with_likely_reason
from installer.wifi.networks import Network

HOME = Network(ssid="Home")
NEAR, FAR, UNTOLD = (Network(ssid="Home", rssi=rssi) for rssi in (-48, -85, None))
OTHER = Network(ssid="Office", rssi=-40)


def error(code: ErrorCode = ErrorCode.JOIN_FAILED, **data: Any) -> InstallerError:
    return InstallerError(code, "It could not join.", "Restart it.", **data)


@pytest.mark.parametrize(
    ("network", "seen", "likely", "word"),
    [
        (HOME, [OTHER, NEAR], "passphrase", "-48 dBm"),
        (HOME, [FAR], "reach", "closer"),
        (HOME, [OTHER], "name", "hardly the reason"),
        (HOME, [UNTOLD], None, ""),
        (HOME, [], None, ""),
        (Network(ssid="Home", hidden=True), [OTHER], None, ""),
    ],
)
def test_what_is_likely(network: Network, seen: list[Network], likely: str | None, word: str) -> None:
    given = error()
    told = with_likely_reason(given, network, seen)
    assert (told.code, told.what, told.data.get("likely")) == (given.code, given.what, likely)
    assert word in told.todo
    if likely is None:
        assert told is given


@pytest.mark.parametrize(
    "given", [error(reason="authentication"), error(ErrorCode.NETWORK_NOT_FOUND), error(ErrorCode.CONNECTION_LOST)]
)
def test_a_device_that_told_the_reason_is_believed(given: InstallerError) -> None:
    assert with_likely_reason(given, HOME, [NEAR]) is given


def test_what_the_firmware_needs_is_still_said() -> None:
    told = with_likely_reason(error(reason="unknown", reconnect=True), HOME, [NEAR])
    assert told.todo.endswith("Restart it.")
    assert told.data["reconnect"] is True
