"""The consent of a user of a device: it then gives this program the measurements of that user.

Source: User Data Service 1.1 (0x181C), User Control Point (0x2A9F): op code 0x02 with the user's index and the consent
code (0 to 9999); the answer is 0x20, the op code, and a response value. The code is a secret of the person.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pydantic import SecretStr

from installer.bluetooth.connection import Connection
from installer.bluetooth.uuids import expand_uuid16
from installer.errors import ErrorCode, InstallerError
from installer.health_profiles.characteristics import Characteristic

USER_CONTROL_POINT = Characteristic(expand_uuid16(0x181C), expand_uuid16(0x2A9F))
CONSENT, RESPONSE = 0x02, 0x20
SUCCESS, NOT_SUPPORTED, INVALID_PARAMETER, OPERATION_FAILED, NOT_AUTHORIZED = range(1, 6)
ACTIVITY = "giving a user's consent"
# How long a device may take. It may ask the person.
RESPONSE_SECONDS = 30.0
MAX_CODE = 9999
_REASONS = {
    NOT_SUPPORTED: "it knows no consent",
    INVALID_PARAMETER: "it has no such user",
    OPERATION_FAILED: "it could not do that now",
    NOT_AUTHORIZED: "the consent code is wrong, or the user may not",
}
_TODO = (
    "Look up the user's number and code in the device or in the app with which the user was made, and correct "
    "[gateway.consent] in config.toml."
)


@dataclass(frozen=True)
class Consent:
    """`user`: the index of the user in the device, 0 to 254; `code`: 0 to 9999, in digits."""

    user: int
    code: SecretStr


def encode_consent(consent: Consent) -> bytes:
    """The request of a consent. Raises ValueError, without the code, if the code is not a number from 0 to 9999."""
    digits = consent.code.get_secret_value().strip()
    if not (digits.isascii() and digits.isdigit() and int(digits) <= MAX_CODE):
        raise ValueError("a consent code is a number from 0 to 9999")
    return bytes((CONSENT, consent.user)) + int(digits).to_bytes(2, "little")


def offers_consent(connection: Connection) -> bool:
    """Whether the device knows users who give consent."""
    return connection.can_write(USER_CONTROL_POINT.uuid, USER_CONTROL_POINT.service)


async def give_consent(connection: Connection, consent: Consent) -> None:
    """Give the consent of this user. Raises MEASUREMENT_FAILED if the device does not take it; CONNECTION_LOST."""
    try:
        request = encode_consent(consent)
    except ValueError as error:
        raise InstallerError(
            ErrorCode.SECRET_UNAVAILABLE, f"The consent code for {connection.address} is wrong: {error}.", _TODO
        ) from None
    answers: asyncio.Queue[bytes] = asyncio.Queue()
    await connection.subscribe(USER_CONTROL_POINT.uuid, answers.put_nowait)
    await connection.write(USER_CONTROL_POINT.uuid, request)
    try:
        value = await connection.run_while_connected(_response(answers), RESPONSE_SECONDS, ACTIVITY)
    except TimeoutError:
        raise _failed(connection, consent, "it did not answer") from None
    if value != SUCCESS:
        raise _failed(connection, consent, _REASONS.get(value, f"it says 0x{value:02x}"))


def consent_missing(connection: Connection) -> InstallerError:
    """MEASUREMENT_FAILED: the device needs a consent, and none was given."""
    return InstallerError(
        ErrorCode.MEASUREMENT_FAILED,
        f"The device {connection.address} gives its measurements only with a user's consent, and none is set.",
        f"Write the user's number and the place of the consent code into config.toml, below "
        f'[gateway.consent."{connection.address}"].',
        address=connection.address,
    )


async def _response(answers: asyncio.Queue[bytes]) -> int:
    while True:
        answer = await answers.get()
        if len(answer) >= 3 and answer[0] == RESPONSE and answer[1] == CONSENT:
            return answer[2]


def _failed(connection: Connection, consent: Consent, why: str) -> InstallerError:
    return InstallerError(
        ErrorCode.MEASUREMENT_FAILED,
        f"The device {connection.address} did not take the consent of user {consent.user}: {why}.",
        _TODO,
        address=connection.address,
        user=consent.user,
    )
