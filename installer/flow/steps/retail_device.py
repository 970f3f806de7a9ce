"""Recognises a retail device: one of no open protocol, which only its vendor's app sets up. Asks it, read only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.answers import StepKey
from installer.bluetooth.sighting import Advert
from installer.errors import ErrorCode, InstallerError
from installer.events.stream import Notice
from installer.flow.steps.step import Situation
from installer.provisioning.guided import checklist
from installer.provisioning.provisioner import DeviceInfo

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection

# With --guided these do not matter: the device can be busy with the phone that is to set it up.
BUSY = (
    ErrorCode.CONNECTION_FAILED,
    ErrorCode.CONNECTION_LOST,
    ErrorCode.DEVICE_MISBEHAVED,
    ErrorCode.DEVICE_REFUSED,
)


async def recognise(situation: Situation, connection: Connection) -> bool:
    """Whether the device is to be set up with the vendor's app; then it was asked who it is.

    Raises DEVICE_UNSUPPORTED where it is another model than was said, or where nobody could follow the guide.
    """
    from installer.provisioning.withings.probe import probe, proves

    if not _possible(situation):
        return False
    wanted = situation.options.guided
    if not (wanted or proves(connection) or situation.the_sighting.detection.protocol == checklist.PROTOCOL):
        return False
    if not wanted and not situation.may_ask(StepKey.PROVISION):
        raise InstallerError(
            ErrorCode.DEVICE_UNSUPPORTED,
            f"{situation.the_model.name} {situation.the_sighting.address} speaks no open set-up protocol: only its "
            "vendor's app sets it up.",
            "With --guided this run waits until somebody has done that, and goes on from there.",
            guided=True,
        )
    _check_model(situation, connection)
    try:
        told = await probe(connection)
    except InstallerError as error:
        # A device that wants no such question is still recognised by its table.
        if error.code is not ErrorCode.CONNECTION_LOST:
            raise
        told = None
    situation.guided = True
    situation.associated = told.associated if told is not None else None
    if situation.info is None:
        situation.info = told.info if told is not None else DeviceInfo(name=situation.the_sighting.name)
    return True


def goes_on_without(situation: Situation, error: InstallerError) -> bool:
    """Whether a device that could not be asked is set up with the vendor's app all the same, as --guided wants it."""
    if not situation.options.guided or error.code not in BUSY or not _possible(situation):
        return False
    situation.guided, situation.associated = True, None
    situation.info = DeviceInfo(name=situation.the_sighting.name)
    situation.emit(Notice(code="not_asked", text=f"The device could not be asked who it is. {error.what}"))
    return True


async def settle(situation: Situation, *, confirmed: bool) -> None:
    """A device that is on an account already: only if somebody says so, or if this program saw it go there."""
    address = situation.the_sighting.address
    records = situation.surroundings.records
    situation.handed_over = await records.store.call(records.handed_over, address)
    if situation.associated is False:
        # It was reset since.
        situation.handed_over = None
    if not situation.associated or situation.handed_over:
        return
    if situation.resumed and not (confirmed or situation.options.keep_wifi):
        # It may have come there since the earlier attempt: the account tells, by when it was first seen.
        situation.associated_since = True
    elif not (confirmed or situation.options.keep_wifi):
        raise InstallerError(
            ErrorCode.DEVICE_ALREADY_SET_UP,
            f"{situation.the_model.name} {address} is on an account already.",
            "If that account is yours, give --keep-wifi. Else take the device off the other account with the vendor's "
            "app, reset it to factory state, and try again.",
            address=address,
            associated=True,
        )
    situation.emit(
        Notice(
            code="associated",
            text="The device says that it is on an account already. If that is your account, it goes on as soon as "
            "the device has reported to it again; else take it off the other account first.",
        )
    )


def _possible(situation: Situation) -> bool:
    model = situation.the_model
    if checklist.PROTOCOL in model.protocols and model.cloud.data is not None:
        return True
    if situation.options.guided:
        raise InstallerError(
            ErrorCode.DEVICE_UNSUPPORTED,
            f"There is no guided set-up for {model.name}: the catalogue names no cloud in which it could be watched.",
            "Leave out --guided.",
            model=model.id,
        )
    return False


def _check_model(situation: Situation, connection: Connection) -> None:
    """The GATT table has the model's number too: naming another model does not get around the sync rule."""
    from installer.bluetooth.detection import detect

    address = situation.the_sighting.address
    advert = Advert(services=tuple(s for s in connection.services if "-5749-5448-" in s))
    found = detect(address, advert, situation.surroundings.catalogue).model_id
    if found is not None and found != situation.the_model.id:
        raise InstallerError(
            ErrorCode.DEVICE_UNSUPPORTED,
            f"The device {address} has the services of model “{found}”, not of {situation.the_model.name}.",
            f"Use --model {found}, or leave --model out.",
            detected=found,
            wanted=situation.the_model.id,
        )
