"""Network: which Wi-Fi network, and its passphrase, checked before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from installer.answers import NetworkAnswer, StepKey
from installer.catalogue.catalogue import SyncMethod
from installer.errors import ErrorCode, InstallerError
from installer.events.stream import NetworkChosen, Notice
from installer.flow.questions import AskPassphrase, Back, ChooseNetwork, Recovery
from installer.flow.steps import device_connection
from installer.flow.steps.step import PROOF, Situation, Step, missing, named_model
from installer.provisioning.provisioner import Capability
from installer.storage.secret_references import SecretRef
from installer.wifi import network_manager
from installer.wifi.networks import Credentials, Network, Security, by_ssid, check_credentials, check_network

# After these, the network itself was right or may have been; only the passphrase is asked again.
PASSPHRASE_ONLY = (ErrorCode.JOIN_FAILED, ErrorCode.PASSPHRASE_INVALID)
HOST_PATIENCE = 0.2  # s; a D-Bus answer takes a tenth of it, and nobody waits longer for a preselected row


class ChooseTheNetwork(Step):
    """Which network, and its passphrase."""

    key = StepKey.NETWORK
    seconds = 15.0

    def skip_reason(self, situation: Situation) -> str | None:
        """Only a device that syncs by Wi-Fi and has none yet needs a network."""
        if situation.method is SyncMethod.BLUETOOTH:
            return "the device syncs over Bluetooth only"
        if situation.guided:
            return "the vendor's app gives the device its network"
        if situation.keep_wifi:
            return "the device keeps the Wi-Fi network that it has"
        return None

    def foresee(self, situation: Situation) -> None:
        """A passphrase that cannot be read or cannot be right, and a network that cannot be."""
        given, sync, options = situation.given.network, situation.given.sync, situation.options
        model = named_model(situation)
        no_wifi = model is not None and not model.allows(SyncMethod.WIFI)
        bluetooth = sync is not None and sync.method is SyncMethod.BLUETOOTH
        if given is None or no_wifi or bluetooth or options.keep_wifi or options.guided:
            return
        if given.passphrase is not None and given.passphrase.host:
            return  # the system is asked at the step itself: it may ask its person
        if given.secret is None and given.passphrase is not None:
            given = given.model_copy(update={"secret": given.passphrase.fetch()})
            situation.given = situation.given.with_answer(self.key, given)
        security = given.security or Security.UNKNOWN
        if given.secret is None and security.needs_passphrase:
            raise missing(self.key, f"the passphrase of {Network(ssid=given.ssid).label}")
        check_credentials(_credentials(given, security))

    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> NetworkAnswer:
        """The given network, or the one that a person picks; then the passphrase, if the network takes one."""
        given = situation.given.network
        if given is not None and problem is None:
            return await self._with_passphrase(situation, given, None)
        if not situation.may_ask(self.key):
            raise missing(self.key)
        previous = situation.made.network
        by_passphrase = problem is not None and problem.code in PASSPHRASE_ONLY and problem.data.get("likely") != "name"
        if previous is not None and by_passphrase:
            try:
                return await self._ask_passphrase(situation, previous, problem)
            except Back:
                problem = None
        while True:
            # While the device scans, this computer says which network it is on itself.
            async with _of_host() as looking:
                networks = situation.networks if situation.networks is not None else await self._networks(situation)
                host = situation.host = await _in_time(looking)
            can_scan = situation.provisioner is not None and (
                Capability.SCAN_NETWORKS in situation.provisioner.capabilities
            )
            answer: NetworkAnswer = await situation.ask(
                ChooseNetwork(
                    model=situation.the_model,
                    networks=networks,
                    scan=(lambda: self._networks(situation)) if can_scan else None,
                    host=host.ssid if host is not None else None,
                    can_go_back=can_go_back,
                    problem=problem,
                )
            )
            try:
                return await self._with_passphrase(situation, answer, None)
            except Back:
                problem = None

    def check(self, situation: Situation, answer: NetworkAnswer) -> None:
        """What a device could never join is refused here, in words."""
        check_credentials(_credentials(answer, _security(situation, answer)))

    async def carry_out(self, situation: Situation, answer: NetworkAnswer) -> dict[str, Any]:
        """Look the network up in the device's own scan, and keep the credentials for the next step."""
        await device_connection.connected(situation)
        networks = situation.networks if situation.networks is not None else await self._networks(situation)
        seen = _as_seen(situation, answer.ssid)
        if seen is not None:
            check_network(seen, situation.the_model.bands)
        elif networks and not answer.hidden:
            situation.emit(
                Notice(
                    code="network_not_seen",
                    text=f"The device does not see {Network(ssid=answer.ssid).label}; it is tried all the same. "
                    "If the network is hidden, that is normal.",
                )
            )
        network = seen or Network(ssid=answer.ssid, security=answer.security or Security.UNKNOWN, hidden=answer.hidden)
        nothing_named = answer.passphrase is None and not (answer.secret and answer.secret.get_secret_value())
        if network.security.needs_passphrase and nothing_named and not situation.may_ask(self.key):
            raise missing(self.key, f"the passphrase of {network.label}")
        situation.band_hint = "" if seen is not None else await _band_hint(situation, network)
        if situation.band_hint:
            situation.emit(Notice(code="band", text=situation.band_hint))
        credentials = _credentials(answer, network.security)
        if seen is None and answer.security is None:
            credentials = _credentials(answer, Security.UNKNOWN)
        check_credentials(credentials)
        situation.network, situation.credentials = network, credentials
        situation.emit(
            NetworkChosen(ssid=network.label, security=network.security.value, seen_by_device=seen is not None)
        )
        return {
            "ssid": network.ssid,
            "security": network.security.value,
            "hidden": answer.hidden,
            "seen": seen is not None,
        }

    def recoveries(self, situation: Situation, error: InstallerError) -> tuple[Recovery, ...]:
        """A wrong network or passphrase is changed; a dropped link is tried again."""
        if error.code in PROOF:
            return (Recovery.RETRY, Recovery.STOP)
        if error.code in (
            ErrorCode.NETWORK_UNSUPPORTED,
            ErrorCode.SSID_INVALID,
            ErrorCode.PASSPHRASE_INVALID,
            ErrorCode.SECRET_UNAVAILABLE,
        ):
            return (Recovery.CHANGE, Recovery.STOP)
        return (Recovery.RETRY, Recovery.CHANGE, Recovery.STOP)

    async def _networks(self, situation: Situation) -> Sequence[Network]:
        """What the device sees, one per SSID; empty where it cannot scan."""
        _, provisioner = await device_connection.connected(situation)
        if Capability.SCAN_NETWORKS not in provisioner.capabilities:
            return ()
        situation.networks = by_ssid(await provisioner.networks())
        return situation.networks

    async def _with_passphrase(
        self, situation: Situation, answer: NetworkAnswer, problem: InstallerError | None
    ) -> NetworkAnswer:
        if answer.secret is not None:
            return answer
        if answer.passphrase is not None and answer.passphrase.host:
            return answer.model_copy(update={"secret": await network_manager.passphrase_of(answer.ssid)})
        if answer.passphrase is not None:
            return answer.model_copy(update={"secret": answer.passphrase.fetch()})
        security = _security(situation, answer)
        if security.needs_passphrase and not situation.may_ask(self.key):
            raise missing(self.key, f"the passphrase of {Network(ssid=answer.ssid).label}")
        if security is Security.OPEN or not situation.may_ask(self.key):
            return answer.model_copy(update={"secret": SecretStr("")})
        bands = situation.the_model.bands
        check_network(_as_seen(situation, answer.ssid) or Network(ssid=answer.ssid, security=security), bands)
        return await self._ask_passphrase(situation, answer, problem)

    async def _ask_passphrase(
        self, situation: Situation, answer: NetworkAnswer, problem: InstallerError | None
    ) -> NetworkAnswer:
        network = Network(ssid=answer.ssid, security=_security(situation, answer), hidden=answer.hidden)
        given: list[SecretStr] = []

        async def of_host() -> SecretStr:
            given.append(await network_manager.passphrase_of(answer.ssid))
            return given[-1]

        # Offered where this computer is on that network itself, and asked for only if the person wants it.
        mine = situation.host is not None and situation.host.ssid == answer.ssid
        usable = mine and situation.host is not None and situation.host.security.needs_passphrase
        secret: SecretStr = await situation.ask(
            AskPassphrase(network=network, can_go_back=True, problem=problem, of_host=of_host if usable else None)
        )
        # A saved answers file names the same place, and holds no secret.
        place = SecretRef(host=True) if secret in given else None
        return answer.model_copy(update={"secret": secret, "passphrase": place})


