"""The network step: which Wi-Fi network, and its passphrase; both are checked before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from pydantic import SecretStr

from installer.answers import NetworkAnswer, StepKey
from installer.catalogue.model import SyncMethod
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import NetworkChosen, Notice
from installer.flow import network_spelling
from installer.flow.card_reading import decide
from installer.flow.front_end import Back, Recovery
from installer.flow.questions import AskPassphrase, ChooseNetwork
from installer.flow.situation import PROOF_ERRORS, TRUST_ERRORS, Situation, answer_missing, model_in_given_answers
from installer.flow.steps import device_connection, device_trust
from installer.flow.steps.step import Step
from installer.provisioning.provisioner import Capability, security_of
from installer.storage.reference_origin import PERSON
from installer.storage.secret_references import SecretRef
from installer.wifi import network_manager
from installer.wifi.credentials import Credentials, check_credentials, passphrase_warning
from installer.wifi.networks import Network, Security, by_ssid, check_network

# After these errors only the passphrase is asked again; the network is right or may be.
PASSPHRASE_ERRORS = (ErrorCode.JOIN_FAILED, ErrorCode.PASSPHRASE_INVALID)
THIS_COMPUTERS = SecretRef(host=True).named_by(PERSON)  # the passphrase that a person lets this computer give
HOST_NETWORK_TIMEOUT_SECONDS = 0.2  # a D-Bus answer takes a tenth of it; it only preselects a row


class NetworkStep(Step):
    """Which network, and its passphrase."""

    key = StepKey.NETWORK
    usual_seconds = 15.0

    def skip_reason(self, situation: Situation) -> str | None:
        """Only a device that syncs by Wi-Fi and has none yet needs a network."""
        if situation.method is SyncMethod.BLUETOOTH:
            return "the device syncs over Bluetooth only"
        if situation.guided:
            return "the vendor's app gives the device its network"
        if situation.keep_wifi:
            return "the device keeps the Wi-Fi network that it has"
        return None

    def check_given_answer(self, situation: Situation) -> None:
        """Refuse a passphrase that cannot be read or cannot be right, and an impossible network."""
        given, sync, options = situation.given.network, situation.given.sync, situation.options
        model = model_in_given_answers(situation)
        no_wifi = model is not None and not model.allows(SyncMethod.WIFI)
        bluetooth = sync is not None and sync.method is SyncMethod.BLUETOOTH
        if given is None or no_wifi or bluetooth or options.keep_wifi or options.guided:
            return
        if given.readings is not None:
            if len(given.readings.ssids) == 1:
                raise given.readings.ambiguous()  # no scan can decide between passphrases
            return
        if given.passphrase is not None and given.passphrase.host:
            return  # the system is asked in the step: it may ask the person for permission
        if given.secret is None and given.passphrase is not None:
            given = given.model_copy(update={"secret": given.passphrase.fetch()})
            situation.given = situation.given.with_answer(self.key, given)
        security = given.security or Security.UNKNOWN
        if given.secret is None and security.needs_passphrase:
            raise answer_missing(self.key, f"the passphrase of {Network(ssid=given.ssid).in_quotes}")
        check_credentials(_credentials(given, security))

    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> NetworkAnswer:
        """The given network, or the one that a person chooses; then its passphrase, if it needs one."""
        given = situation.given.network
        if given is not None and problem is None:
            return await self._with_passphrase(situation, given)
        if not situation.may_ask(self.key):
            raise answer_missing(self.key)
        previous = situation.chosen.network
        by_passphrase = (
            problem is not None and problem.code in PASSPHRASE_ERRORS and problem.data.get("likely") != "name"
        )
        if previous is not None and by_passphrase:
            try:
                return await self._ask_passphrase(situation, previous, problem)
            except Back:
                problem = None
        while True:
            # Ask this computer for its own network while the device scans.
            async with _host_network_lookup() as lookup:
                networks = (
                    situation.scanned_networks
                    if situation.scanned_networks is not None
                    else await self._networks(situation)
                )
                host = situation.host_network = await _result_in_time(lookup)
            can_scan = situation.provisioner is not None and (
                Capability.SCAN_NETWORKS in situation.provisioner.capabilities
            )
            answer: NetworkAnswer = await situation.ask(
                ChooseNetwork(
                    model=situation.chosen_model,
                    networks=networks,
                    scan=(lambda: self._networks(situation)) if can_scan else None,
                    host_ssid=host.ssid if host is not None else None,
                    can_go_back=can_go_back,
                    problem=problem,
                )
            )
            try:
                return await self._with_passphrase(situation, answer)
            except Back:
                problem = None

    def check(self, situation: Situation, answer: NetworkAnswer) -> None:
        """Refuse credentials with which no device could join."""
        check_credentials(_credentials(answer, _security(situation, answer)))

    async def carry_out(self, situation: Situation, answer: NetworkAnswer) -> dict[str, Any]:
        """Look the network up in the device's own scan, and keep the credentials for the provision step."""
        await device_connection.ensure_connected(situation)
        networks = (
            situation.scanned_networks if situation.scanned_networks is not None else await self._networks(situation)
        )
        seen = _as_seen(situation, answer.ssid)
        if seen is not None:
            check_network(seen, situation.chosen_model.bands)
        elif networks and not answer.hidden:
            situation.emit(
                Notice(
                    code="network_not_seen",
                    text=f"The device does not see {Network(ssid=answer.ssid).in_quotes}; it is tried anyway. "
                    "If the network is hidden, that is normal.",
                )
            )
        network = seen or Network(ssid=answer.ssid, security=answer.security or Security.UNKNOWN, hidden=answer.hidden)
        problem = _protected_after_all(answer, network, "the device") if _has_no_passphrase(answer) else None
        if problem is not None:
            raise problem
        if network.security.needs_passphrase and _has_no_passphrase(answer) and not situation.may_ask(self.key):
            raise answer_missing(self.key, f"the passphrase of {network.in_quotes}")
        situation.band_hint = ""
        if seen is None:
            await _tell_what_this_computer_hears(situation, answer, network)
        credentials = _credentials(answer, network.security)
        check_credentials(credentials)
        warning = passphrase_warning(credentials.passphrase.get_secret_value(), network.security)
        if warning:
            situation.emit(Notice(code="passphrase", text=warning))
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
        """Change a wrong network or passphrase; retry after a lost link."""
        if error.code in PROOF_ERRORS or (error.code in TRUST_ERRORS and situation.credentials_sent):
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
        """The networks that the device sees, one per SSID; empty if it cannot scan."""
        _, provisioner = await device_connection.ensure_connected(situation)
        if Capability.SCAN_NETWORKS not in provisioner.capabilities:
            return ()
        situation.scanned_networks = by_ssid(await provisioner.networks())
        return situation.scanned_networks

    async def _decided(self, situation: Situation, answer: NetworkAnswer) -> NetworkAnswer:
        """The answer with one reading of its card."""
        if answer.readings is None:
            return answer
        seen = situation.scanned_networks if situation.scanned_networks is not None else await self._networks(situation)
        return await decide(
            answer,
            by_device={network.ssid for network in seen},
            by_host=network_manager.ssids_in_reach,
            ask=situation.ask if situation.may_ask(self.key) else None,
            say=lambda code, text: situation.emit(Notice(code=code, text=text)),
        )

    async def _spelled(self, situation: Situation, answer: NetworkAnswer) -> NetworkAnswer:
        """The answer with the name that is meant. Raises NETWORK_MISSPELLED if nobody can be asked."""
        heard = situation.scanned_networks
        if heard is None or network_spelling.meant_networks(answer, heard):
            # A scan misses networks: what it did not find may be found by another one.
            heard = [*await self._networks(situation)]
        ask = situation.ask if situation.may_ask(self.key) else None
        return await network_spelling.settle(answer, heard, ask=ask)

    async def _with_passphrase(self, situation: Situation, answer: NetworkAnswer) -> NetworkAnswer:
        answer = await self._decided(situation, answer)
        self._require_passphrase(situation, answer)
        answer = await self._spelled(situation, answer)
        seen = _as_seen(situation, answer.ssid)
        problem = _protected_after_all(answer, seen, "the device") if seen and _has_no_passphrase(answer) else None
        if seen is not None and problem is not None:
            check_network(seen, situation.chosen_model.bands)
            if not situation.may_ask(self.key):
                raise problem
            return await self._ask_passphrase(situation, answer, problem)
        if answer.secret is not None:
            return answer
        if answer.passphrase is not None and answer.passphrase.host:
            return answer.model_copy(
                update={"secret": await network_manager.passphrase_of(answer.ssid, answer.passphrase)}
            )
        if answer.passphrase is not None:
            return answer.model_copy(update={"secret": answer.passphrase.fetch()})
        self._require_passphrase(situation, answer)
        security = _security(situation, answer)
        if security is Security.OPEN or not situation.may_ask(self.key):
            return answer.model_copy(update={"secret": SecretStr("")})
        bands = situation.chosen_model.bands
        check_network(_as_seen(situation, answer.ssid) or Network(ssid=answer.ssid, security=security), bands)
        return await self._ask_passphrase(situation, answer, None)

    def _require_passphrase(self, situation: Situation, answer: NetworkAnswer) -> None:
        """Raise ANSWER_MISSING if the network needs one, none is given, and nobody can be asked."""
        given = answer.secret is not None or answer.passphrase is not None
        if not given and _security(situation, answer).needs_passphrase and not situation.may_ask(self.key):
            raise answer_missing(self.key, f"the passphrase of {Network(ssid=answer.ssid).in_quotes}")

    async def _ask_passphrase(
        self, situation: Situation, answer: NetworkAnswer, problem: InstallerError | None
    ) -> NetworkAnswer:
        network = Network(ssid=answer.ssid, security=_security(situation, answer), hidden=answer.hidden)
        from_host: list[SecretStr] = []

        async def host_passphrase() -> SecretStr:
            from_host.append(await network_manager.passphrase_of(answer.ssid, THIS_COMPUTERS))
            return from_host[-1]

        # Offered only if this computer is on that network; read only if the person wants it.
        host = situation.host_network
        usable = host is not None and host.ssid == answer.ssid and host.security.needs_passphrase
        secret: SecretStr = await situation.ask(
            AskPassphrase(
                network=network,
                device=device_trust.target_of(situation),
                can_go_back=True,
                problem=problem,
                host_passphrase=host_passphrase if usable else None,
            )
        )
        # A saved answers file refers to this computer's passphrase and holds no secret.
        reference = THIS_COMPUTERS if secret in from_host else None
        security = network.security if answer.security is Security.OPEN else answer.security
        return answer.model_copy(update={"secret": secret, "passphrase": reference, "security": security})


