"""Decides which reading of a Wi-Fi card is meant: the only one, the only one in reach, or the one a person chooses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from installer.answers import NetworkAnswer
from installer.flow.questions import ChooseReading, Question
from installer.wifi.card_readings import PASSWORD_IDENTIFIER, CardReading, CardReadings

Ask = Callable[[Question], Awaitable[Any]]


async def decide(
    answer: NetworkAnswer,
    *,
    by_device: Collection[str] = (),
    by_host: Callable[[], Awaitable[Collection[str]]],
    ask: Ask | None,
    say: Callable[[str, str], None],
) -> NetworkAnswer:
    """The answer with one reading of its card; unchanged if it is decided already.

    `by_device`: the SSIDs that the device receives; `by_host`: those of this computer, looked up if the device's do not
    decide. `ask` None: nobody can be asked. `say(code, text)`: tells the person what was taken.

    Raises NETWORK_AMBIGUOUS if nobody can be asked and nothing decides.
    """
    readings = answer.readings
    if readings is None:
        return answer
    who, heard = "the device", frozenset(by_device)
    reading = readings.certain or readings.among(heard)
    if reading is None:
        who, heard = "this computer", heard or frozenset(await by_host())
        reading = readings.among(heard)
    if reading is not None:
        say("card_reading", _taken(readings, reading, who))
        found = NetworkAnswer.from_reading(reading, hidden=answer.hidden)
        found = found.model_copy(update={"exact": answer.exact})
    elif ask is None:
        raise readings.ambiguous()
    else:
        found = await ask(ChooseReading(readings=readings, heard=heard & readings.ssids, can_go_back=True))
        found = found.model_copy(update={"hidden": found.hidden or answer.hidden})
    if any(each.password_identifier for each in readings.readings):
        say("password_identifier", PASSWORD_IDENTIFIER)
    return found


def _taken(readings: CardReadings, reading: CardReading, who: str) -> str:
    """What was taken and why. The SSID is on the air, so it may be shown."""
    return (
        f"The code of the network can be read in {len(readings.readings)} ways. Of the names that it may have, {who} "
        f"receives only {reading.network.in_quotes}: that is taken."
    )
