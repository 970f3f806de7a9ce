"""Asks before credentials go to a name that nobody hears, while a name is heard that a person may have meant.

An SSID counts byte by byte: with a blank at the end, or a small letter, no device joins, and the person suspects the
passphrase. So this is told before anything is sent (`installer/wifi/near_names.py` says which names are near).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from installer.answers import NetworkAnswer
from installer.errors import ErrorCode, InstallerError
from installer.flow.questions import ChooseSpelling, Question
from installer.text import in_quotes
from installer.wifi.near_names import difference, near_names
from installer.wifi.networks import Network, Security

DEVICE, COMPUTER = "the device", "this computer"
Ask = Callable[[Question], Awaitable[Any]]


async def settle(
    answer: NetworkAnswer, heard: Sequence[Network], *, ask: Ask | None, who: str = DEVICE
) -> NetworkAnswer:
    """The answer with the name that is meant; unchanged if no near name is heard, or the answer is `exact`.

    `heard`: the networks that `who` receives. `ask` None: nobody can be asked; then NETWORK_MISSPELLED is raised.
    """
    near = meant_networks(answer, heard)
    if not near:
        return answer
    if ask is None:
        raise misspelled(answer.ssid, [network.ssid for network in near], who)
    ssid = await ask(ChooseSpelling(typed=answer.ssid, heard=near, who=who, can_go_back=True))
    chosen = next((network for network in near if network.ssid == ssid), None)
    if chosen is None:
        return answer.model_copy(update={"exact": True})
    security = answer.security if chosen.security is Security.UNKNOWN else chosen.security
    return answer.model_copy(update={"ssid": chosen.ssid, "security": security, "hidden": chosen.hidden})


def meant_networks(answer: NetworkAnswer, heard: Sequence[Network]) -> tuple[Network, ...]:
    """The heard networks that may be meant by the answer; none if it is heard itself, or is exact."""
    if answer.exact or answer.readings is not None:
        return ()
    by_name = {network.ssid: network for network in heard}
    return tuple(by_name[name] for name in near_names(answer.ssid, by_name))


def misspelled(ssid: str, near: Sequence[str], who: str = DEVICE) -> InstallerError:
    """NETWORK_MISSPELLED: nothing was sent. `near`: the names that are heard, at least one."""
    heard = " and ".join(in_quotes(name) for name in near)
    return InstallerError(
        ErrorCode.NETWORK_MISSPELLED,
        f"{who[:1].upper()}{who[1:]} hears {heard}, not {in_quotes(ssid)}: they differ in {difference(ssid, near[0])}. "
        "Nothing was sent.",
        f"Did you mean {in_quotes(near[0])}? Give the name so. Or send the other one all the same: --exact, or "
        "exact = true in the answers or the plan.",
        ssid=ssid,
        heard=list(near),
    )
