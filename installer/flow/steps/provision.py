"""The provision step: send the credentials to the device and follow it until it has joined."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from installer.answers import ProvisionAnswer, StepKey
from installer.catalogue.model import SyncMethod
from installer.catalogue.sync_rule_wifi_or_bluetooth import check_sync
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import Notice, Provisioning
from installer.flow.front_end import Recovery
from installer.flow.load_ahead import load_ahead
from installer.flow.questions import ConfirmSending
from installer.flow.situation import PROOF_ERRORS, TRUST_ERRORS, Situation, model_in_given_answers
from installer.flow.steps import device_connection, device_trust, join_outcome
from installer.flow.steps.join_failure_reason import with_likely_reason
from installer.flow.steps.step import Step
from installer.provisioning import registry
from installer.provisioning.provisioner import Capability, Stage, security_of
from installer.wifi.repeated_secrets import repeats

if TYPE_CHECKING:
    from installer.provisioning.provisioner import Provisioner
    from installer.wifi.credentials import Credentials

CREDENTIALS_STORED = (
    "The device keeps the credentials; whether it can join shows when it is within reach of the network."
)
UNENCRYPTED_WARNING = "The passphrase travels unencrypted over Bluetooth: somebody close by with a radio could read it."


class ProvisionStep(Step):
    """Send the credentials, with the person's consent."""

    key = StepKey.PROVISION
    usual_seconds = 60.0

    def skip_reason(self, situation: Situation) -> str | None:
        """A device that syncs over Bluetooth only, or is on Wi-Fi already, gets no credentials."""
        if situation.method is SyncMethod.BLUETOOTH:
            return "the device syncs over Bluetooth only"
        if situation.keep_wifi:
            return "the device is on Wi-Fi already"
        return None

    def check_given_answer(self, situation: Situation) -> None:
        """Refuse required encryption for a model whose protocols have none."""
        given, sync, model = situation.given.provision, situation.given.sync, model_in_given_answers(situation)
        wanted = situation.options.require_encryption or (given is not None and given.require_encryption)
        if not wanted or model is None or situation.options.guided:
            return
        uses_wifi = model.allows(SyncMethod.WIFI) and (sync is None or sync.method is SyncMethod.WIFI)
        if uses_wifi and not situation.options.keep_wifi and registry.never_encrypt(model.protocols):
            raise _unencrypted(model.name, " or ".join(model.protocols))

    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> ProvisionAnswer:
        """A person confirms; a script consents by giving the credentials."""
        given = situation.given.provision
        if given is not None and problem is None and (given.is_own or not situation.may_ask(self.key)):
            return given
        if situation.credentials_sent or not situation.may_ask(self.key):
            # Consent was given with the first try, or by the script that gave the credentials.
            return ProvisionAnswer()
        _, provisioner = await device_connection.ensure_connected(situation)
        if situation.network is None:
            raise InstallerError(ErrorCode.INTERNAL, "No network was chosen.", "This is a defect; report it.")
        # The question says whether the device has proved itself.
        await device_trust.prove_and_check(situation, provisioner)
        answer: ProvisionAnswer = await situation.ask(
            ConfirmSending(
                model=situation.chosen_model,
                network=situation.network,
                protocol=provisioner.protocol,
                encrypted=provisioner.encrypts_credentials,
                proved=security_of(provisioner).proved,
                safe_from_relays=security_of(provisioner).safe_from_relays,
                device=device_trust.target_of(situation),
                warning=situation.band_hint,
                can_go_back=can_go_back,
                problem=problem,
            )
        )
        # A file of somebody else cannot consent, but it can ask for more.
        stricter = given is not None and given.require_encryption
        return answer.model_copy(update={"require_encryption": answer.require_encryption or stricter})

    def check(self, situation: Situation, answer: ProvisionAnswer) -> None:
        """The sync rule again, right before sending; and required encryption."""
        check_sync(situation.chosen_model, SyncMethod.WIFI)
        provisioner = situation.provisioner
        wanted = answer.require_encryption or device_trust.required(situation).encryption
        if not wanted or provisioner is None:
            return
        device = f"{situation.chosen_model.name} {situation.chosen_sighting.address}"
        if not provisioner.encrypts_credentials:
            raise _unencrypted(device, provisioner.protocol)
        if not security_of(provisioner).safe_from_listeners:
            raise _recordable(device, provisioner.protocol)

    def plan(self, situation: Situation, answer: ProvisionAnswer) -> str | None:
        """Sending cannot be undone, so a dry run does not send."""
        network = situation.network.in_quotes if situation.network else "?"
        return f"send the credentials of network {network} to {situation.chosen_sighting.address}"

    async def carry_out(self, situation: Situation, answer: ProvisionAnswer) -> dict[str, Any]:
        """Send the credentials and follow the device. After a failure, nothing is sent again without a decision."""
        if situation.join_unconfirmed:
            return await join_outcome.ask_device_if_joined(situation)
        _, provisioner = await device_connection.ensure_connected(situation)
        # A new connection may have another provisioner than the one that was checked.
        self.check(situation, answer)
        credentials = situation.credentials
        if credentials is None:
            raise InstallerError(ErrorCode.INTERNAL, "No network was chosen.", "This is a defect; report it.")
        if situation.credentials_sent and provisioner.set_up:
            # The link was lost after the device had the credentials, and then the device joined.
            situation.emit(Provisioning(stage=Stage.JOINED))
            return _result(situation, provisioner, credentials)
        await device_trust.prove_and_check(situation, provisioner)
        if not provisioner.encrypts_credentials:
            situation.emit(Notice(code="unencrypted", text=UNENCRYPTED_WARNING))
        store_only = _network_is_absent(situation)
        if store_only:
            _check_can_store(situation, provisioner)
        sent_before = situation.credentials_sent
        if situation.chosen_model.cloud.data and not situation.link_later:
            load_ahead("httpx")  # for the link step, while the device joins
        try:
            await self._send(situation, provisioner, credentials, store_only=store_only)
        except InstallerError as error:
            if error.code in (ErrorCode.JOIN_FAILED, ErrorCode.NETWORK_NOT_FOUND) and situation.band_hint:
                raise error.with_advice(f"{error.todo} {situation.band_hint}") from None
            if error.code is not ErrorCode.DEVICE_ALREADY_SET_UP or not sent_before:
                raise with_likely_reason(error, credentials.network, situation.scanned_networks or ()) from None
            # The device joined with the credentials of an earlier try.
            situation.emit(Provisioning(stage=Stage.JOINED))
        if situation.credentials_stored:
            situation.emit(Notice(code="stored", text=CREDENTIALS_STORED))
        return _result(situation, provisioner, credentials)

    async def _send(
        self, situation: Situation, provisioner: Provisioner, credentials: Credentials, *, store_only: bool
    ) -> None:
        async with aclosing(_progress(provisioner, credentials, store_only=store_only)) as stages:
            async for progress in stages:
                if progress.stage is Stage.SENDING:
                    device_trust.check_before_sending(situation, provisioner)
                if progress.stage is Stage.SENDING and not situation.credentials_sent:
                    await situation.record.sending(situation.chosen_sighting.address, credentials.network.ssid)
                    situation.credentials_sent = True
                situation.credentials_stored = progress.stage is Stage.STORED
                needs_button = progress.stage is Stage.AUTHORIZATION_NEEDED
                situation.emit(
                    Provisioning(
                        stage=progress.stage,
                        seconds=None if progress.seconds is None else round(progress.seconds, 1),
                        todo=situation.chosen_model.button if needs_button else "",
                        attempts_left=progress.attempts_left,
                    )
                )
                url = "" if repeats(progress.url or "", situation.secrets_of_device) else progress.url
                situation.device_url = url or situation.device_url

    def recoveries(self, situation: Situation, error: InstallerError) -> tuple[Recovery, ...]:
        """After a failed join, offer another passphrase first; otherwise a retry."""
        if error.code is ErrorCode.ENCRYPTION_REQUIRED:
            return (Recovery.STOP,)
        if error.code in PROOF_ERRORS or (error.code in TRUST_ERRORS and situation.credentials_sent):
            return (Recovery.RETRY, Recovery.STOP)
        if error.code in (ErrorCode.JOIN_FAILED, ErrorCode.NETWORK_NOT_FOUND):
            return (Recovery.CHANGE, Recovery.RETRY, Recovery.STOP)
        return (Recovery.RETRY, Recovery.CHANGE, Recovery.STOP)

    def change_step(self, error: InstallerError) -> StepKey:
        """The network can be changed; after an error of trust, the device."""
        return super().change_step(error) if error.code in TRUST_ERRORS else StepKey.NETWORK