async def scan_ahead(situation: Situation) -> None:
    """Let the device scan while something else is waited for, if this step will want that. A failure shows then."""
    provisioner, sync = situation.provisioner, situation.given.sync
    if provisioner is None or provisioner.set_up or situation.given.network is None or situation.options.keep_wifi:
        return
    wifi = situation.chosen_model.allows(SyncMethod.WIFI) and (sync is None or sync.method is SyncMethod.WIFI)
    # A proof is used only with the device that is certainly meant.
    if wifi and Capability.SCAN_NETWORKS in provisioner.capabilities and not security_of(provisioner).wants_proof:
        with suppress(InstallerError):
            situation.scanned_networks = by_ssid(await provisioner.networks())


@asynccontextmanager
async def _host_network_lookup() -> AsyncIterator[asyncio.Task[Network | None]]:
    """The lookup of this computer's network; cancelled at the end."""
    lookup = asyncio.create_task(network_manager.current_network())
    try:
        yield lookup
    finally:
        lookup.cancel()
        await asyncio.gather(lookup, return_exceptions=True)


async def _result_in_time(lookup: asyncio.Task[Network | None]) -> Network | None:
    done, _ = await asyncio.wait((lookup,), timeout=HOST_NETWORK_TIMEOUT_SECONDS)
    return lookup.result() if done else None


