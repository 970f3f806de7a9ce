"""Whether the URL of a database holds a password. Every place that takes such a URL asks here. Loads nothing costly."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

# What libpq takes as a secret, by its documentation (“Parameter Key Words”). `passfile` names a file and is none.
SECRET_PARAMETERS = frozenset(
    {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key", "conninfo"}
)
# The last one is no secret, but has libpq write the keys of the connection into a file.
REFUSED_PARAMETERS = SECRET_PARAMETERS | {"sslkeylogfile"}
# SQLAlchemy's grammar of the part before the host: a password may contain `/`, `?` and `#`. urlsplit misses it then.
_NAME_AND_PASSWORD = re.compile(r"[\w+]+://[^:/]*:[^@]*@", re.DOTALL)


def has_password(url: str) -> bool:
    """Whether the URL holds a password or another secret, in any spelling that would reach the server.

    The names of parameters may be percent-encoded or in capitals. libpq refuses capitals, but a secret was typed.
    """
    text = url.strip()
    if _NAME_AND_PASSWORD.match(text):
        return True
    names = {name.strip().lower() for name, _ in parse_qsl(text.partition("?")[2], keep_blank_values=True)}
    if names & SECRET_PARAMETERS:
        return True
    try:
        return urlsplit(text).password is not None
    except ValueError:
        return False  # no URL at all: opening it says so