def _result(situation: Situation, provisioner: Provisioner, credentials: Credentials) -> dict[str, Any]:
    """For the record. `proved`: whether the device had proved itself when it got the credentials."""
    return {
        "protocol": provisioner.protocol,
        "ssid": credentials.network.ssid,
        "url": situation.device_url,
        "proved": security_of(provisioner).proved,
    }


def _unencrypted(device: str, protocol: str) -> InstallerError:
    return InstallerError(
        ErrorCode.ENCRYPTION_REQUIRED,
        f"{device} takes the passphrase unencrypted over Bluetooth (protocol: {protocol}), and encryption is required.",
        "Nothing was sent. Leave out --require-encryption if nobody else is within radio reach.",
        protocol=protocol,
    )


def _recordable(device: str, protocol: str) -> InstallerError:
    return InstallerError(
        ErrorCode.ENCRYPTION_REQUIRED,
        f"{device} encrypts the passphrase, but its firmware does so in an old way that somebody who records the radio "
        f"traffic may be able to read (protocol: {protocol}), and encryption is required.",
        "Nothing was sent. Update the device's firmware, or leave out --require-encryption if nobody else is within "
        "radio reach.",
        protocol=protocol,
    )


def _network_is_absent(situation: Situation) -> bool:
    """Whether the device is prepared for a network that is not in reach here."""
    network = situation.network
    if not situation.link_later or network is None or network.hidden or not situation.scanned_networks:
        return False
    return all(seen.ssid != network.ssid for seen in situation.scanned_networks)


def _check_can_store(situation: Situation, provisioner: Provisioner) -> None:
    """Raise NETWORK_NOT_FOUND before sending if the protocol cannot store credentials of an absent network."""
    if Capability.STORE in provisioner.capabilities:
        return
    label = situation.network.in_quotes if situation.network is not None else "the network"
    raise InstallerError(
        ErrorCode.NETWORK_NOT_FOUND,
        f"{situation.chosen_model.name} {situation.chosen_sighting.address} does not see {label}, and it takes only a "
        f"network that it can join at once (protocol: {provisioner.protocol}). Nothing was sent.",
        "Provision it where the network is in reach, or bring an access point of the same name and passphrase here.",
        protocol=provisioner.protocol,
        absent=True,
    )


async def _progress(provisioner: Any, credentials: Any, *, store_only: bool = False) -> Any:
    async with aclosing((provisioner.store if store_only else provisioner.provision)(credentials)) as stages:
        async for progress in stages:
            yield progress
