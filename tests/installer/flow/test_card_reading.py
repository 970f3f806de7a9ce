"""Which reading of a card is taken: the only one in reach of the device or of this computer, else a person's choice."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from installer.answers import NetworkAnswer
from installer.errors import ErrorCode, InstallerError
from installer.flow.card_reading import Ask, decide
from installer.flow.questions import ChooseReading, Question
from installer.qr.wifi_text import parse

TWO_NAMES = "WIFI:T:WPA;S:Tom;Jerry;P:goodpassword;;"
TWO_PASSPHRASES = "WIFI:T:WPA;S:Home;P:goodpass;word;;"


async def decided(
    text: str, *, device: Collection[str] = (), host: Collection[str] = (), ask: Ask | None = None
) -> tuple[NetworkAnswer, list[str]]:
    said: list[str] = []

    async def by_host() -> Collection[str]:
        return host

    answer = NetworkAnswer.from_card(parse(text), hidden=True)
    found = await decide(answer, by_device=device, by_host=by_host, ask=ask, say=lambda _, words: said.append(words))
    return found, said


@pytest.mark.parametrize(
    ("device", "host", "who"),
    [({"Tom", "Cafe"}, (), "the device"), ((), {"Tom"}, "this computer"), ({"Tom"}, {"Tom;Jerry"}, "the device")],
)
async def test_the_only_name_in_reach_is_taken_and_said(
    device: Collection[str], host: Collection[str], who: str
) -> None:
    found, (said,) = await decided(TWO_NAMES, device=device, host=host)
    assert (found.ssid, found.hidden, found.readings) == ("Tom", True, None)
    assert f"{who} receives only “Tom”" in said
    assert "Jerry" not in said


@pytest.mark.parametrize(
    ("text", "device"),
    [
        (TWO_NAMES, ()),
        (TWO_NAMES, {"Tom", "Tom;Jerry"}),
        (TWO_NAMES, {"Cafe"}),
        (TWO_PASSPHRASES, {"Home"}),
    ],
)
async def test_what_nothing_decides_is_asked_or_refused(text: str, device: Collection[str]) -> None:
    with pytest.raises(InstallerError) as caught:
        await decided(text, device=device)
    assert caught.value.code is ErrorCode.NETWORK_AMBIGUOUS

    async def second(question: Question) -> NetworkAnswer:
        assert isinstance(question, ChooseReading)
        assert question.heard == set(device) & question.readings.ssids
        return NetworkAnswer.from_reading(question.readings.readings[1])

    found, said = await decided(text, device=device, ask=second)
    assert (found.ssid, found.hidden) == (parse(text).readings[1].ssid, True)
    assert said == []


async def test_a_password_identifier_is_told() -> None:
    _, said = await decided("WIFI:T:SAE;S:Tom;Jerry;I:staff;P:goodpassword;;", device={"Tom"})
    assert "password identifier" in said[1]
    assert "staff" not in said[1]
