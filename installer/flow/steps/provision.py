"""Provision: hand the credentials to the device and follow it until it has joined."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from installer.answers import ProvisionAnswer, StepKey
from installer.catalogue.catalogue import SyncMethod, check_sync
from installer.errors import ErrorCode, InstallerError
from installer.events.stream import Notice, Provisioning
from installer.flow.questions import ConfirmSending, Recovery
from installer.flow.steps import device_connection as device
from installer.flow.steps import join_confirmation
from installer.flow.steps.join_failure_reason import likelier
from installer.flow.steps.step import PROOF, Situation, Step, named_model
from installer.provisioning.provisioner import UNENCRYPTED, Capability, Stage

if TYPE_CHECKING:
    from installer.provisioning.provisioner import Provisioner
    from installer.wifi.networks import Credentials

STORED = "The device keeps the credentials; whether it can join shows when it is within reach of the network."
ENCRYPTION = "The passphrase travels unencrypted over Bluetooth: somebody close by with a radio could read it."


class Provision(Step):
    """May the credentials be sent? Then send them."""

    key = StepKey.PROVISION
    seconds = 60.0

    def skip_reason(self, situation: Situation) -> str | None:
        """Nothing of Wi-Fi is sent to a device that syncs over Bluetooth only, or that is on Wi-Fi already."""
        if situation.method is SyncMethod.BLUETOOTH:
            return "the device syncs over Bluetooth only"
        if situation.keep_wifi:
            return "the device is on Wi-Fi already"
        return None

    def foresee(self, situation: Situation) -> None:
        """Encryption that is required, and a model that is known to have none."""
        given, sync, model = situation.given.provision, situation.given.sync, named_model(situation)
        wanted = situation.options.require_encryption or (given is not None and given.require_encryption)
        if not wanted or model is None or situation.options.guided:
            return
        by_wifi = model.allows(SyncMethod.WIFI) and (sync is None or sync.method is SyncMethod.WIFI)
        if by_wifi and not situation.options.keep_wifi and set(model.protocols) <= UNENCRYPTED:
            raise _unencrypted(model.name, " or ".join(model.protocols))

    async def answer(self, situation: Situation, problem: InstallerError | None, can_go_back: bool) -> ProvisionAnswer:
        """A person confirms; a script has decided by giving the credentials."""
        given = situation.given.provision
        if given is not None and problem is None:
            return given
        if situation.sent or not situation.may_ask(self.key):
            # Consent to send was given with the first try, or by supplying the credentials to a script.
            return ProvisionAnswer()
        _, provisioner = await device.connected(situation)
        if situation.network is None:
            raise InstallerError(ErrorCode.INTERNAL, "No network was chosen.", "This is a defect; report it.")
        answer: ProvisionAnswer = await situation.ask(
            ConfirmSending(
                model=situation.the_model,
                network=situation.network,
                protocol=provisioner.protocol,
                encrypted=provisioner.encrypts_credentials,
                warning=situation.band_hint,
                can_go_back=can_go_back,
                problem=problem,
            )
        )
        return answer

    def check(self, situation: Situation, answer: ProvisionAnswer) -> None:
        """The sync rule once more, right before sending; and the wish for encryption."""
        check_sync(situation.the_model, SyncMethod.WIFI)
        provisioner = situation.provisioner
        wanted = answer.require_encryption or situation.options.require_encryption
        if wanted and provisioner is not None and not provisioner.encrypts_credentials:
            raise _unencrypted(f"{situation.the_model.name} {situation.the_sighting.address}", provisioner.protocol)

    def plan(self, situation: Situation, answer: ProvisionAnswer) -> str | None:
        """Sending cannot be taken back, so a dry run stops here."""
        network = situation.network.label if situation.network else "?"
        return f"send the credentials of network {network} to {situation.the_sighting.address}"

    async def carry_out(self, situation: Situation, answer: ProvisionAnswer) -> dict[str, Any]:
        """Send and follow. Nothing is sent twice: after a failure the person or the script decides."""
        if situation.unsettled:
            return await join_confirmation.settle(situation)
        _, provisioner = await device.connected(situation)
        # The connection may be new, with another driver than the one that was checked.
        self.check(situation, answer)
        credentials = situation.credentials
        if credentials is None:
            raise InstallerError(ErrorCode.INTERNAL, "No network was chosen.", "This is a defect; report it.")
        if situation.sent and provisioner.set_up:
            # The link dropped after the device had the credentials; it joined without being watched.
            situation.emit(Provisioning(stage=Stage.JOINED))
            return {"protocol": provisioner.protocol, "ssid": credentials.network.ssid, "url": situation.url}
        if not provisioner.encrypts_credentials:
            situation.emit(Notice(code="unencrypted", text=ENCRYPTION))
        absent = _is_absent(situation)
        if absent:
            _check_store(situation, provisioner)
        before = situation.sent
        try:
            await self._send(situation, provisioner, credentials, absent=absent)
        except InstallerError as error:
            if error.code in (ErrorCode.JOIN_FAILED, ErrorCode.NETWORK_NOT_FOUND) and situation.band_hint:
                raise InstallerError(
                    error.code, error.what, f"{error.todo} {situation.band_hint}", **error.data
                ) from None
            if error.code is not ErrorCode.DEVICE_ALREADY_SET_UP or not before:
                raise likelier(error, credentials.network, situation.networks or ()) from None
            # It was still joining with what an earlier try had sent.
            situation.emit(Provisioning(stage=Stage.JOINED))
        if situation.stored:
            situation.emit(Notice(code="stored", text=STORED))
        return {"protocol": provisioner.protocol, "ssid": credentials.network.ssid, "url": situation.url}

    async def _send(
        self, situation: Situation, provisioner: Provisioner, credentials: Credentials, *, absent: bool
    ) -> None:
        async with aclosing(_progress(provisioner, credentials, absent=absent)) as stages:
            async for progress in stages:
                if progress.stage is Stage.SENDING and not situation.sent:
                    await situation.record.sending(situation.the_sighting.address, credentials.network.ssid)
                    situation.sent = True
                situation.stored = progress.stage is Stage.STORED
                waiting = progress.stage is Stage.AUTHORIZATION_NEEDED
                situation.emit(
                    Provisioning(
                        stage=progress.stage,
                        seconds=None if progress.seconds is None else round(progress.seconds, 1),
                        todo=situation.the_model.button if waiting else "",
                        attempts_left=progress.attempts_left,
                    )
                )
                situation.url = progress.url or situation.url

    def recoveries(self, situation: Situation, error: InstallerError) -> tuple[Recovery, ...]:
        """A device that could not join wants another passphrase first; the rest is tried again."""
        if error.code is ErrorCode.ENCRYPTION_REQUIRED:
            return (Recovery.STOP,)
        if error.code in PROOF:
            return (Recovery.RETRY, Recovery.STOP)
        if error.code in (ErrorCode.JOIN_FAILED, ErrorCode.NETWORK_NOT_FOUND):
            return (Recovery.CHANGE, Recovery.RETRY, Recovery.STOP)
        return (Recovery.RETRY, Recovery.CHANGE, Recovery.STOP)

    def change_at(self, error: InstallerError) -> StepKey:
        """What can be changed about sending is the network."""
        return StepKey.NETWORK


def _unencrypted(device: str, protocol: str) -> InstallerError:
    return InstallerError(
        ErrorCode.ENCRYPTION_REQUIRED,
        f"{device} takes the passphrase unencrypted over Bluetooth (protocol: {protocol}), and encryption is required.",
        "Nothing was sent. Leave out --require-encryption if nobody else is within radio reach.",
        protocol=protocol,
    )


def _is_absent(situation: Situation) -> bool:
    """Whether the device is prepared for a network that it does not see here."""
    network = situation.network
    if not situation.later or network is None or network.hidden or not situation.networks:
        return False
    return all(seen.ssid != network.ssid for seen in situation.networks)


def _check_store(situation: Situation, provisioner: Provisioner) -> None:
    """Most protocols take only what the device can join at once; that is said before anything is sent."""
    if Capability.STORE in provisioner.capabilities:
        return
    label = situation.network.label if situation.network is not None else "the network"
    raise InstallerError(
        ErrorCode.NETWORK_NOT_FOUND,
        f"{situation.the_model.name} {situation.the_sighting.address} does not see {label}, and it takes only a "
        f"network that it can join at once (protocol: {provisioner.protocol}). Nothing was sent.",
        "Provision it where the network is in reach, or bring an access point of the same name and passphrase here.",
        protocol=provisioner.protocol,
        absent=True,
    )


async def _progress(provisioner: Any, credentials: Any, *, absent: bool = False) -> Any:
    async with aclosing((provisioner.store if absent else provisioner.provision)(credentials)) as stages:
        async for progress in stages:
            yield progress
