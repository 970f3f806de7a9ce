"""The receiver's HTTPS: checks its certificate and key, and says what others can read if it has none."""

from __future__ import annotations

import ssl
from pathlib import Path

from installer.settings import is_loopback
from installer.text.bounded_read import read_bounded

# A chain of certificates with its key has some kilobytes.
MAX_FILE_BYTES = 256 * 1024


class UnusableCertificate(ValueError):
    """The certificate or its key cannot be used. The text says which file, and why."""


def exposure(address: str, certificate: Path | None) -> str:
    """What others can read if the receiver listens at this IP address without a certificate; empty: nothing."""
    if certificate is not None or is_loopback(address.partition("%")[0]):
        return ""
    return (
        f"The receiver listens at {address}, an address of the network, without a certificate. Whoever can listen on "
        "the way to it reads the secret path, and of which user something was measured, of what kind and when. With "
        "the path, others can send notifications of their own. Let it listen on this computer only (--host 127.0.0.1), "
        "behind a reverse proxy or tunnel that has a certificate; or give --certificate and --key."
    )


def check_certificate(certificate: Path, key: Path | None) -> None:
    """Load both as a server would. `key`: None if it is in the certificate's file. Raises UnusableCertificate."""
    for path in (certificate, key or certificate):
        if path.exists() and not path.is_file() and not path.is_dir():
            # It is opened several times, and a pipe has its text once.
            raise UnusableCertificate(f"{path} cannot be read (it is a pipe or a device, not a file)")
        try:
            read_bounded(path, MAX_FILE_BYTES)
        except OSError as error:
            raise UnusableCertificate(f"{path} cannot be read ({error.strerror})") from None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_refuse_password)
    except _Encrypted:
        # Without this, OpenSSL would ask for it on the terminal, and a service would wait forever.
        raise UnusableCertificate(f"the key in {key or certificate} is encrypted; give it without a password") from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            why = f"the key in {key or certificate} does not belong to the certificate in {certificate}"
        elif key is None:
            why = f"{certificate} does not hold a certificate and its key, both in PEM format"
        else:
            why = f"{certificate} is not a certificate, or {key} is not a key, in PEM format"
        raise UnusableCertificate(why) from None


class _Encrypted(Exception):
    pass


def _refuse_password() -> str:
    raise _Encrypted
