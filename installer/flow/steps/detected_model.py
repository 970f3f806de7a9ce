"""Whether a device that is seen is of the wanted model: who names another model does not get around what it is."""

from __future__ import annotations

from installer.bluetooth.sighting import Certainty, Sighting
from installer.catalogue.catalogue_file import Catalogue
from installer.catalogue.model import Model
from installer.errors import ErrorCode, InstallerError

RELIABLE_CERTAINTIES = (Certainty.CERTAIN, Certainty.LIKELY)


def check_wanted_model(catalogue: Catalogue, sighting: Sighting, wanted: Model, *, before: bool = False) -> None:
    """Raise DEVICE_UNSUPPORTED if the device is certainly of another model.

    `before`: the record of an earlier attempt says what is wanted; then DEVICE_CHANGED.
    """
    detection = sighting.detection
    detected = catalogue.get(detection.model_id) if detection.model_id else None
    if (
        detected is None
        or detected.id == wanted.id
        or detected.generic
        or detection.certainty not in RELIABLE_CERTAINTIES
    ):
        return
    if before:
        raise InstallerError(
            ErrorCode.DEVICE_CHANGED,
            f"The device {sighting.address} is a {detected.name} ({detection.certainty}). The record of the earlier "
            f"attempt says that it is a {wanted.name}. Nothing was sent.",
            "Check that it is the right device. If it is, start a new installation.",
            detected=detected.id,
            wanted=wanted.id,
        )
    raise InstallerError(
        ErrorCode.DEVICE_UNSUPPORTED,
        f"The device {sighting.address} is a {detected.name} ({detection.certainty}), not a {wanted.name}.",
        f"Use --model {detected.id}, or leave --model out.",
        detected=detected.id,
        wanted=wanted.id,
    )
