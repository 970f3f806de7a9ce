"""Whether the device may get the passphrase: it is the one of the first connection, and meets the minimum.

The one place for both checks. `check_same_device` runs after every connection, `check_minimum` before anything secret
is read or sent, and `check_before_sending` at the last moment. The rules are in
`installer/provisioning/required_security.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from installer.answers import Answers, FindAnswer, StepKey
from installer.bluetooth.device_information import MAX_TEXT_LENGTH
from installer.catalogue.model import SyncMethod
from installer.errors import InstallerError
from installer.events.installation import Notice
from installer.flow.questions import AcceptUnproved, TargetDevice
from installer.flow.situation import AcceptedConnection, Situation
from installer.provisioning import registry, required_security
from installer.provisioning.provisioner import ConnectionSecurity, prove, security_of
from installer.provisioning.required_security import RequiredSecurity, SeenDevice
from installer.text import printable, quoted

if TYPE_CHECKING:
    from installer.provisioning.provisioner import Provisioner


def stated_in(answer: FindAnswer) -> RequiredSecurity:
    """The minimum that a given proof, a label, and a user name state."""
    return RequiredSecurity(proof=answer.must_prove, scheme=answer.least_scheme)


def required_of_all(answers: Answers, asked: Collection[StepKey]) -> RequiredSecurity:
    """What answers ask of any device, also if a person is asked for these steps in their stead."""
    provision, find = answers.provision, answers.find if StepKey.FIND in asked else None
    found = RequiredSecurity(encryption=provision is not None and provision.require_encryption)
    return found if find is None else found | stated_in(find)


def required(situation: Situation) -> RequiredSecurity:
    """The minimum of the chosen device, from all who may raise it: answers, label, typed proof, record, options.

    What was stated for a device that the person left is a part of it: the next device may pretend to be that one.
    """
    return _stated(situation) | situation.required_before


def _stated(situation: Situation) -> RequiredSecurity:
    """The minimum that was stated for the chosen device itself.

    A label names its device: what it states holds for every device of that name, whichever one a person points at.
    """
    found = situation.required_of_all | RequiredSecurity(encryption=situation.options.require_encryption)
    sighting = situation.sighting
    for key in (sighting.address, sighting.name) if sighting is not None else ():
        found |= situation.required_security.get(key.strip().lower(), RequiredSecurity())
    given = situation.given.find
    return found if given is None else found | stated_in(given)


def leave_device(situation: Situation) -> None:
    """Keep the minimum of the chosen or given device, before a person chooses another one.

    Else a device that was refused would only have to be followed by a twin that offers less.
    """
    stated, sighting, given = _stated(situation), situation.sighting, situation.given.find
    if not (stated.proof or stated.scheme):
        return
    situation.required_before |= stated
    if sighting is not None:
        situation.left_device = f"{sighting.address} {quoted(sighting.name)}".strip()
    elif given is not None:
        situation.left_device = given.device or quoted(given.name or given.model or "")


def with_minimum(situation: Situation, answer: FindAnswer) -> FindAnswer:
    """The answer with all that is asked of the device, for the record and a saved file."""
    asked = required(situation)
    security = next((n for n in (1, 2) if n == asked.scheme), answer.security)
    return answer.model_copy(update={"require_proof": asked.proof, "security": security})


def seen_before(situation: Situation) -> SeenDevice:
    """What the chosen device showed at earlier connections of this run, or of the attempt that is resumed."""
    return situation.environment.seen_devices.get(situation.chosen_sighting.address, SeenDevice())


def target_of(situation: Situation) -> TargetDevice:
    """The chosen device, for a question about a secret that goes to it."""
    sighting, given = situation.chosen_sighting, situation.given.find
    origin = given.origin if given is not None else None
    return TargetDevice(
        address=sighting.address,
        name=sighting.name,
        model=situation.chosen_model.name,
        chosen_by=origin.source if origin is not None and not origin.trusted else "",
    )


def check_same_device(situation: Situation, provisioner: Provisioner, serial: str) -> None:
    """Compare a new connection with the earlier ones, and remember it. Raises DEVICE_CHANGED.

    `serial`: the serial number that was read now; empty if there is none.
    """
    address = situation.chosen_sighting.address
    before, now = seen_before(situation), SeenDevice(provisioner.protocol, security_of(provisioner), serial)
    difference = before.difference(now, registry.label_of)
    if difference:
        raise required_security.changed(situation.chosen_model.name, address, difference)
    if before.serial and not serial:
        # Nothing but a proof can say now that it is the same one.
        situation.require(address, RequiredSecurity(proof=True))
    situation.environment.seen_devices[address] = before.raised_by(now)


async def check_minimum(situation: Situation, *, before_handshake: bool) -> None:
    """Refuse a connection below the minimum if credentials will go over it; a person is asked to accept it.

    Raises SECURITY_TOO_LOW.
    """
    provisioner = situation.provisioner
    if provisioner is None or not _gets_credentials(situation):
        return
    unmet = _unmet(situation, provisioner, before_handshake=before_handshake)
    if not unmet:
        return
    offer, error = _offer(provisioner), _too_low(situation, provisioner, unmet)
    if not situation.options.allow_unproved:
        if not situation.may_ask(StepKey.PROVISION):
            raise error.with_advice(f"{error.todo} To send it all the same, give --allow-unproved.")
        question = AcceptUnproved(
            model=situation.chosen_model,
            name=situation.chosen_sighting.name,
            address=situation.chosen_sighting.address,
            asked=unmet,
            offered=offer,
            encrypted=security_of(provisioner).encrypted,
        )
        if not await situation.ask(question):
            raise error
    situation.accepted_unproved.add(_key(situation, provisioner))
    text = f"The device gets the passphrase although it has not proved itself: {unmet}, and it offers {offer}."
    situation.emit(Notice(code="unproved", text=text))


async def prove_and_check(situation: Situation, provisioner: Provisioner) -> None:
    """Let the device prove itself, and refuse it if it does not. Raises SECURITY_TOO_LOW, and what `prove` raises."""
    await prove(provisioner)
    await check_minimum(situation, before_handshake=False)


def check_before_sending(situation: Situation, provisioner: Provisioner) -> None:
    """The last check, when the driver is about to send. Raises SECURITY_TOO_LOW."""
    unmet = _unmet(situation, provisioner, before_handshake=False)
    if unmet:
        raise _too_low(situation, provisioner, unmet)


def for_record(provisioner: Provisioner) -> dict[str, Any]:
    """What the record keeps of a connection's security; `seen_in` reads it."""
    security = security_of(provisioner)
    return {
        "security": security.scheme,
        "encrypted": security.encrypted,
        "wants_proof": security.wants_proof,
        "authenticated": security.authenticated,
    }


