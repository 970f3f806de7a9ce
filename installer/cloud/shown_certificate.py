"""Why the certificate that a server showed is not trusted: whose it is, and what a person can do about it."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx

from installer.text import printable

if TYPE_CHECKING:
    from cryptography import x509

SECONDS = 10.0
# Codes of X509_verify_cert (OpenSSL, x509_vfy.h).
NOT_YET_VALID, EXPIRED, HOSTNAME_MISMATCH = 9, 10, 62
SET_CLOCK = "Check the date and time of this computer. If they are right, whoever runs the server must renew it."


@dataclass(frozen=True)
class ShownCertificate:
    """What a certificate says of itself; a stranger may have written it."""

    subject: str
    issuer: str
    valid_from: datetime
    valid_until: datetime


class _Seen(Exception):
    def __init__(self, der: bytes) -> None:
        super().__init__("certificate")
        self.der = der


async def read_certificate(url: str, proxy: httpx.Proxy | None) -> ShownCertificate | None:
    """The certificate of this server, read by a handshake of its own; None if there is none to be had.

    Nothing is sent but the handshake: the server is not trusted.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    async def stop_after_handshake(event: str, details: dict[str, Any]) -> None:
        if event.endswith("start_tls.complete"):
            stream = details["return_value"]
            der = stream.get_extra_info("ssl_object").getpeercert(binary_form=True)
            await stream.aclose()
            raise _Seen(der or b"")

    with suppress(httpx.HTTPError, OSError, TimeoutError, ValueError):
        try:
            async with (
                asyncio.timeout(SECONDS),
                httpx.AsyncClient(verify=context, proxy=proxy, trust_env=False, timeout=SECONDS) as client,
            ):
                await client.head(url, extensions={"trace": stop_after_handshake})
        except _Seen as seen:
            return _parse(seen.der)
    return None


def _parse(der: bytes) -> ShownCertificate:
    """Raises ValueError."""
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    return ShownCertificate(
        _name(certificate.subject),
        _name(certificate.issuer),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def _name(name: x509.Name) -> str:
    from cryptography.x509.oid import NameOID

    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME):
        for attribute in name.get_attributes_for_oid(kind):
            return printable(str(attribute.value), 80)
    return "nobody"


def explain(server: str, code: int, reason: str, shown: ShownCertificate | None) -> tuple[str, str]:
    """What happened and what to do. `code`, `reason`: of the verification; `shown`: the certificate, if it was read."""
    if code == EXPIRED:
        until = f" on {shown.valid_until:%Y-%m-%d}" if shown else ""
        return f"The certificate of {server} expired{until}.", SET_CLOCK
    if code == NOT_YET_VALID:
        since = f" before {shown.valid_from:%Y-%m-%d}" if shown else " yet"
        return f"The certificate of {server} is not valid{since}.", SET_CLOCK
    if code == HOSTNAME_MISMATCH:
        whose = f"for “{shown.subject}” (issued by “{shown.issuer}”)" if shown else "for another name"
        return (
            f"{server} showed a certificate {whose}.",
            "Check the address. A guest network that asks for a sign-in does this, too: sign in to it first.",
        )
    whose = f" of “{shown.issuer}”" if shown else ""
    return (
        f"{server} showed a certificate{whose} that this computer does not trust ({printable(reason, 100)}).",
        "If your organisation or antivirus program inspects HTTPS, add its root certificate to the system's store, "
        "or name its PEM file in SSL_CERT_FILE. If not, somebody may be listening: use another network.",
    )
