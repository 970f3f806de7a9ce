"""PostgreSQL: what a connection must be before a password is used on it, and what an open connection is.

A server on another computer must show a certificate that is trusted and fits its name (`sslmode=verify-full`). Where
another user can listen, which is every port, also one of this computer, a server may ask for the password by SCRAM
only (`require_auth=scram-sha-256`): it does not send it, and the server shows that it knows it, too. The URL can say
otherwise; a variable such as PGSSLMODE and a service file cannot. A server at a socket in a folder may also know its
user by other means; it gets no password in clear text, and none by MD5.
Source: PostgreSQL's manual, libpq, “Parameter Key Words”.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer.errors import ErrorCode, InstallerError
from installer.storage.certificate_files import file_of_trusted_certificates
from installer.storage.damaged_rows import Unreadable
from installer.storage.database_url import REFUSED_PARAMETERS
from installer.text import capitalized, printable

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

CONNECT_SECONDS = 10
FIRST_WITH_REQUIRE_AUTH = 160000  # libpq's version
NO_WEAK_PASSWORD = "!password,!md5"  # whoever has what MD5 sends can compute short passwords from it
SCRAM = "scram-sha-256"
SYSTEM = "system"  # for `sslrootcert`: the certificates that this computer trusts
OWN_ROOT_CERTIFICATES = "~/.postgresql/root.crt"
_AUTHENTICATIONS = {
    SCRAM: "SCRAM-SHA-256, which does not send the password",
    "md5": "MD5, which is weak",
    "password": "the password in clear text",
    "gss": "Kerberos",
    "sspi": "Windows (SSPI)",
    "oauth": "OAuth",
    "none": "without authentication",
}


def connect_arguments(url: URL, setting: str) -> dict[str, Any]:
    """What is given to libpq beside the URL. Raises DATABASE_FAILED for a parameter that libpq does not have.

    `url`: SQLAlchemy's. `setting` says where it came from.
    """
    from psycopg import pq

    given = {**url.get_dialect()().create_connect_args(url)[1]}
    defaults = {d.keyword.decode(): (d.val or b"").decode("utf-8", "replace") for d in pq.Conninfo.get_defaults()}
    for name in url.query:
        if name not in defaults or name in REFUSED_PARAMETERS:
            raise InstallerError(
                ErrorCode.DATABASE_FAILED,
                f"{capitalized(setting)} has a parameter “{printable(name, 32)}”, which cannot be used.",
                "The parameters are those of PostgreSQL's manual (libpq, “Parameter Key Words”), without a password.",
            )
    arguments: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "gssencmode": "disable"}
    hosts = _hosts(given, defaults)
    if hosts is not None and all(map(_is_socket, hosts)):
        # The variable may ask for more, never for less.
        if os.environ.get("PGREQUIREAUTH") != SCRAM:
            arguments["require_auth"] = NO_WEAK_PASSWORD
    elif hosts is not None and all(map(_is_local, hosts)):
        arguments["require_auth"] = SCRAM
    else:
        arguments |= {"sslmode": "verify-full", "require_auth": SCRAM}
        if str(given.get("sslmode", "verify-full")).startswith("verify") and not _names_root_certificates():
            arguments["sslrootcert"] = str(file_of_trusted_certificates())
    arguments = {name: value for name, value in arguments.items() if name not in given}
    if given.get("sslrootcert") == SYSTEM and given.get("sslmode", "verify-full") == "verify-full":
        # The library that psycopg[binary] brings looks for the system's certificates in a folder that no system has.
        arguments |= {"sslmode": "verify-full", "sslrootcert": str(file_of_trusted_certificates())}
    if pq.version() < FIRST_WITH_REQUIRE_AUTH and arguments.pop("require_auth", None) == SCRAM:
        raise _too_old(pq.version())
    return arguments


def read_odd_times(connection: Any, _record: Any) -> None:
    """Let this connection read times that Python has not (`infinity`, before the year 1) as `Unreadable`.

    The driver would refuse the whole answer for one of them. `connection`: psycopg's.
    """
    from psycopg import DataError
    from psycopg.adapt import Loader
    from psycopg.pq import Format

    usual = connection.adapters.get_loader(connection.adapters.types["timestamptz"].oid, Format.TEXT)

    class OddTimes(Loader):
        def __init__(self, oid: int, context: Any = None) -> None:
            super().__init__(oid, context)
            self._load = usual(oid, context).load

        def load(self, data: Any) -> Any:
            try:
                return self._load(data)
            except (DataError, ValueError, OverflowError):
                return Unreadable(bytes(data).decode("ascii", "replace"))

    connection.adapters.register_loader("timestamptz", OddTimes)


def _hosts(given: dict[str, Any], defaults: dict[str, str]) -> list[str] | None:
    """What libpq connects to: addresses, names, and folders of sockets. None: a service file may name any host."""
    if given.get("service") or os.environ.get("PGSERVICE"):
        return None
    # An address is where libpq connects to; the name beside it is only what the certificate must fit.
    named = given.get("hostaddr", defaults["hostaddr"]) or given.get("host", defaults["host"])
    return [host.strip() for host in str(named or "").split(",")]


def _is_socket(host: str) -> bool:
    """Whether libpq connects to a socket in a folder. Without a host it does so too, but on Windows to localhost."""
    return host.startswith(("/", "@")) or (not host and os.name != "nt")


def _is_local(host: str) -> bool:
    """Whether this is on this computer: a socket, or a loopback address."""
    if not host or _is_socket(host) or host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _names_root_certificates() -> bool:
    """Whether libpq finds certificates by itself: those of its variable, or of its own file."""
    if os.environ.get("PGSSLROOTCERT", SYSTEM) != SYSTEM:
        return True
    try:
        return Path(OWN_ROOT_CERTIFICATES).expanduser().is_file()
    except RuntimeError:
        return False


def _too_old(version: int) -> InstallerError:
    return InstallerError(
        ErrorCode.DATABASE_FAILED,
        f"PostgreSQL's library on this computer (libpq {version // 10000}) cannot refuse to send a password in clear "
        "text or by MD5, so no server is connected to over a port.",
        "Install libpq 16 or newer, or the package psycopg[binary], which brings its own. Or use a socket: "
        "postgresql:///NAME.",
    )


@dataclass(frozen=True)
class ConnectionSecurity:
    """What is in force on an open connection. `verified`: the certificate is trusted and fits the server's name."""

    encrypted: bool
    verified: bool
    local: bool
    authentication: str

    @property
    def is_safe(self) -> bool:
        """Whether nobody on the way can read it, or pretend to be the server."""
        return self.local or self.verified

    def as_json(self) -> dict[str, Any]:
        """The same for a script, with the words."""
        return {**asdict(self), "is_safe": self.is_safe, "words": self.words}

    @property
    def words(self) -> str:
        """For a person."""
        if self.verified:
            way = "encrypted and verified"
        elif self.encrypted:
            way = "encrypted, not verified: somebody on the way could pretend to be the server"
        elif self.local:
            way = "not encrypted; the server is on this computer"
        else:
            way = "not encrypted: somebody on the way can read and change all of it"
        return f"{way}; {self.authentication}"