def seen_in(result: Mapping[str, Any]) -> SeenDevice:
    """What the result of an earlier find step says of the device. Others may have written it: a value of a wrong type
    counts as not known, and the texts are safe for a terminal.
    """
    protocol, serial, scheme = result.get("protocol"), result.get("serial"), result.get("security")
    security = None
    if isinstance(result.get("encrypted"), bool):
        security = ConnectionSecurity(
            encrypted=result["encrypted"],
            wants_proof=result.get("wants_proof") is True,
            scheme=scheme if isinstance(scheme, int) and not isinstance(scheme, bool) else None,
            authenticated=result.get("authenticated") is True,
        )
    texts = (printable(text, MAX_TEXT_LENGTH) if isinstance(text, str) else "" for text in (protocol, serial))
    return SeenDevice(next(texts), security, next(texts))


def _unmet(situation: Situation, provisioner: Provisioner, *, before_handshake: bool) -> str:
    if _key(situation, provisioner) in situation.accepted_unproved:
        return ""
    security, can_prove = security_of(provisioner), registry.can_prove(provisioner.protocol)
    return _stated(situation).unmet(
        security, can_prove=can_prove, before_handshake=before_handshake
    ) or situation.required_before.unmet(
        security, can_prove=can_prove, before_handshake=before_handshake, of=situation.left_device
    )


def _offer(provisioner: Provisioner) -> str:
    return required_security.offered(registry.label_of(provisioner.protocol), security_of(provisioner))


def _too_low(situation: Situation, provisioner: Provisioner, unmet: str) -> InstallerError:
    address, name = situation.chosen_sighting.address, situation.chosen_model.name
    return required_security.too_low(name, address, unmet, _offer(provisioner), security_of(provisioner))


def _key(situation: Situation, provisioner: Provisioner) -> AcceptedConnection:
    security = replace(security_of(provisioner), proved=False)
    return situation.chosen_sighting.address, provisioner.protocol, security, required(situation)


def _gets_credentials(situation: Situation) -> bool:
    """Whether this installation sends credentials to the device, as far as it is known yet."""
    if situation.guided or situation.keep_wifi:
        return False
    given, sync = situation.given.sync, situation.chosen_model.sync
    method = situation.method or (given.method if given is not None else sync[0] if len(sync) == 1 else None)
    return method is SyncMethod.WIFI
