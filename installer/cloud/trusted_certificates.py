"""Which certificates are trusted: those of the system's store (truststore), and those that the environment names.

So this program trusts what curl trusts on the same computer: `SSL_CERT_FILE` and `SSL_CERT_DIR` (OpenSSL),
`CURL_CA_BUNDLE` (curl) and `REQUESTS_CA_BUNDLE` (Python's requests).
"""

from __future__ import annotations

import os
import platform
import ssl
from pathlib import Path

from installer.cloud.unreachable import Unreachable
from installer.storage.certificate_files import VARIABLES_OF_FILES as FILES

FOLDER = "SSL_CERT_DIR"
VARIABLES = (*FILES, FOLDER)


def trusting_context() -> ssl.SSLContext:
    """A TLS context for a client. Raises Unreachable for a variable that names a file without certificates."""
    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Several variables often name the same file, and to read one takes as long as the rest of a start.
    named: dict[str, str] = {}
    for variable in FILES:
        if os.environ.get(variable):
            named.setdefault(os.environ[variable], variable)
    for path, variable in named.items():
        _load(context, variable, Path(path))
    folder = os.environ.get(FOLDER)
    # Several folders may be named, as in PATH.
    if folder and not any(Path(part).is_dir() for part in folder.split(os.pathsep)):
        raise _unusable(FOLDER, f"there is no folder {folder}")
    if not _system_has_certificates():
        # A container without a store of its own.
        import certifi

        context.load_verify_locations(cafile=certifi.where())
    return context


def _load(context: ssl.SSLContext, variable: str, path: Path) -> None:
    try:
        # requests takes a folder, too.
        if path.is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise _unusable(variable, f"{path} is not a file of certificates in PEM format") from None
    except OSError as error:
        raise _unusable(variable, f"{path} cannot be read ({error.strerror})") from None


def _system_has_certificates() -> bool:
    if platform.system() in ("Darwin", "Windows"):
        return True
    paths = ssl.get_default_verify_paths()
    # Each is None if it does not exist.
    return bool(paths.cafile) or (bool(paths.capath) and any(Path(paths.capath).iterdir()))


def _unusable(variable: str, why: str) -> Unreachable:
    return Unreachable(
        f"The certificates that {variable} names cannot be used: {why}.",
        f"Let {variable} name a PEM file of certificates, or take it out: then the system's store is used.",
        sent=False,
        permanent=True,
    )