async def _tell_what_this_computer_hears(situation: Situation, answer: NetworkAnswer, network: Network) -> None:
    """Hints if this computer receives the network on other bands than the device's, or protected instead of open.

    Reception may differ where the device is, so they are only hints.
    """
    bands = situation.chosen_model.bands
    heard = await network_manager.heard(network.ssid) if bands or _has_no_passphrase(answer) else None
    if heard is None:
        return
    if bands and heard.all_bands and not any(band.value in bands for band in heard.all_bands):
        situation.band_hint = (
            f"This computer receives {network.in_quotes} on {' and '.join(heard.all_bands)} only, and the radio of "
            f"{situation.chosen_model.name} has {' and '.join(bands)} only. If it cannot join: switch on {bands[0]} in "
            "the router, or choose another network."
        )
        situation.emit(Notice(code="band", text=situation.band_hint))
    problem = _protected_after_all(answer, heard, "this computer") if _has_no_passphrase(answer) else None
    if problem is not None:
        situation.emit(Notice(code="not_open", text=f"{problem.what} {problem.todo}"))


def _protected_after_all(answer: NetworkAnswer, seen: Network, who: str) -> InstallerError | None:
    """The error of a network that was given as open, if `who` receives it as protected. Else None."""
    if answer.security is not Security.OPEN or not seen.security.needs_passphrase:
        return None
    if seen.security is Security.ENTERPRISE:
        return InstallerError(
            ErrorCode.NETWORK_UNSUPPORTED,
            f"{seen.in_quotes} was given as an open network, but {who} sees a company network (802.1X, “enterprise”).",
            "Choose a network with a plain passphrase, for example a guest network.",
        )
    return InstallerError(
        ErrorCode.PASSPHRASE_INVALID,
        f"{seen.in_quotes} was given as an open network, without a passphrase, but {who} sees that it is protected "
        f"({seen.security}).",
        "Give its passphrase. A code that names only the network says nothing about its passphrase.",
    )


def _has_no_passphrase(answer: NetworkAnswer) -> bool:
    return answer.passphrase is None and not (answer.secret and answer.secret.get_secret_value())


def _as_seen(situation: Situation, ssid: str) -> Network | None:
    """The network as the device saw it in its last scan."""
    return next((n for n in situation.scanned_networks or () if n.ssid == ssid), None)


def _security(situation: Situation, answer: NetworkAnswer) -> Security:
    seen = _as_seen(situation, answer.ssid)
    if answer.security is Security.OPEN and seen is not None and seen.security.needs_passphrase:
        return seen.security  # a card that names only the network is read as open
    if answer.security is not None:
        return answer.security
    if situation.network is not None and situation.network.ssid == answer.ssid:
        return situation.network.security
    return Security.UNKNOWN


def _credentials(answer: NetworkAnswer, security: Security) -> Credentials:
    network = Network(ssid=answer.ssid, security=security, hidden=answer.hidden)
    return Credentials(network=network, passphrase=answer.secret or SecretStr(""))
