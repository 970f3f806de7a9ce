"""Reads the QR codes of `--wifi-qr`, `--wifi-qr-image`, `--qr` and `--qr-image`.

The text of a code with a passphrase or a proof of possession is a secret. It comes from standard input (`-`), a file
(`@FILE`), a variable (`env:NAME`) or a picture, and is refused as a plain argument.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from installer import output
from installer.errors import ErrorCode, InstallerError
from installer.qr.classify import QrKind, VendorLink, classify, kind_of, vendor_app
from installer.qr.device_setup_code import DevicePayload
from installer.storage.secret_references import on_command_line
from installer.wifi.card_readings import PASSWORD_IDENTIFIER, CardReadings

if TYPE_CHECKING:
    from installer.wifi.networks import Network

STDIN = "-"
FILE_MARK, ENV_MARK = "@", "env:"


def wifi_code(argument: str | None, image: Path | None, ssid: str | None = None) -> CardReadings | None:
    """The readings of `--wifi-qr` or `--wifi-qr-image`; None if neither was given. `ssid`: only those of this network.

    Raises USAGE (given twice, empty, a passphrase as a plain argument), ANSWERS_INVALID and DEVICE_UNSUPPORTED (another
    kind of code, no code), SECRET_UNAVAILABLE, and what `installer.qr.wifi_text.parse` raises.
    """
    option = "--wifi-qr"
    text = _text(option, argument, image, lambda t: kind_of(t) is QrKind.WIFI)
    if text is None:
        return None
    found = classify(text)
    if isinstance(found, DevicePayload):
        raise _other_kind("This is the set-up code of a device, not of a Wi-Fi network.", "--qr")
    if isinstance(found, VendorLink):
        raise vendor_app()
    if found.has_secret and _is_plain(argument):
        raise _plain_secret(option, "a passphrase")
    if ssid is not None:
        found = found.named(ssid)
    if found.certain is not None and found.certain.password_identifier:
        output.print_message(PASSWORD_IDENTIFIER)
    return found


def chosen_network(code: CardReadings, *, may_ask: bool) -> tuple[Network, SecretStr]:
    """The network that is meant, with its passphrase: the only one in reach, or the one that a person chooses.

    `may_ask`: if standard input is a terminal. Raises NETWORK_AMBIGUOUS if nothing decides, INTERRUPTED.
    """
    import sys

    from installer.answers import NetworkAnswer
    from installer.cli.prompts import prompt
    from installer.cli.run_command import run
    from installer.flow.card_reading import decide
    from installer.flow.front_end import Cancelled
    from installer.wifi.network_manager import ssids_in_reach
    from installer.wifi.networks import Network, Security

    try:
        answer = run(
            decide(
                NetworkAnswer.from_card(code),
                by_host=ssids_in_reach,
                ask=prompt if may_ask and sys.stdin.isatty() else None,
                say=lambda _, text: output.print_message(text),
            )
        )
    except Cancelled:
        raise InstallerError(ErrorCode.INTERRUPTED, "Stopped.", "Nothing was saved.") from None
    network = Network(ssid=answer.ssid, security=answer.security or Security.UNKNOWN, hidden=answer.hidden)
    return network, answer.secret or SecretStr("")


def device_code(argument: str | None, image: Path | None) -> DevicePayload | None:
    """The device of `--qr` or `--qr-image`; None if neither was given. Raises what `wifi_code` raises."""
    option = "--qr"
    text = _text(option, argument, image, lambda t: kind_of(t) is QrKind.DEVICE)
    if text is None:
        return None
    found = classify(text)
    if isinstance(found, CardReadings):
        raise _other_kind("This is the code of a Wi-Fi network, not of a device.", "--wifi-qr")
    if isinstance(found, VendorLink):
        raise vendor_app()
    if found.has_secret and _is_plain(argument):
        raise _plain_secret(option, "the device's proof of possession")
    return found


def _text(option: str, argument: str | None, image: Path | None, fits: Callable[[str], bool]) -> str | None:
    if argument is not None and image is not None:
        raise InstallerError(
            ErrorCode.USAGE, f"The code is given twice: {option} and {option}-image.", "Give one of the two."
        )
    if image is not None:
        from installer.qr.read_image import text_of_image

        return text_of_image(image, fits)
    if argument is None:
        return None
    text = _argument_text(argument)
    if not text.strip():
        raise InstallerError(
            ErrorCode.USAGE,
            f"The text of {option} is empty.",
            "Give the text that a QR reader shows, or the picture of the code.",
        )
    return text


def _argument_text(argument: str) -> str:
    from installer.cli.run_command import protect_secrets

    what = "text of the QR code"
    protect_secrets()
    if argument == STDIN:
        return on_command_line(file=STDIN).fetch(what).get_secret_value()
    if argument.startswith(FILE_MARK):
        return on_command_line(file=argument.removeprefix(FILE_MARK)).fetch(what).get_secret_value()
    if argument.startswith(ENV_MARK):
        return on_command_line(env=argument.removeprefix(ENV_MARK)).fetch(what).get_secret_value()
    return argument


def _is_plain(argument: str | None) -> bool:
    return argument is not None and argument != STDIN and not argument.startswith((FILE_MARK, ENV_MARK))


def _plain_secret(option: str, what: str) -> InstallerError:
    return InstallerError(
        ErrorCode.USAGE,
        f"The text of {option} contains {what}. It must not be on the command line: other programs can read it there, "
        "and the shell saves it.",
        f"Give it as {option} - (standard input), {option} @FILE, {option} env:VARIABLE, or {option}-image PICTURE; "
        "and remove this line from the history of your shell.",
    )


def _other_kind(what: str, option: str) -> InstallerError:
    return InstallerError(ErrorCode.ANSWERS_INVALID, what, f"Give it with {option} or {option}-image.")
