"""The address to which the cloud sends notifications: its form, and how it is shown (`withings-cloud.md` §3.3, §3.5).

The cloud signs nothing. That nobody else can send a notification rests on an address that nobody else knows: its path
is a secret. So the whole address is one: it is shown as `https://host/…/****`, and in a text for people and programs
`{path}` stands for the secret part, which is kept in a file of its own.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.settings import is_loopback
from installer.storage.private_files import read_private, write_private

MAX_URL = 255
PLACE = "{path}"
PATH_FILE = "notifications-path"
DEFAULT_PORT = 8085
# 24 bytes of chance: nobody finds the address by trying.
PATH_BYTES = 24
MIN_PATH, MAX_PATH = 16, 128
_PATH_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def masked(url: str) -> str:
    """`scheme://host/…/****`: enough to tell which receiver it is, and not enough to send it anything."""
    parts = _split(url)
    return f"{parts.scheme}://{_place(parts)}/…/****" if parts is not None else "****"


def host_of(url: str) -> str:
    """The host (with its port, if it names one) of a callback URL, or an empty text."""
    parts = _split(url)
    return _place(parts) if parts is not None else ""


def problem(url: str) -> str:
    """Why this cannot be a callback URL at all, as a sentence; an empty text if it can. Does not repeat it."""
    if len(url) > MAX_URL:
        return f"The address is longer than {MAX_URL} characters."
    parts = _split(url)
    if parts is None:
        return "This is no web address (https://host/…)."
    if parts.username is not None or parts.password is not None:
        return "A user name or password in the address is not sent by the cloud."
    if parts.fragment:
        return "What follows # never reaches the receiver."
    return ""


def advice(url: str) -> str:
    """What of the cloud's rules this address does not keep (§3.5), as sentences; or what else may be the matter."""
    parts = _split(url)
    if parts is None:
        return "Give a web address (https://host/…)."
    host, broken = parts.hostname or "", []
    if parts.scheme == "http" and is_loopback(host):
        return (
            "An address of this computer is for the lab: start `device-installer notifications serve --lab` first. The "
            "real cloud takes https:// on a public domain name only."
        )
    if parts.scheme != "https":
        broken.append("it must begin with https://")
    if _is_address(host) or is_loopback(host) or "." not in host:
        broken.append("its host must be a public domain name, not an IP address or this computer")
    if parts.port not in (None, 80, 443):
        broken.append("its port must be 443 or 80")
    if broken:
        return f"Of the cloud's rules it breaks: {'; '.join(broken)}."
    return (
        "The cloud asks the address itself (HTTP HEAD) and wants an answer of 2xx: check that the receiver runs, that "
        "its certificate is good, and that no firewall or proxy keeps HEAD back."
    )


def check(url: str) -> None:
    """Raise NOTIFICATIONS_REFUSED for what cannot be a callback URL."""
    why = problem(url)
    if why:
        raise InstallerError(
            ErrorCode.NOTIFICATIONS_REFUSED,
            f"The address for notifications cannot be used. {why}",
            "Give the address under which the receiver is reached from the Internet.",
        )


def expanded(text: str, path_file: Path) -> SecretStr:
    """The URL of `text`, in which `{path}` stands for the secret path of `path_file`.

    Raises NOTIFICATIONS_REFUSED, SECRET_UNAVAILABLE, FILE_UNWRITABLE.
    """
    text = text.strip()
    if PLACE in text:
        text = text.replace(PLACE, secret_path(path_file).get_secret_value())
    check(text)
    return SecretStr(text)


def secret_path(file: Path) -> SecretStr:
    """The secret path of this file (mode 0600), made of chance if there is none yet.

    Raises SECRET_UNAVAILABLE for a file that others can read or that holds no path, FILE_UNWRITABLE.
    """
    try:
        content, private = read_private(file, 4096)
    except FileNotFoundError:
        return _new_path(file)
    except OSError as error:
        raise _unusable(file, f"it cannot be read ({error.strerror})", "Check the path and the permissions.") from None
    text = content.decode("ascii", "replace").strip()
    if not private:
        raise _unusable(file, "others can read it", f"Remove it, so that a new one is made; or: chmod 600 {file}")
    if not MIN_PATH <= len(text) <= MAX_PATH or not set(text) <= _PATH_SIGNS:
        raise _unusable(
            file,
            f"it does not hold {MIN_PATH} to {MAX_PATH} letters, digits, - and _",
            "Remove it, so that a new one is made; then subscribe again.",
        )
    return SecretStr(text)


def is_path(given: str, expected: SecretStr) -> bool:
    """Whether the last part of this request's path is the secret one; takes as long whatever is given."""
    last = given.rsplit("/", 1)[-1].encode("utf-8", "surrogatepass")
    return hmac.compare_digest(last, expected.get_secret_value().encode())


def _new_path(file: Path) -> SecretStr:
    made = secrets.token_urlsafe(PATH_BYTES)
    try:
        write_private(file, f"{made}\n".encode())
    except OSError as error:
        raise InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"{file} cannot be written ({error.strerror}).",
            "Name another file with --path-file, or check the permissions there.",
        ) from None
    return SecretStr(made)


def _unusable(file: Path, why: str, todo: str) -> InstallerError:
    return InstallerError(
        ErrorCode.SECRET_UNAVAILABLE, f"The secret path of the receiver ({file}) cannot be used: {why}.", todo
    )


def _place(parts: SplitResult) -> str:
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return shown if parts.port is None else f"{shown}:{parts.port}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _split(url: str) -> SplitResult | None:
    """The parts of a web address; None for what is none. Spaces and control characters are in none."""
    if any(c.isspace() or not c.isprintable() or c in '\\"<>{}' for c in url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None