def security_of(connection: Connection) -> ConnectionSecurity | None:
    """What is in force on this connection, from libpq itself; None if it is not PostgreSQL's."""
    if connection.dialect.name != "postgresql":
        return None
    raw: Any = connection.connection.dbapi_connection
    pgconn = raw.pgconn
    used = {option.keyword.decode(): (option.val or b"").decode("utf-8", "replace") for option in pgconn.info}
    encrypted = bool(pgconn.ssl_in_use)
    address = pgconn.hostaddr.decode("ascii", "replace")
    return ConnectionSecurity(
        encrypted=encrypted,
        verified=encrypted and used.get("sslmode") == "verify-full",
        local=_is_local(address),
        authentication=_authentication(used.get("require_auth", ""), used_password=bool(pgconn.used_password)),
    )


def _authentication(required: str, *, used_password: bool) -> str:
    if required in _AUTHENTICATIONS:
        return _AUTHENTICATIONS[required]
    if not used_password:
        return "without a password"
    if required == NO_WEAK_PASSWORD:
        return _AUTHENTICATIONS[SCRAM]  # of the methods with a password only this one is left
    return "a password, not in clear text" if "!password" in required.split(",") else "a password"


_HOW_TO_TRUST = (
    "Name the certificate of its authority: `?sslrootcert=FILE` at the end of the URL, or put it into "
    f"{OWN_ROOT_CERTIFICATES}. If it was trusted before, ask who runs the server: somebody may pretend to be it."
)
_HOW_TO_ALLOW = "Write `?require_auth=METHOD` at the end of the URL only if you accept that"


def refusal(reason: str) -> tuple[str, str] | None:
    """What happened and what to do, for what libpq says when it refuses a server; None for another reason."""
    found = re.search(r'server at "([^"]*)"', reason)
    server = f"The database server {printable(found[1])}" if found else "The database server"
    if "server does not support SSL" in reason:
        return (
            f"{server} offers no encryption (TLS), so nothing was sent to it.",
            "Switch TLS on at the server (ssl = on in postgresql.conf). On a network that nobody else uses, "
            "`?sslmode=disable` at the end of the URL does without.",
        )
    if "root certificate file" in reason:
        return (
            "The file of certificates for the database server is not there, or cannot be read.",
            f"Put the certificate of the server's authority into {OWN_ROOT_CERTIFICATES}, or name its file with "
            "`?sslrootcert=FILE` at the end of the URL.",
        )
    if "certificate verify failed" in reason:
        return f"{server} shows a certificate that is not trusted here; no password was sent.", _HOW_TO_TRUST
    if "does not match host name" in reason:
        return (
            f"{server} shows a certificate of another server; no password was sent.",
            "Write the name of the server in the URL as its certificate has it, or have the certificate made for this "
            "name.",
        )
    if "requested a cleartext password" in reason:
        return (
            f"{server} asks for the password in clear text. It was not sent.",
            "Let the server ask by scram-sha-256 (pg_hba.conf). If it did before, somebody may pretend to be it. "
            f"{_HOW_TO_ALLOW} (password).",
        )
    if "authentication method requirement" in reason:
        return (
            f"{server} does not use scram-sha-256 to check who connects. No password was sent.",
            "Set password_encryption = scram-sha-256 at the server, set the password again, and write scram-sha-256 "
            f"into pg_hba.conf. {_HOW_TO_ALLOW} (md5, none, gss).",
        )
    if "no password supplied" in reason:
        return (
            f"{server} asks for a password, and none is set.",
            'Say where it is kept: password = { keyring = "NAME" } beside the URL in the settings, a variable, or '
            "PostgreSQL's ~/.pgpass.",
        )
    return None
