"""Files of trusted certificates: which variables name them, and the one for a library that cannot ask the system."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

# OpenSSL's variable, curl's, and that of Python's requests: what curl trusts on this computer.
VARIABLES_OF_FILES = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


def file_of_trusted_certificates() -> Path:
    """One PEM file: that of a variable, else the system's, else the one that comes with certifi."""
    for variable in VARIABLES_OF_FILES:
        named = os.environ.get(variable)
        if named and Path(named).is_file():
            return Path(named)
    of_system = ssl.get_default_verify_paths().cafile
    if of_system and Path(of_system).is_file():
        return Path(of_system)
    import certifi

    return Path(certifi.where())
