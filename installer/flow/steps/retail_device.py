"""Recognises a retail device: it speaks no open protocol, and the vendor's app sets it up. Only reads from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.answers import StepKey
from installer.bluetooth.sighting import Advert
from installer.catalogue.model import GUIDED
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import Notice
from installer.flow.situation import Situation
from installer.provisioning.provisioner import DeviceInfo

if TYPE_CHECKING:
    from installer.bluetooth.connection import Connection

# With --guided these errors are ignored: the device may be connected to the phone that sets it up.
BUSY_DEVICE_ERRORS = (
    ErrorCode.CONNECTION_FAILED,
    ErrorCode.CONNECTION_LOST,
    ErrorCode.DEVICE_MISBEHAVED,
    ErrorCode.DEVICE_REFUSED,
)


async def recognise(situation: Situation, connection: Connection) -> bool:
    """Whether the vendor's app must set the device up; then its identity was read.

    Raises DEVICE_UNSUPPORTED if it is another model than the named one, or if nobody can follow the guide.
    """
    from installer.provisioning.withings.probe import probe, proves

    if not _guide_available(situation):
        return False
    wanted = situation.options.guided
    if not (wanted or proves(connection) or situation.chosen_sighting.detection.protocol == GUIDED):
        return False
    if not wanted and not situation.may_ask(StepKey.PROVISION):
        raise InstallerError(
            ErrorCode.DEVICE_UNSUPPORTED,
            f"{situation.chosen_model.name} {situation.chosen_sighting.address} speaks no open set-up protocol: only "
            "its vendor's app sets it up.",
            "With --guided this run waits until somebody has done that, and continues from there.",
            guided=True,
        )
    _check_model(situation, connection)
    try:
        identity = await probe(connection)
    except InstallerError as error:
        # A device that disconnects on such a request is still recognised by its GATT table.
        if error.code is not ErrorCode.CONNECTION_LOST:
            raise
        identity = None
    situation.guided = True
    situation.associated = identity.associated if identity is not None else None
    if situation.info is None:
        situation.info = identity.info if identity is not None else DeviceInfo(name=situation.chosen_sighting.name)
    return True


def continue_without_connection(situation: Situation, error: InstallerError) -> bool:
    """Whether the set-up continues with the vendor's app although the connection failed, as --guided allows."""
    if not situation.options.guided or error.code not in BUSY_DEVICE_ERRORS or not _guide_available(situation):
        return False
    situation.guided, situation.associated = True, None
    situation.info = DeviceInfo(name=situation.chosen_sighting.name)
    situation.emit(Notice(code="not_asked", text=f"The device's identity could not be read. {error.what}"))
    return True


async def check_existing_account(situation: Situation, *, confirmed: bool) -> None:
    """Accept a device that is on an account already only with consent, or if this program brought it there.

    Raises DEVICE_ALREADY_SET_UP.
    """
    address = situation.chosen_sighting.address
    records = situation.environment.records
    situation.handed_over_device_id = await records.store.call(records.handed_over, address)
    if situation.associated is False:
        # It was reset since then.
        situation.handed_over_device_id = None
    if not situation.associated or situation.handed_over_device_id:
        return
    if situation.resumed and not (confirmed or situation.options.keep_wifi):
        # It may have come to the account after the earlier attempt began; the account shows since when it has it.
        situation.maybe_associated_after_start = True
    elif not (confirmed or situation.options.keep_wifi):
        raise InstallerError(
            ErrorCode.DEVICE_ALREADY_SET_UP,
            f"{situation.chosen_model.name} {address} is on an account already.",
            "If that account is yours, give --keep-wifi. Else take the device off the other account with the vendor's "
            "app, reset it to factory state, and try again.",
            address=address,
            associated=True,
        )
    situation.emit(
        Notice(
            code="associated",
            text="The device says that it is on an account already. If that is your account, the installation "
            "continues as soon as the device has reported to it again; else take it off the other account first.",
        )
    )


def _guide_available(situation: Situation) -> bool:
    model = situation.chosen_model
    if GUIDED in model.protocols and model.cloud.data is not None:
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
    """Compare with the model number in the GATT table: naming another model must not get around the sync rule."""
    from installer.provisioning import registry
    from installer.provisioning.guided.protocol import GUIDED_HAND_OFF

    address = situation.chosen_sighting.address
    advert = Advert(services=tuple(s for s in connection.services if GUIDED_HAND_OFF.owns_service(s)))
    found = registry.detector(situation.environment.catalogue).detect(address, advert).model_id
    if found is not None and found != situation.chosen_model.id:
        raise InstallerError(
            ErrorCode.DEVICE_UNSUPPORTED,
            f"The device {address} has the services of model “{found}”, not of {situation.chosen_model.name}.",
            f"Use --model {found}, or leave --model out.",
            detected=found,
            wanted=situation.chosen_model.id,
        )