@asynccontextmanager
async def _of_host() -> AsyncIterator[asyncio.Task[Network | None]]:
    """The question to this computer, withdrawn at the end."""
    looking = asyncio.create_task(network_manager.current())
    try:
        yield looking
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _in_time(looking: asyncio.Task[Network | None]) -> Network | None:
    done, _ = await asyncio.wait((looking,), timeout=HOST_PATIENCE)
    return looking.result() if done else None


async def _band_hint(situation: Situation, network: Network) -> str:
    """What this computer hears of a network that the device did not list: that it is on bands which the device lacks.

    Only a hint: it may be heard differently where the device is.
    """
    bands = situation.the_model.bands
    heard = await network_manager.bands_of(network.ssid) if bands else ()
    if not heard or any(band.value in bands for band in heard):
        return ""
    return (
        f"This computer hears {network.label} on {' and '.join(heard)} only, and the radio of "
        f"{situation.the_model.name} has {' and '.join(bands)} only. If it cannot join: switch on {bands[0]} in the "
        "router, or choose another network."
    )


def _as_seen(situation: Situation, ssid: str) -> Network | None:
    """The network as the device saw it in its last scan."""
    return next((n for n in situation.networks or () if n.ssid == ssid), None)


def _security(situation: Situation, answer: NetworkAnswer) -> Security:
    if answer.security is not None:
        return answer.security
    if situation.network is not None and situation.network.ssid == answer.ssid:
        return situation.network.security
    return Security.UNKNOWN


def _credentials(answer: NetworkAnswer, security: Security) -> Credentials:
    network = Network(ssid=answer.ssid, security=security, hidden=answer.hidden)
    return Credentials(network=network, passphrase=answer.secret or SecretStr(""))
