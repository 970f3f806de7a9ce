"""Callback URL: the address to which the cloud sends notifications (`withings-cloud.md` §3.3, §3.5).

The cloud does not sign notifications. Nobody else can send one because the path of the URL is a secret. So the URL is
shown as `https://host/…/****`. In settings and options, `{path}` stands for the secret path, which is in a private
file of its own.
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
from installer.storage.private_files import OTHER_OWNER, read_private, write_private
from installer.storage.unusable_paths import advice, unwritable
from installer.text.path_reasons import why_unusable
from installer.text.written_by_people import UnreadableText, decode, without_mark

MAX_URL_LENGTH = 255
PATH_PLACEHOLDER = "{path}"
PATH_FILE = "notifications-path"
DEFAULT_PORT = 8085
# 24 random bytes cannot be guessed.
PATH_RANDOM_BYTES = 24
MIN_PATH_LENGTH, MAX_PATH_LENGTH = 16, 128
_PATH_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def masked(url: str) -> str:
    """The URL without its secrets: `scheme://host/…/****`."""
    parts = _split(url)
    return f"{parts.scheme}://{_host_and_port(parts)}/…/****" if parts is not None else "****"


def host_of(address: str) -> str:
    """`scheme://host:port` of an address, which may have `{path}`; empty if it is no address.

    Two addresses with the same one reach the same receiver.
    """
    parts = _split(address.replace(PATH_PLACEHOLDER, "x"))
    if parts is None or parts.username is not None:
        return ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def url_problem(url: str) -> str:
    """Why this cannot be a callback URL, as a sentence without the URL; empty if it can be one."""
    if len(url) > MAX_URL_LENGTH:
        return f"The address is longer than {MAX_URL_LENGTH} characters."
    parts = _split(url)
    if parts is None:
        return "This is not a web address (https://host/…)."
    if parts.username is not None or parts.password is not None:
        return "The cloud does not send a user name or password of the address."
    if parts.fragment:
        return "The part after # never reaches the receiver."
    if travels_in_clear(url):
        return (
            "It begins with http://, so everybody on the way could read its secret path. It must begin with https://."
        )
    return ""


def travels_in_clear(url: str) -> bool:
    """Whether a request to this address could be read by others: http:// to another computer than this one."""
    parts = _split(url)
    return parts is not None and parts.scheme == "http" and not is_loopback(parts.hostname or "")


def broken_rules(url: str) -> str:
    """The cloud's rules (§3.5) that this URL breaks, as sentences; empty if it breaks none."""
    parts = _split(url)
    if parts is None:
        return "Give a web address (https://host/…)."
    host, broken = parts.hostname or "", []
    if parts.scheme == "http" and is_loopback(host):
        return (
            "An address of this computer works with the lab only: start `device-installer notifications serve --lab` "
            "first. The real cloud accepts https:// on a public domain name only."
        )
    if parts.scheme != "https":
        broken.append("it must begin with https://")
    if _is_ip_address(host) or is_loopback(host) or "." not in host:
        broken.append("its host must be a public domain name, not an IP address or this computer")
    if parts.port not in (None, 80, 443):
        broken.append("its port must be 443 or 80")
    return f"It breaks these rules of the cloud: {'; '.join(broken)}." if broken else ""


def check_url(url: str) -> None:
    """Raise NOTIFICATIONS_REFUSED if this cannot be a callback URL."""
    why = url_problem(url)
    if why:
        raise InstallerError(
            ErrorCode.NOTIFICATIONS_REFUSED,
            f"The address for notifications cannot be used. {why}",
            "Give the address at which the Internet reaches the receiver.",
        )


def expand_path(text: str, path_file: Path) -> SecretStr:
    """The URL of `text`: `{path}` is replaced by the secret path in `path_file`.

    Raises NOTIFICATIONS_REFUSED, SECRET_UNAVAILABLE, FILE_UNWRITABLE.
    """
    text = without_mark(text).strip()
    # Looked at before the secret is in it, and again after.
    check_url(text.replace(PATH_PLACEHOLDER, "x" * MIN_PATH_LENGTH))
    if PATH_PLACEHOLDER in text:
        text = text.replace(PATH_PLACEHOLDER, secret_path(path_file).get_secret_value())
    check_url(text)
    return SecretStr(text)


def secret_path(file: Path) -> SecretStr:
    """The secret path in this file (mode 0600). Without the file, a random path is made and stored.

    Raises SECRET_UNAVAILABLE if others can read the file or it holds no valid path, FILE_UNWRITABLE.
    """
    try:
        content, exposed = read_private(file, 4096)
    except FileNotFoundError:
        return _new_path(file)
    except OSError as error:
        raise _unusable(
            file, f"it cannot be read ({why_unusable(error, file)})", "Check the path and the permissions."
        ) from None
    if exposed:
        how = f"sudo chown $USER '{file}'" if exposed == OTHER_OWNER else f"chmod 600 '{file}'"
        raise _unusable(file, f"it {exposed}", f"Delete it, so that a new one is made; or: {how}")
    try:
        text = decode(content).strip()
    except UnreadableText as error:
        raise _unusable(file, f"it {error.why}", error.todo) from None
    if not MIN_PATH_LENGTH <= len(text) <= MAX_PATH_LENGTH or not set(text) <= _PATH_CHARACTERS:
        raise _unusable(
            file,
            f"it does not hold {MIN_PATH_LENGTH} to {MAX_PATH_LENGTH} letters, digits, - and _",
            "Delete it, so that a new one is made; then subscribe again.",
        )
    return SecretStr(text)


def is_secret_path(path: str, secret: SecretStr) -> bool:
    """Whether the last part of a request's path is the secret path. Compares in constant time.

    What is before it does not count, nor a slash at the end: a proxy may add or remove both.
    """
    last = path.rstrip("/").rsplit("/", 1)[-1].encode("utf-8", "surrogatepass")
    return hmac.compare_digest(last, secret.get_secret_value().encode())


def _new_path(file: Path) -> SecretStr:
    path = secrets.token_urlsafe(PATH_RANDOM_BYTES)
    try:
        write_private(file, f"{path}\n".encode(), own_folder=False)
    except OSError as error:
        todo = advice(error, elsewhere="name another file with --path-file.")
        raise unwritable(f"{file} cannot be written", file, error, todo) from None
    return SecretStr(path)


def _unusable(file: Path, why: str, todo: str) -> InstallerError:
    return InstallerError(
        ErrorCode.SECRET_UNAVAILABLE, f"The secret path of the receiver ({file}) cannot be used: {why}.", todo
    )


def _host_and_port(parts: SplitResult) -> str:
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return shown if parts.port is None else f"{shown}:{parts.port}"


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _split(url: str) -> SplitResult | None:
    """The parts of a web address; None if it is not one, or contains spaces or control characters."""
    if any(c.isspace() or not c.isprintable() or c in '\\"<>{}' for c in url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None
